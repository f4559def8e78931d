import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { ClickledgerError } from '../core/errors.ts';
import { createPool, explainDatabaseError } from '../core/postgres.ts';
import { type ShardMap, shardUrl } from '../core/shards.ts';
import { bareAddress } from './bare-text.ts';
import type { Database } from './campaigns.ts';

// Finds, creates and changes single recipients in the catalog, and copies their flags to the shards.

/**
 * Returns a mail address in the form in which addresses are stored and compared: in lower case, with the domain in ASCII, and without a
 * display name or other text around it (`bareAddress`). Returns undefined if the text is not a mail address.
 */
export function normaliseEmail(text: string): string | undefined {
  const email = bareAddress(text).toLowerCase();
  const at = email.lastIndexOf('@');
  // The East Asian full stops separate labels, too (RFC 3490, 3.1).
  const domain = email.slice(at + 1).replace(/[。．｡]/g, '.');
  const local = email.slice(0, at);
  if (local.length > 64 || /^\.|\.\.|\.$/.test(local)) return undefined;
  if (!/\.[^.]*\p{L}[^.]*$/u.test(domain) || /[^\p{L}\p{M}\p{N}.-]/u.test(domain)) return undefined;
  const ascii = `${local}@${domainToASCII(domain)}`;
  return ascii.length <= 254 && EMAIL.safeParse(ascii).success ? ascii : undefined;
}

const EMAIL = z.email({ pattern: z.regexes.html5Email });

function parseEmail(text: string): string {
  const email = normaliseEmail(text);
  if (email === undefined) throw new ClickledgerError('bad-input', `'${text}' is not a mail address`);
  return email;
}

/**
 * Finds the recipient with a mail address, or creates one. Returns its id. Throws `bad-input` if the text is not a mail address and
 * `conflict` if the recipient opted out.
 */
export async function ensureRecipient(db: Database, address: string): Promise<number> {
  const email = parseEmail(address);
  const inserted = await db.query<{ id: number }>(
    'INSERT INTO catalog.recipient (email) VALUES ($1) ON CONFLICT (email) DO NOTHING RETURNING id',
    [email],
  );
  if (inserted.rows[0]) return inserted.rows[0].id;
  const found = await db.query<{ id: number; opted_out_at: Date | null }>(
    'SELECT id, opted_out_at FROM catalog.recipient WHERE email = $1',
    [email],
  );
  const recipient = found.rows[0] as { id: number; opted_out_at: Date | null };
  if (recipient.opted_out_at) throw new ClickledgerError('conflict', `${email} opted out of tracking. Send this person the untracked URL.`);
  return recipient.id;
}

/** Selects a recipient, by mail address or by the author's own id. */
export type RecipientSelector = { email: string } | { id: string };

/** Returns the id of an existing recipient. Throws `not-found` if there is none, and `bad-input` if `email` is not a mail address. */
export async function findRecipient(db: Database, selector: RecipientSelector): Promise<number> {
  const found =
    'email' in selector
      ? await db.query<{ id: number }>('SELECT id FROM catalog.recipient WHERE email = $1', [parseEmail(selector.email)])
      : await db.query<{ id: number }>('SELECT id FROM catalog.recipient WHERE external_id = $1', [selector.id]);
  const id = found.rows[0]?.id;
  if (id === undefined)
    throw new ClickledgerError(
      'not-found',
      'email' in selector ? `no recipient has the address ${selector.email}` : `no recipient has the id '${selector.id}'`,
    );
  return id;
}

/** Records that a recipient wants mail again. Does nothing for a recipient who has not unsubscribed. */
export async function resubscribe(db: Database, recipient: number): Promise<void> {
  await db.query(
    'UPDATE catalog.recipient SET resubscribed_at = now() WHERE id IN (SELECT recipient_id FROM analytics.unsubscribed WHERE recipient_id = $1)',
    [recipient],
  );
}

/** A recipient as `recipient list` shows it. Either the address or the id may be missing, but not both. */
export interface ListedRecipient {
  /** The number in the catalog. */
  recipient: number;
  email: string | null;
  external_id: string | null;
  opted_out_at: Date | null;
  unsubscribed_at: Date | null;
}

const LISTED_AT_ONCE = 10_000;

/**
 * Yields the recipients in chunks, without forgotten ones, ordered by their number in the catalog. With `onlyUnsubscribed`, yields those who
 * are unsubscribed now. All shards must answer.
 */
