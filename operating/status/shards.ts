import { ClickledgerError } from '../../core/errors.ts';
import { createPool, explainDatabaseError, type Pool } from '../../core/postgres.ts';
import type { Shard } from '../../core/shards.ts';
import type { Sample } from './ask-part.ts';
import type { StreamStatus } from './stream.ts';
import { type Trouble, trouble } from './trouble.ts';

/** Longer than for parts: the first connection after a while may take its time. */
const QUERY_MS = 5_000;

export interface ShardStatus {
  shard: string;
  /** Whether its database does. */
  answers: boolean;
  /** Batches published and not acked, and their bytes by the mean size of a message. */
  waiting_messages: number | null;
  waiting_bytes: number | null;
  last_commit: Date | null;
  generations: number | null;
  committed_bytes: number | null;
  /** Bytes of logs that some shard knows of and this one has not committed, and in how many stretches they lie. */
  missing_bytes: number | null;
  holes: number | null;
  dead_letters: number | null;
  dead_letters_last_day: number | null;
  /** What a worker of it says. */
  judge_delay_seconds: number | null;
  waiting_marks: number | null;
  database_bytes: number | null;
  /** Always null: Postgres tells nobody but its owner how full its disk is. */
  database_disk_free_bytes: null;
}

interface LedgerRow {
  gen: string;
  size: number | null;
  committed_bytes: number;
  committed_to: number;
  holes: number;
  last_at: Date;
}

export interface ShardRead {
  ledger: LedgerRow[];
  dead_letters: number;
  dead_letters_last_day: number;
  database_bytes: number;
}

export async function lookAtDatabase<T>(url: string, read: (pool: Pool) => Promise<T>): Promise<T | ClickledgerError> {
  const pool = createPool(url, { max: 1, name: 'status', queryTimeoutMs: QUERY_MS });
  try {
    return await read(pool);
  } catch (error) {
    return explainDatabaseError(error);
  } finally {
    await pool.end();
  }
}

export async function readCatalog(pool: Pool): Promise<void> {
  await pool.query('SELECT FROM analytics.campaigns LIMIT 1');
}

export async function readShard(pool: Pool): Promise<ShardRead> {
  const ledger = await pool.query<LedgerRow>(
    'SELECT gen::text AS gen, size, committed_bytes, committed_to, holes, last_at FROM shard_analytics.ledger',
  );
  const rest = await pool.query<Omit<ShardRead, 'ledger'>>(`
    SELECT count(*) AS dead_letters, count(*) FILTER (WHERE at > now() - interval '1 day') AS dead_letters_last_day,
           pg_database_size(current_database()) AS database_bytes
    FROM shard_analytics.dead_letters`);
  return { ...(rest.rows[0] as Omit<ShardRead, 'ledger'>), ledger: ledger.rows };
}

export function problemsOfShard(name: string, read: ShardRead | ClickledgerError): Trouble[] {
  if (read instanceof ClickledgerError) return [trouble(`shard ${name}`, 'database-unreachable', read.message)];
  return read.dead_letters_last_day === 0 ? [] : [trouble(`shard ${name}`, 'dead-letters', String(read.dead_letters_last_day))];
}

export function shardStatuses(
  shards: readonly Shard[],
  databases: readonly (ShardRead | ClickledgerError)[],
  waiting: ReadonlyMap<string, number>,
  stream: StreamStatus,
  samples: readonly Sample[],
): ShardStatus[] {
  // A generation that one shard knows and another does not is a hole there (as in the view analytics.completeness).
  const knownTo = new Map<string, number>();
  for (const read of databases) {
    if (read instanceof ClickledgerError) continue;
    for (const { gen, size, committed_to } of read.ledger) knownTo.set(gen, Math.max(knownTo.get(gen) ?? 0, size ?? 0, committed_to));
  }
  const meanBytes = stream.bytes !== null && stream.messages ? stream.bytes / stream.messages : 0;
  return shards.map(({ name }, i): ShardStatus => {
    const messages = waiting.get(name) ?? null;
    const said = (metric: string): number[] =>
      samples.filter((sample) => sample.name === metric && sample.labels['shard'] === name).map(({ value }) => value);
    return {
      shard: name,
      waiting_messages: messages,
      waiting_bytes: messages === null ? null : Math.round(messages * meanBytes),
      ...describeShard(databases[i] as ShardRead | ClickledgerError, knownTo),
      judge_delay_seconds: said('clickledger_worker_judge_delay_seconds').sort((a, b) => a - b)[0] ?? null,
      waiting_marks: said('clickledger_worker_waiting_marks')[0] ?? null,
      database_disk_free_bytes: null,
    };
  });
}

function describeShard(read: ShardRead | ClickledgerError, knownTo: ReadonlyMap<string, number>) {
  if (read instanceof ClickledgerError) {
    const unknown = { last_commit: null, generations: null, committed_bytes: null, missing_bytes: null, holes: null };
    return { answers: false, ...unknown, dead_letters: null, dead_letters_last_day: null, database_bytes: null };
  }
  const { ledger, ...rest } = read;
  const byGen = new Map(ledger.map((row) => [row.gen, row]));
  let committed = 0;
  let missing = 0;
  let holes = 0;
  for (const [gen, to] of knownTo) {
    const row = byGen.get(gen);
    committed += row?.committed_bytes ?? 0;
    missing += to - (row?.committed_bytes ?? 0);
    holes += (row?.holes ?? 0) + ((row?.committed_to ?? 0) < to && (row?.size ?? null) === null ? 1 : 0);
  }
  const last = Math.max(...ledger.map(({ last_at }) => last_at.getTime()));
  return {
    answers: true,
    last_commit: ledger.length === 0 ? null : new Date(last),
    generations: knownTo.size,
    committed_bytes: committed,
    missing_bytes: missing,
    holes,
    ...rest,
  };
}
