import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AccountRole } from '../../core/account.ts';
import { explainErrors, type Pool } from '../../core/postgres.ts';

// Sessions of the desk. The cookie has a random token, and the catalog stores only its hash. All statements are functions of the catalog, because
// the role of the desk cannot read the tables (sql/catalog/0015-team.sql).

/** The account that a request has. */
export interface Account {
  id: number;
  name: string;
  role: AccountRole;
}

export interface Session {
  account: Account;
  hasPassword: boolean;
  /** True if a proxy signs the person in with each request. Then a sign-out would have no effect. */
  isByProxy?: boolean;
  /** The hash of the token, by which the catalog knows the session. */
  hash: Buffer;
  /** The value of the hidden field of every form. It is derived from the token, so it is different in each session. */
  formToken: string;
}

/** The catalog ends a session after this time, even if the browser keeps the cookie longer. */
export const SESSION_SECONDS = 30 * 24 * 3600;

const TOKEN = /^[\w-]{43}$/;

/** Creates a token of 256 random bits. */
export const newToken = (): string => randomBytes(32).toString('base64url');

/** Returns the hash of a token, or undefined if the text has not the form of a token. */
export function hashOfToken(token: string | undefined): Buffer | undefined {
  return token === undefined || !TOKEN.test(token) ? undefined : createHash('sha256').update(token).digest();
}

/** Finds the session of a token. Returns undefined if it has ended, or if its account is disabled. */
export async function findSession(pool: Pool, token: string | undefined): Promise<Session | undefined> {
  const hash = hashOfToken(token);
  if (token === undefined || hash === undefined) return undefined;
  const { rows } = await explainErrors(() =>
    pool.query<{ account_id: number; name: string; role: AccountRole; has_password: boolean }>('SELECT * FROM catalog.find_session($1)', [
      hash,
    ]),
  );
  const found = rows[0];
  return (
    found && {
      account: { id: found.account_id, name: found.name, role: found.role },
      hasPassword: found.has_password,
      hash,
      formToken: createHmac('sha256', token).update('form').digest('base64url'),
    }
  );
}

/** Opens a session with the key of a password. Returns its token, or undefined if the name or the key is wrong or the account is disabled. */
export async function openSession(pool: Pool, name: string, key: Buffer): Promise<string | undefined> {
  return open(pool, 'SELECT catalog.open_session($1, $2, $3) AS account', [name, key]);
}

/**
 * Opens a session of an account without a password, for a person whom OpenID Connect or a proxy has checked. Returns its token, or undefined
 * if there is no such account.
 */
export async function openExternalSession(pool: Pool, name: string, way: 'oidc' | 'header'): Promise<string | undefined> {
  return open(pool, 'SELECT catalog.open_external_session($1, $3, $2) AS account', [name, way]);
}

async function open(pool: Pool, sql: string, values: unknown[]): Promise<string | undefined> {
  const token = newToken();
  const { rows } = await explainErrors(() => pool.query<{ account: number | null }>(sql, [...values, hashOfToken(token)]));
  return rows[0]?.account == null ? undefined : token;
}

/** Ends the session of a token, if there is one. */
export async function endSession(pool: Pool, token: string | undefined): Promise<void> {
  const hash = hashOfToken(token);
  if (hash) await explainErrors(() => pool.query('SELECT catalog.end_session($1)', [hash]));
}

/** Compares two texts in a time that does not depend on where they differ. */
export function isSameText(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(left, right);
}
