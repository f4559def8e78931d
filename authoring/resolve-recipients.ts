import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { from as copyFrom } from 'pg-copy-streams';
import { codeOf } from '../core/errors.ts';
import { type Pool, type PoolClient, transaction } from '../core/postgres.ts';
import { copyText } from '../core/copy-text.ts';
import { shardSilent, useUnsubscribing } from './unsubscribes-known.ts';

// Finds or creates many recipients at once. COPY writes a chunk of people into a temporary table. The statements below then update known
// recipients, insert new recipients and read the ids of all people.

/**
 * Identifies a person by a mail address as `normaliseEmail` returns it, by the author's own id, or by both. With both, the id identifies
 * the person, and the address may change.
 */
export interface PersonKey {
  email: string | undefined;
  externalId: string | undefined;
}

export interface Recipient {
  id: number;
  optedOut: boolean;
  isTest: boolean;
  /** Whether the recipient has unsubscribed. Always false if no campaign was given. */
  unsubscribed: boolean;
}

/** Returns the recipient of a letter, or the reason why the person gets none. `found` is a result of `resolveRecipients`. */
export function recipientOrReason(found: Recipient | undefined): Recipient | 'conflict' | 'unsubscribed' {
  if (found === undefined) return 'conflict';
  return found.unsubscribed ? 'unsubscribed' : found;
}

/** The advisory lock that serialises imports. Without the lock, two imports at the same time could create the same recipients. */
const IMPORT_LOCK = 4_718_230;
const MAX_ATTEMPTS = 5;

/** What `resolveRecipients` writes. By default it writes everything. */
export interface ResolveOptions {
  /** False: the catalog does not record that mail was prepared. `recordMailing` does this later. */
  record?: boolean;
  /** False: nothing is written at all, also no new recipients. The numbers of new recipients have no meaning then. */
  write?: boolean;
}

/**
 * Returns the recipients of people, in the order of `people`. The result is undefined for a person whose address and id belong to two
 * different recipients. With `campaign`, the catalog records that mail of this campaign was prepared for the recipients who have not
 * unsubscribed, unless `options` say otherwise. If some campaign has a link for unsubscribing, all shards must answer. Calls with several thousand people are the fastest.
 */