export async function* listRecipients(db: Database, onlyUnsubscribed: boolean): AsyncGenerator<ListedRecipient[]> {
  const unsubscribed = await db.query<{ id: number; at: Date }>('SELECT recipient_id AS id, at FROM analytics.unsubscribed');
  const times = new Map(unsubscribed.rows.map(({ id, at }) => [id, at]));
  for (let after = 0; ; ) {
    const { rows } = await db.query<Omit<ListedRecipient, 'recipient' | 'unsubscribed_at'> & { id: number }>(
      `SELECT id, email, external_id, opted_out_at FROM catalog.recipient
       WHERE id > $1 AND forgotten_at IS NULL AND ($2::bigint[] IS NULL OR id = ANY ($2)) ORDER BY id LIMIT $3`,
      [after, onlyUnsubscribed ? [...times.keys()] : null, LISTED_AT_ONCE],
    );
    yield rows.map(({ id, email, external_id, opted_out_at }) => ({
      recipient: id,
      email,
      external_id,
      opted_out_at,
      unsubscribed_at: times.get(id) ?? null,
    }));
    if (rows.length < LISTED_AT_ONCE) return;
    after = rows.at(-1)?.id as number;
  }
}

/** Returns a recipient. Throws `not-found` if there is none with this number, or if it was forgotten. All shards must answer. */
export async function readRecipient(db: Database, id: number): Promise<ListedRecipient> {
  const { rows } = await db.query<ListedRecipient>(
    `SELECT id AS recipient, email, external_id, opted_out_at, (SELECT at FROM analytics.unsubscribed WHERE recipient_id = id) AS unsubscribed_at
     FROM catalog.recipient WHERE id = $1 AND forgotten_at IS NULL`,
    [id],
  );
  if (rows[0] === undefined) throw new ClickledgerError('not-found', `there is no recipient with the number ${id}`);
  return rows[0];
}

/**
 * Sets or clears the opt-out of a recipient. Letters that are prepared for a recipient who opted out have the original URLs and no pixel. A
 * repeated opt-out keeps the time of the first one.
 */
export async function setOptedOut(db: Database, recipient: number, optedOut: boolean): Promise<void> {
  await db.query('UPDATE catalog.recipient SET opted_out_at = CASE WHEN $2 THEN coalesce(opted_out_at, now()) END WHERE id = $1', [
    recipient,
    optedOut,
  ]);
}

/**
 * Removes the mail address and the external id of a recipient. The counts stay. They have a number that no longer identifies a person. Returns
 * whether there is such a recipient.
 */
export async function forget(db: Database, recipient: number): Promise<boolean> {
  const { rowCount } = await db.query(
    'UPDATE catalog.recipient SET email = NULL, external_id = NULL, forgotten_at = coalesce(forgotten_at, now()) WHERE id = $1',
    [recipient],
  );
  return rowCount !== 0;
}

/** Sets or removes the flag of test recipients. Test recipients are left out of all counts. */
export async function setTest(db: Database, recipients: readonly number[], test: boolean): Promise<void> {
  await db.query('UPDATE catalog.recipient SET is_test = $2 WHERE id = ANY ($1::bigint[]) AND is_test <> $2', [recipients, test]);
}

/**
 * Copies two flags of these recipients from the catalog to all shards: test recipient and forgotten. The call is idempotent. `clickledger
 * migrate` copies the flags of all recipients. Throws if a shard fails. In this case, the catalog and the shards before the failed shard
 * are up to date.
 */
export async function copyFlagsToShards(db: Database, shards: ShardMap, authorUrl: string, recipients: readonly number[]): Promise<void> {
  const { rows } = await db.query<{ id: number; is_test: boolean; forgotten: boolean }>(
    'SELECT id, is_test, forgotten_at IS NOT NULL AS forgotten FROM catalog.recipient WHERE id = ANY ($1::bigint[])',
    [recipients],
  );
  for (const shard of shards.list) {
    const pool = createPool(shardUrl(shard, authorUrl), { max: 1, name: 'cli', queryTimeoutMs: 10_000 });
    try {
      await pool.query('SELECT shard.tell($1, $2, $3)', [
        rows.map(({ id }) => id),
        rows.map((row) => row.is_test),
        rows.map((row) => row.forgotten),
      ]);
    } catch (error) {
      const { code, message } = explainDatabaseError(error);
      throw new ClickledgerError(
        code,
        `the catalog is changed, but shard ${shard.name} is not (${message}). Run \`clickledger migrate\` to update the shard.`,
        { cause: error },
      );
    } finally {
      await pool.end();
    }
  }
}
