import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { ClickledgerError } from '../core/errors.ts';
import { createPool, explainDatabaseError } from '../core/postgres.ts';
import { type ShardMap, shardUrl } from '../core/shards.ts';
import type { Database } from './campaigns.ts';

/** How addresses are stored and compared: lower case, the domain in ASCII; undefined if it is none. */
export function normaliseEmail(text: string): string | undefined {
  const email = text.trim().toLowerCase();
  const at = email.lastIndexOf('@');
  // The full stops of East Asia separate labels, too (RFC 3490, 3.1).
  const domain = email.slice(at + 1).replace(/[。．｡]/g, '.');
  const local = email.slice(0, at);
  if (local.length > 64 || /^\.|\.\.|\.$/.test(local)) return undefined;
  if (!/\.[^.]*\p{L}[^.]*$/u.test(domain) || /[^\p{L}\p{M}\p{N}.-]/u.test(domain)) return undefined;
  const ascii = `${local}@${domainToASCII(domain)}`;
  return ascii.length <= 254 && z.email({ pattern: z.regexes.html5Email }).safeParse(ascii).success ? ascii : undefined;
}

function parseEmail(text: string): string {
  const email = normaliseEmail(text);
  if (email === undefined) throw new ClickledgerError('bad-input', `'${text}' is no mail address`);
  return email;
}

/** The number of a person, who becomes known by this. */
export async function ensureRecipient(db: Database, address: string): Promise<number> {
  const email = parseEmail(address);
  const made = await db.query<{ id: number }>(
    'INSERT INTO catalog.recipient (email) VALUES ($1) ON CONFLICT (email) DO NOTHING RETURNING id',
    [email],
  );
  if (made.rows[0]) return made.rows[0].id;
  const found = await db.query<{ id: number; opted_out_at: Date | null }>(
    'SELECT id, opted_out_at FROM catalog.recipient WHERE email = $1',
    [email],
  );
  const recipient = found.rows[0] as { id: number; opted_out_at: Date | null };
  if (recipient.opted_out_at) throw new ClickledgerError('conflict', `${email} has opted out of tracking: send the untracked address`);
  return recipient.id;
}

/** Who is meant: by mail address, or by the author's own id. */
export type PersonName = { email: string } | { id: string };

/** The number of a person who is known already. */
export async function findRecipient(db: Database, name: PersonName): Promise<number> {
  const found =
    'email' in name
      ? await db.query<{ id: number }>('SELECT id FROM catalog.recipient WHERE email = $1', [parseEmail(name.email)])
      : await db.query<{ id: number }>('SELECT id FROM catalog.recipient WHERE external_id = $1', [name.id]);
  const id = found.rows[0]?.id;
  if (id === undefined)
    throw new ClickledgerError('not-found', 'email' in name ? `nobody has the address ${name.email}` : `nobody has the id '${name.id}'`);
  return id;
}

/** From now on letters to this person have the untracked addresses and no pixel; or tracked ones again. */
export async function setOptedOut(db: Database, recipient: number, out: boolean): Promise<void> {
  await db.query('UPDATE catalog.recipient SET opted_out_at = CASE WHEN $2 THEN coalesce(opted_out_at, now()) END WHERE id = $1', [
    recipient,
    out,
  ]);
}

/** Removes everything that names a person. What was counted stays, with a number that leads nowhere any more. */
export async function forget(db: Database, recipient: number): Promise<void> {
  await db.query(
    'UPDATE catalog.recipient SET email = NULL, external_id = NULL, forgotten_at = coalesce(forgotten_at, now()) WHERE id = $1',
    [recipient],
  );
}

/** Leaves people out of all counts, or counts them again. */
export async function setTest(db: Database, recipients: readonly number[], test: boolean): Promise<void> {
  await db.query('UPDATE catalog.recipient SET is_test = $2 WHERE id = ANY ($1::bigint[]) AND is_test <> $2', [recipients, test]);
}

/** Copies what shards have to know of these people to every one of them. Safe to repeat; `clickledger migrate` does it for everybody. */
export async function tellShards(db: Database, shards: ShardMap, authorUrl: string, recipients: readonly number[]): Promise<void> {
  const { rows } = await db.query<{ id: number; is_test: boolean; forgotten: boolean }>(
    'SELECT id, is_test, forgotten_at IS NOT NULL AS forgotten FROM catalog.recipient WHERE id = ANY ($1::bigint[])',
    [recipients],
  );
  for (const shard of shards.list) {
    const pool = createPool(shardUrl(shard, authorUrl), { max: 1, name: 'cli' });
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
        `done in the catalog, but not on shard ${shard.name} yet (${message}): \`clickledger migrate\` makes up for it`,
        { cause: error },
      );
    } finally {
      await pool.end();
    }
  }
}
