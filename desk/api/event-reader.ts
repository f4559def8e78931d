import { ClickledgerError } from '../../core/errors.ts';
import { type Pool, type PoolClient, transaction } from '../../core/postgres.ts';
import { formatMultirange } from '../../core/ranges.ts';
import type { Verdict } from '../../core/rules.ts';
import { type Ledger, ledgerFrom } from '../../feed/due.ts';
import type { EventKind, Filter } from '../../feed/filter.ts';
import { type ChangePosition, NO_CHANGES } from '../../feed/read-events.ts';
import { type Cursor, hashOf, newCheck, newSecret } from './cursor.ts';
import { ApiError } from './problems.ts';

// The state of the readings of `GET /events` in the catalog (sql/catalog/0014-event-readers.sql). Every change depends on the version that the caller has
// read. So of two requests at the same time, one changes the reading, and the other one begins anew.

/** So many readings may a key have. */
export const MAX_READERS = 100;
/** A reading ends so many days after its last use. */
const KEEP_DAYS = 30;
/** So many readings are removed in one statement. */
const REMOVED_AT_ONCE = 20;

export interface Reader {
  readonly id: number;
  readonly keyId: string;
  readonly filter: Filter;
  readonly version: number;
  /** The number of the last page, and the text in its cursor. */
  readonly page: number;
  readonly check: string;
  /** The text in the cursor before the last page. Null if the last page was acknowledged. */
  readonly checkBefore: string | null;
  /** Whether there is a page that is not acknowledged. */
  readonly hasPage: boolean;
}

/** What a reading has of one shard. All sets are by generation. */
export interface ShardState {
  readonly before: Ledger;
  readonly delivered: Ledger;
  readonly position: ChangePosition;
}

/** What is delivered from one shard with a page. The position is undefined if it does not change. */
export interface Progress {
  readonly shard: string;
  readonly ranges: Ledger;
  readonly position: ChangePosition | undefined;
}

/** Where a reading begins in one shard. */
export interface ShardStart {
  readonly shard: string;
  readonly before: Ledger;
  readonly position: ChangePosition;
}

interface ReaderRow {
  id: number;
  keyId: string;
  kinds: EventKind[];
  campaigns: string[] | null;
  verdicts: Verdict[] | null;
  since: Date | null;
  wait_seconds: number;
  version: number;
  page: number;
  check: string;
  checkBefore: string | null;
  hasPage: boolean;
  isStale: boolean;
}