export async function resolveRecipients(
  pool: Pool,
  people: readonly PersonKey[],
  campaign?: number,
  options: ResolveOptions = {},
): Promise<(Recipient | undefined)[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await resolveOnce(pool, people, campaign, options);
    } catch (error) {
      // 23505 means unique_violation. A process that is not an import has created the same recipient at the same time.
      if (codeOf(error) !== '23505' || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function resolveOnce(
  pool: Pool,
  people: readonly PersonKey[],
  campaign: number | undefined,
  { record = true, write = true }: ResolveOptions,
): Promise<(Recipient | undefined)[]> {
  return transaction(pool, async (client) => {
    await client.query('CREATE TEMPORARY TABLE incoming (n integer, email text, external_id text) ON COMMIT DROP');
    await client.query('SELECT pg_advisory_xact_lock($1)', [IMPORT_LOCK]);
    await copyIn(client, people);
    // Postgres must look people up by index. Without these settings and statistics it may read all recipients, for each chunk of a list.
    await client.query('SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; ANALYZE incoming');
    const byId = people.some(({ externalId }) => externalId !== undefined);
    // A new address may still belong to a recipient whose own address changes in the same list. The statement is repeated until it changes
    // no row, so that such an address is set in a later round.
    while (byId && ((await client.query(UPDATE_CHANGED_EMAILS)).rowCount ?? 0) > 0);
    if (byId) await client.query(SET_MISSING_IDS);
    const { rows } = await client.query<Found>(SELECT_ALL);
    if (rows.length < people.length) {
      await client.query('DELETE FROM incoming WHERE n = ANY ($1)', [rows.map(({ n }) => n)]);
      await client.query(INSERT_NEW);
      rows.push(...(await client.query<Found>(SELECT_ALL)).rows);
    }
    const ids = rows.map(({ id }) => id);
    let unsubscribed: ReadonlySet<number> = new Set();
    if (campaign !== undefined) {
      unsubscribed = await unsubscribedOf(client, ids);
      if (record)
        await recordMailing(
          client,
          campaign,
          ids.filter((id) => !unsubscribed.has(id)),
        );
    }
    if (!write) await client.query('ROLLBACK');
    const recipients: (Recipient | undefined)[] = people.map(() => undefined);
    for (const { n, id, optedOut, isTest } of rows) recipients[n] = { id, optedOut, isTest, unsubscribed: unsubscribed.has(id) };
    return recipients;
  });
}

/** Records that mail of a campaign was prepared for these recipients. The call is idempotent. */
export async function recordMailing(db: Pick<PoolClient, 'query'>, campaign: number, recipients: readonly number[]): Promise<void> {
  await db.query(
    'INSERT INTO catalog.mailing (campaign_id, recipient_id) SELECT $1, id FROM unnest($2::bigint[]) id ON CONFLICT DO NOTHING',
    [campaign, recipients],
  );
}

/** Returns those of these recipients who have unsubscribed. Queries the shards only if some campaign has a link for unsubscribing. */
async function unsubscribedOf(client: PoolClient, ids: readonly number[]): Promise<ReadonlySet<number>> {
  if (!(await useUnsubscribing(client))) return new Set();
  const { rows } = await client
    .query<{ id: number }>('SELECT recipient_id AS id FROM analytics.unsubscribed WHERE recipient_id = ANY ($1)', [ids])
    .catch(shardSilent);
  return new Set(rows.map(({ id }) => id));
}

/** Updates the address of a recipient with a known id, unless another recipient has the new address. */
const UPDATE_CHANGED_EMAILS = `
  UPDATE catalog.recipient r SET email = i.email FROM incoming i
  WHERE r.external_id = i.external_id AND i.email IS NOT NULL AND r.email IS DISTINCT FROM i.email
    AND NOT EXISTS (SELECT FROM catalog.recipient other WHERE other.email = i.email)`;

/** Sets the id of a recipient with a known address that has no id, unless another recipient has this id. */
const SET_MISSING_IDS = `
  UPDATE catalog.recipient r SET external_id = i.external_id FROM incoming i
  WHERE r.email = i.email AND r.external_id IS NULL AND i.external_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM catalog.recipient other WHERE other.external_id = i.external_id)`;

/**
 * Inserts people who are not in the catalog. The WHERE clause excludes known people, because a row that ON CONFLICT skips would use up an
 * id of the sequence.
 */
const INSERT_NEW = `
  INSERT INTO catalog.recipient (email, external_id)
  SELECT email, external_id FROM incoming i
  WHERE NOT EXISTS (SELECT FROM catalog.recipient r WHERE r.email = i.email)
    AND NOT EXISTS (SELECT FROM catalog.recipient r WHERE r.external_id = i.external_id)
  ORDER BY n ON CONFLICT DO NOTHING`;

/** A row of SELECT_ALL. `n` is the index of the person. */
type Found = Omit<Recipient, 'unsubscribed'> & { n: number };

/** Selects the recipient of each person. People with contradictory addresses and ids have no row. */
const SELECT_ALL = `
  SELECT n, r.id, r.opted_out_at IS NOT NULL AS "optedOut", r.is_test AS "isTest"
  FROM incoming i JOIN catalog.recipient r ON r.external_id = i.external_id AND (i.email IS NULL OR r.email = i.email)
  UNION ALL
  SELECT n, r.id, r.opted_out_at IS NOT NULL, r.is_test
  FROM incoming i JOIN catalog.recipient r ON r.email = i.email WHERE i.external_id IS NULL`;

/**
 * Copies people into the temporary table. If several people of the chunk contradict each other, only the first is copied, because one
 * statement cannot set two addresses for one recipient. An entry with only an address or only an id is completed if another entry has both.
 */
async function copyIn(client: PoolClient, people: readonly PersonKey[]): Promise<void> {
  const emailOf = new Map<string, string>();
  const idOf = new Map<string, string>();
  const isConsistent = people.map(({ email, externalId }) => {
    if (email === undefined || externalId === undefined) return email !== undefined || externalId !== undefined;
    if ((emailOf.get(externalId) ?? email) !== email || (idOf.get(email) ?? externalId) !== externalId) return false;
    emailOf.set(externalId, email);
    idOf.set(email, externalId);
    return true;
  });
  const lines = people.map((person, n) => {
    if (!isConsistent[n]) return '';
    const email = person.email ?? emailOf.get(person.externalId as string);
    const externalId = person.externalId ?? idOf.get(person.email as string);
    return `${n}\t${copyText(email ?? null)}\t${copyText(externalId ?? null)}\n`;
  });
  await pipeline(Readable.from([lines.join('')]), client.query(copyFrom('COPY incoming FROM STDIN')));
}
