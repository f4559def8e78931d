import { type AccountRole, parseAccountName } from '../core/account.ts';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { hashPassword } from '../core/password.ts';
import { type Pool, transaction } from '../core/postgres.ts';

// Creates and changes the accounts of the desk. All functions need the owner of the catalog. The desk makes the same changes by functions of
// the catalog that check the role of the person who acts (sql/catalog/0015-team.sql).

/** An account without its password. */
export interface AccountRow {
  id: number;
  name: string;
  role: AccountRole;
  has_password: boolean;
  /** The number of its valid sessions. */
  sessions: number;
  created_at: Date;
  /** Null if nobody has signed in. It is at most a minute too old. */
  last_used_at: Date | null;
  disabled_at: Date | null;
}

export interface SessionRow {
  id: number;
  created_at: Date;
  last_used_at: Date;
  expires_at: Date;
}

/** The account of a change. */
export interface ChangedAccount {
  id: number;
  name: string;
}

const UNIQUE_VIOLATION = '23505';

/**
 * Creates an account. Without a password, it signs in by OpenID Connect or by the header of a proxy. Throws `conflict` if the name exists
 * in upper or lower case, also if that account is disabled, and `bad-input` for a wrong name or password.
 */
export async function createAccount(
  pool: Pool,
  name: string,
  role: AccountRole,
  password: string | undefined,
): Promise<ChangedAccount & { role: AccountRole }> {
  const stored = parseAccountName(name);
  const hash = password === undefined ? null : await hashPassword(password);
  try {
    return await transaction(pool, async (client) => {
      const { rows } = await client.query<{ id: number }>(
        'INSERT INTO catalog.account (name, role, password) VALUES ($1, $2, $3) RETURNING id',
        [stored, role, hash],
      );
      const { id } = rows[0] as { id: number };
      await record(client, 'create', id, { role, has_password: hash !== null });
      return { id, name: stored, role };
    });
  } catch (error) {
    if (codeOf(error) !== UNIQUE_VIOLATION) throw error;
    throw new ClickledgerError(
      'conflict',
      `there is already an account '${stored}': choose another name, or change that account (\`clickledger user list\` lists all)`,
      { cause: error },
    );
  }
}

/** Returns all accounts. Those that are disabled come last. */
export async function listAccounts(pool: Pool): Promise<AccountRow[]> {
  const { rows } = await pool.query<AccountRow>(
    `SELECT a.id, a.name, a.role, a.password IS NOT NULL AS has_password,
            (SELECT count(*) FROM catalog.live_session s WHERE s.account_id = a.id) AS sessions, a.created_at, a.last_used_at, a.disabled_at
     FROM catalog.account a ORDER BY a.disabled_at IS NOT NULL, lower(a.name), a.id`,
  );
  return rows;
}

/** Changes the role of an account. Its sessions have the new role from their next request. */
export async function setRole(pool: Pool, name: string, role: AccountRole): Promise<ChangedAccount> {
  return change(pool, name, async (client, { id }) => {
    await client.query('UPDATE catalog.account SET role = $2 WHERE id = $1', [id, role]);
    await record(client, 'role', id, { role });
  });
}

/** Sets the password of an account, or removes it, and ends all its sessions. */
export async function setPassword(pool: Pool, name: string, password: string | undefined): Promise<ChangedAccount> {
  const hash = password === undefined ? null : await hashPassword(password);
  return change(pool, name, (client, { id }) => client.query('SELECT catalog.set_password(NULL, $1, $2, NULL)', [id, hash]));
}

/** Disables an account and ends all its sessions. Its name stays taken, because the log of changes refers to it. */
export async function disableAccount(pool: Pool, name: string): Promise<ChangedAccount> {
  return change(pool, name, (client, { id }) => client.query('SELECT catalog.disable(NULL, $1)', [id]));
}

/** Enables an account again. */
export async function enableAccount(pool: Pool, name: string): Promise<ChangedAccount> {
  return change(pool, name, async (client, { id }) => {
    await client.query('UPDATE catalog.account SET disabled_at = NULL WHERE id = $1', [id]);
    await record(client, 'enable', id, {});
  });
}

/** Returns the valid sessions of an account, the last used first. */
export async function listSessions(pool: Pool, name: string): Promise<SessionRow[]> {
  const { id } = await find(pool, name);
  const { rows } = await pool.query<SessionRow>(
    'SELECT id, created_at, last_used_at, expires_at FROM catalog.live_session WHERE account_id = $1 ORDER BY last_used_at DESC, id DESC',
    [id],
  );
  return rows;
}

/** Ends all sessions of an account. */
export async function endSessions(pool: Pool, name: string): Promise<ChangedAccount & { ended: number }> {
  let ended = 0;
  const account = await change(pool, name, async (client, { id }) => {
    const { rows } = await client.query<{ ended: number }>('SELECT catalog.end_sessions(NULL, $1, NULL) AS ended', [id]);
    ended = rows[0]?.ended ?? 0;
  });
  return { ...account, ended };
}

/** Runs `work` with an account in one transaction. Throws `not-found` if there is no such account. */
async function change(
  pool: Pool,
  name: string,
  work: (client: Pick<Pool, 'query'>, account: ChangedAccount) => Promise<unknown>,
): Promise<ChangedAccount> {
  return transaction(pool, async (client) => {
    const account = await find(client, name);
    await work(client, account);
    return account;
  });
}

async function find(client: Pick<Pool, 'query'>, name: string): Promise<ChangedAccount> {
  const { rows } = await client.query<ChangedAccount>(
    'SELECT id, name FROM catalog.account WHERE lower(name COLLATE "C") = lower($1::text COLLATE "C")',
    [parseAccountName(name)],
  );
  if (rows[0] === undefined)
    throw new ClickledgerError('not-found', `there is no account '${name}'. \`clickledger user list\` lists the accounts.`);
  return rows[0];
}

/** Adds a row about a change to the log. It names the account by its number, because a name may be a mail address. */
async function record(client: Pick<Pool, 'query'>, action: string, id: number, details: object): Promise<void> {
  await client.query('SELECT catalog.record_change(NULL, $1, $2, $3)', [`account.${action}`, `account ${id}`, details]);
}