/** Begins a reading and returns its first cursor. Throws `conflict` if the key has too many readings. */
export async function beginReader(catalog: Pool, keyId: string, filter: Filter, starts: readonly ShardStart[]): Promise<Cursor> {
  const cursor: Cursor = { secret: newSecret(), page: 0, check: newCheck() };
  await transaction(catalog, async (client) => {
    // Other requests of the key that begin a reading wait here, so that their number is exact.
    await client.query('SELECT FROM catalog.api_key WHERE id = $1 FOR NO KEY UPDATE', [keyId]);
    const { rows } = await client.query<{ readers: number }>(
      'SELECT count(*)::int AS readers FROM catalog.event_reader WHERE key_id = $1',
      [keyId],
    );
    if ((rows[0]?.readers ?? 0) >= MAX_READERS)
      throw new ClickledgerError(
        'conflict',
        `this key has ${MAX_READERS} readings of events: go on with a stored cursor in \`after\`. A reading ends ${KEEP_DAYS} days after its last use, or when its key is revoked.`,
      );
    const inserted = await client.query<{ id: number }>(
      `INSERT INTO catalog.event_reader (secret_hash, key_id, kinds, campaigns, verdicts, since, wait_seconds, page_check)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
      [
        hashOf(cursor.secret),
        keyId,
        filter.kinds,
        filter.campaigns,
        filter.verdicts,
        filter.since,
        Math.round(filter.waitMs / 1000),
        cursor.check,
      ],
    );
    const id = inserted.rows[0]?.id;
    for (const { shard, before, position } of starts) {
      await client.query(
        `INSERT INTO catalog.event_reader_ledger (reader_id, shard, gen, before) SELECT $1, $2, * FROM unnest($3::uuid[], $4::int8multirange[])`,
        [id, shard, [...before.keys()], Array.from(before.values(), formatMultirange)],
      );
      await client.query('INSERT INTO catalog.event_reader_position (reader_id, shard, change_id, changed_at) VALUES ($1, $2, $3, $4)', [
        id,
        shard,
        position.id,
        position.changedAt,
      ]);
    }
  });
  return cursor;
}

/** Reads the reading of a cursor, and records that it is used. Throws `gone` if there is none, and `not-found` if it belongs to another key. */
export async function findReader(catalog: Pool, keyId: string, secret: string): Promise<Reader> {
  const { rows } = await catalog.query<ReaderRow>(
    `SELECT id, key_id AS "keyId", kinds, campaigns, verdicts, since, wait_seconds, version, page, page_check AS "check", before_check AS "checkBefore",
            content IS NOT NULL AS "hasPage", used_at < now() - interval '1 minute' AS "isStale"
     FROM catalog.event_reader WHERE secret_hash = $1`,
    [hashOf(secret)],
  );
  const row = rows[0];
  if (row === undefined)
    throw new ApiError(
      'gone',
      `this reading is unknown: it was not used for ${KEEP_DAYS} days, or the catalog was restored from a backup that is older than the reading. Begin a new reading without \`after\`, with from=everything or a time. Events have the same ids as before, so leave out those that you have.`,
    );
  if (row.keyId !== keyId) throw new ClickledgerError('not-found', 'this reading belongs to another key: use the key with which it began');
  if (row.isStale) await catalog.query('UPDATE catalog.event_reader SET used_at = now() WHERE id = $1', [row.id]);
  const { kinds, campaigns, verdicts, since, wait_seconds, isStale: _isStale, ...rest } = row;
  return { ...rest, filter: { kinds, campaigns: campaigns?.map(Number) ?? null, verdicts, since, waitMs: wait_seconds * 1000 } };
}

/** Reads what a reading has of each shard. */
export async function readShardStates(catalog: Pool, reader: Reader): Promise<(shard: string) => ShardState> {
  const ledger = await catalog.query<{ shard: string; gen: string; before: string; delivered: string }>(
    'SELECT shard, gen, before::text AS before, delivered::text AS delivered FROM catalog.event_reader_ledger WHERE reader_id = $1',
    [reader.id],
  );
  const positions = await catalog.query<{ shard: string; id: number; changedAt: string }>(
    'SELECT shard, change_id AS id, changed_at::text AS "changedAt" FROM catalog.event_reader_position WHERE reader_id = $1',
    [reader.id],
  );
  const byShard = Map.groupBy(ledger.rows, ({ shard }) => shard);
  const positionOf = new Map(positions.rows.map(({ shard, id, changedAt }) => [shard, { id, changedAt }]));
  return (shard) => {
    const rows = byShard.get(shard) ?? [];
    return {
      before: ledgerFrom(rows.map(({ gen, before }) => [gen, before])),
      delivered: ledgerFrom(rows.map(({ gen, delivered }) => [gen, delivered])),
      position: positionOf.get(shard) ?? NO_CHANGES,
    };
  };
}

/** Reads the page that is not acknowledged. Undefined if the reading was changed in the meantime. */
export async function readContent(catalog: Pool, { id, version }: Reader): Promise<Buffer | undefined> {
  const { rows } = await catalog.query<{ content: Buffer | null }>(
    'SELECT content FROM catalog.event_reader WHERE id = $1 AND version = $2',
    [id, version],
  );
  return rows[0]?.content ?? undefined;
}

/** Changes a reading in a transaction. Returns false, and changes nothing, if the reading has another version. */
async function change(
  catalog: Pool,
  { id, version }: Reader,
  set: string,
  values: readonly unknown[],
  work: (client: PoolClient) => Promise<unknown>,
): Promise<boolean> {
  return transaction(catalog, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE catalog.event_reader SET version = version + 1, used_at = now()${set} WHERE id = $1 AND version = $2`,
      [id, version, ...values],
    );
    if (rowCount === 0) return false;
    await work(client);
    return true;
  });
}

/** Adds the ranges of the last page to what was delivered. Returns false if the reading was changed in the meantime. */
export function acknowledge(catalog: Pool, reader: Reader): Promise<boolean> {
  return change(catalog, reader, ', content = NULL, before_check = NULL', [], async (client) => {
    await client.query(
      `UPDATE catalog.event_reader_ledger SET delivered = delivered + pending, pending = '{}' WHERE reader_id = $1 AND NOT isempty(pending)`,
      [reader.id],
    );
    await client.query(
      `UPDATE catalog.event_reader_position SET change_id = pending_id, changed_at = pending_changed_at, pending_id = NULL, pending_changed_at = NULL
       WHERE reader_id = $1 AND pending_id IS NOT NULL`,
      [reader.id],
    );
  });
}

/** Stores the next page. Returns false if the reading was changed in the meantime. */
export function issuePage(catalog: Pool, reader: Reader, check: string, content: Buffer, progress: readonly Progress[]): Promise<boolean> {
  return change(
    catalog,
    reader,
    ', page = page + 1, before_check = page_check, page_check = $3, content = $4',
    [check, content],
    (client) => addProgress(client, reader.id, progress, true),
  );
}

/** Records that ranges without events to deliver are done. Returns false if the reading was changed in the meantime. */
export function advance(catalog: Pool, reader: Reader, progress: readonly Progress[]): Promise<boolean> {
  return change(catalog, reader, '', [], (client) => addProgress(client, reader.id, progress, false));
}

async function addProgress(client: PoolClient, id: number, progress: readonly Progress[], isPending: boolean): Promise<void> {
  for (const { shard, ranges, position } of progress) {
    await client.query(
      `INSERT INTO catalog.event_reader_ledger AS l (reader_id, shard, gen, delivered, pending)
       SELECT $1, $2, gen, CASE WHEN $5 THEN '{}' ELSE ranges END, CASE WHEN $5 THEN ranges ELSE '{}' END
       FROM unnest($3::uuid[], $4::int8multirange[]) AS new (gen, ranges)
       ON CONFLICT (reader_id, shard, gen) DO UPDATE SET delivered = l.delivered + excluded.delivered, pending = l.pending + excluded.pending`,
      [id, shard, [...ranges.keys()], Array.from(ranges.values(), formatMultirange), isPending],
    );
    if (position === undefined) continue;
    await client.query(
      isPending
        ? 'UPDATE catalog.event_reader_position SET pending_id = $3, pending_changed_at = $4 WHERE reader_id = $1 AND shard = $2'
        : 'UPDATE catalog.event_reader_position SET change_id = $3, changed_at = $4 WHERE reader_id = $1 AND shard = $2',
      [id, shard, position.id, position.changedAt],
    );
  }
}

/**
 * Removes the readings that were not used for KEEP_DAYS and those of revoked keys, a few at a time. Several desks may do this at the same time. Returns
 * how many were removed.
 */
export async function removeUnusedReaders(catalog: Pool): Promise<number> {
  for (let removed = 0; ; ) {
    const { rowCount } = await catalog.query(
      `DELETE FROM catalog.event_reader WHERE id IN (
         SELECT r.id FROM catalog.event_reader r JOIN catalog.api_key k ON k.id = r.key_id
         WHERE r.used_at < now() - $1 * interval '1 day' OR k.revoked_at IS NOT NULL
         LIMIT $2 FOR UPDATE OF r SKIP LOCKED)`,
      [KEEP_DAYS, REMOVED_AT_ONCE],
    );
    removed += rowCount ?? 0;
    if ((rowCount ?? 0) < REMOVED_AT_ONCE) return removed;
  }
}
