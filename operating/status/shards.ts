import { ClickledgerError } from '../../core/errors.ts';
import { createPool, explainDatabaseError, type Pool } from '../../core/postgres.ts';
import type { Shard } from '../../core/shards.ts';
import type { Sample } from './read-part.ts';
import { statusProblem, type StatusProblem } from './status-problem.ts';
import type { StreamStatus } from './stream.ts';

/** This timeout is longer than the timeout for parts, because a first connection to Postgres may be slow. */
const QUERY_TIMEOUT_MS = 5_000;

/** The state of one shard. A value is null if it is unknown. */
export interface ShardStatus {
  shard: string;
  /** Whether the database answers. */
  answers: boolean;
  /** The number of batches that are published and not acked, and an estimate of their bytes from the mean size of a message. */
  waiting_messages: number | null;
  waiting_bytes: number | null;
  last_commit: Date | null;
  generations: number | null;
  committed_bytes: number | null;
  /**
   * The number of bytes that this shard has not committed, and the number of holes. Both count all logs that are in the ledger of at least
   * one shard.
   */
  missing_bytes: number | null;
  holes: number | null;
  dead_letters: number | null;
  dead_letters_last_day: number | null;
  /** Both values come from the metrics of a worker of this shard. */
  judge_delay_seconds: number | null;
  unjudged_hits: number | null;
  /** The number of hits that the workers of this shard have stored with `(other)` instead of a value since their start. */
  folded_hits: number | null;
  database_bytes: number | null;
  /** Always null, because Postgres shows the free space of its disk only to the owner. */
  database_disk_free_bytes: null;
}

interface LedgerRow {
  gen: string;
  size: number | null;
  committed_bytes: number;
  committed_to: number;
  holes: number;
}

/** The complete generations of a shard: those with all bytes committed. Two shards with the same numbers have the same complete generations. */
interface CompleteGenerations {
  generations: number;
  /** The sum of a hash of each generation, as a decimal number. */
  hash: string;
  bytes: number;
}

/** The data of one shard database. */
export interface ShardData {
  /** These generations are not in `ledger`. */
  complete: CompleteGenerations;
  ledger: LedgerRow[];
  last_commit: Date | null;
  dead_letters: number;
  dead_letters_last_day: number;
  database_bytes: number;
}

/** Runs `read` with a connection to the database. An error of the database is returned, not thrown. */
export async function queryDatabase<T>(url: string, read: (pool: Pool) => Promise<T>): Promise<T | ClickledgerError> {
  const pool = createPool(url, { max: 1, name: 'status', queryTimeoutMs: QUERY_TIMEOUT_MS });
  try {
    return await read(pool);
  } catch (error) {
    return explainDatabaseError(error);
  } finally {
    await pool.end();
  }
}

/** Resolves if the analyst can read the catalog. */
export async function readCatalog(pool: Pool): Promise<void> {
  await pool.query('SELECT FROM analytics.campaigns LIMIT 1');
}

/**
 * Reads the data of all shards. `urls` are their databases. A ledger has a row for each log of all years, and nearly all of these logs are
 * complete on all shards. So the complete generations are only counted. If the shards differ, for example while a restored shard is filled, each
 * complete generation is read.
 */
export async function readShards(urls: readonly string[]): Promise<(ShardData | ClickledgerError)[]> {
  const databases = await Promise.all(urls.map((url) => queryDatabase(url, readShard)));
  const found = databases.filter((data): data is ShardData => !(data instanceof ClickledgerError));
  if (new Set(found.map(({ complete: { generations, hash, bytes } }) => `${generations} ${hash} ${bytes}`)).size <= 1) return databases;
  return Promise.all(
    databases.map(async (data, i) =>
      data instanceof ClickledgerError ? data : queryDatabase(urls[i] as string, (pool) => withAllRows(pool, data)),
    ),
  );
}

export async function readShard(pool: Pool): Promise<ShardData> {
  type Row = CompleteGenerations & { last_commit: Date | null } & { [Name in keyof LedgerRow]: LedgerRow[Name] | null };
  // This is one statement, so that no generation becomes complete between the reading of the two views.
  const ledger = await pool.query<Row>(`
    SELECT c.generations, c.hash::text AS hash, c.bytes::bigint AS bytes, c.last_at AS last_commit,
           i.gen::text AS gen, i.size, i.committed_bytes, i.committed_to, i.holes
    FROM shard_analytics.ledger_complete c LEFT JOIN shard_analytics.ledger_incomplete i ON true`);
  const rest = await pool.query<Omit<ShardData, 'complete' | 'ledger' | 'last_commit'>>(`
    SELECT count(*) AS dead_letters, count(*) FILTER (WHERE at > now() - interval '1 day') AS dead_letters_last_day,
           pg_database_size(current_database()) AS database_bytes
    FROM shard_analytics.dead_letters`);
  const { generations, hash, bytes, last_commit } = ledger.rows[0] as Row;
  return {
    ...(rest.rows[0] as (typeof rest.rows)[0]),
    complete: { generations, hash, bytes },
    ledger: ledger.rows.filter((row) => row.gen !== null) as unknown as LedgerRow[],
    last_commit,
  };
}

/** Reads the complete generations of a shard, with their lengths in bytes. */
export async function readCompleteGenerations(pool: Pool): Promise<{ gen: string; size: number }[]> {
  const { rows } = await pool.query<{ gen: string; size: number }>(
    'SELECT gen::text AS gen, size FROM shard_analytics.complete_generation',
  );
  return rows;
}

/** Adds the complete generations to the rows of the ledger. */
async function withAllRows(pool: Pool, data: ShardData): Promise<ShardData> {
  // A generation that became complete after `readShard` is in both results. The later result is the right one.
  const byGen = new Map(data.ledger.map((row) => [row.gen, row]));
  for (const { gen, size } of await readCompleteGenerations(pool))
    byGen.set(gen, { gen, size, committed_bytes: size, committed_to: size, holes: 0 });
  return { ...data, complete: { generations: 0, hash: '0', bytes: 0 }, ledger: [...byGen.values()] };
}

export function problemsOfShard(name: string, data: ShardData | ClickledgerError): StatusProblem[] {
  if (data instanceof ClickledgerError) return [statusProblem(`shard ${name}`, 'database-unreachable', data.message)];
  return data.dead_letters_last_day === 0 ? [] : [statusProblem(`shard ${name}`, 'dead-letters', String(data.dead_letters_last_day))];
}

/** Returns the state of all shards. `databases` is in the order of `shards`. `waiting` has the number of waiting batches of each shard. */
export function shardStatuses(
  shards: readonly Shard[],
  databases: readonly (ShardData | ClickledgerError)[],
  waiting: ReadonlyMap<string, number>,
  stream: StreamStatus,
  samples: readonly Sample[],
): ShardStatus[] {
  // The highest known end of each generation, from all shards. If a shard has no row for a generation, the whole generation is a hole on
  // this shard. The view analytics.completeness counts in the same way.
  const ends = new Map<string, number>();
  for (const data of databases) {
    if (data instanceof ClickledgerError) continue;
    for (const { gen, size, committed_to } of data.ledger) ends.set(gen, Math.max(ends.get(gen) ?? 0, size ?? 0, committed_to));
  }
  const meanBytes = stream.bytes !== null && stream.messages ? stream.bytes / stream.messages : 0;
  return shards.map(({ name }, i): ShardStatus => {
    const messages = waiting.get(name) ?? null;
    const valuesOf = (metric: string): number[] =>
      samples.filter((sample) => sample.name === metric && sample.labels['shard'] === name).map(({ value }) => value);
    return {
      shard: name,
      waiting_messages: messages,
      waiting_bytes: messages === null ? null : Math.round(messages * meanBytes),
      ...summarizeShard(databases[i] as ShardData | ClickledgerError, ends),
      judge_delay_seconds: valuesOf('clickledger_worker_judge_delay_seconds').sort((a, b) => a - b)[0] ?? null,
      unjudged_hits: valuesOf('clickledger_worker_unjudged_hits')[0] ?? null,
      folded_hits: sumOf(valuesOf('clickledger_worker_folded_hits_total')),
      database_disk_free_bytes: null,
    };
  });
}

/** Returns the sum, or null if there are no values. */
function sumOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
}

function summarizeShard(data: ShardData | ClickledgerError, ends: ReadonlyMap<string, number>) {
  if (data instanceof ClickledgerError) {
    const unknown = { last_commit: null, generations: null, committed_bytes: null, missing_bytes: null, holes: null };
    return { answers: false, ...unknown, dead_letters: null, dead_letters_last_day: null, database_bytes: null };
  }
  const { complete, ledger, ...rest } = data;
  const byGen = new Map(ledger.map((row) => [row.gen, row]));
  let committed = complete.bytes;
  let missing = 0;
  let holes = 0;
  for (const [gen, end] of ends) {
    const row = byGen.get(gen);
    committed += row?.committed_bytes ?? 0;
    missing += end - (row?.committed_bytes ?? 0);
    holes += (row?.holes ?? 0) + ((row?.committed_to ?? 0) < end && (row?.size ?? null) === null ? 1 : 0);
  }
  return {
    answers: true,
    generations: complete.generations + ends.size,
    committed_bytes: committed,
    missing_bytes: missing,
    holes,
    ...rest,
  };
}
