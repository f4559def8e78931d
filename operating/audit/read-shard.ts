import type { Pool } from '../../core/postgres.ts';
import { parseMultirange, type Ranges } from '../../core/ranges.ts';
import type { Shard } from '../../core/shards.ts';

/** The data of one shard that an audit checks. */
export interface ShardAudit {
  shard: string;
  /** The rows of the ledger. `last_at` is the time of the last commit. */
  generations: { gen: string; size: number | null; committed: Ranges; last_at: Date }[];
  /** Offsets that are stored more than once; at most 1000. */
  duplicates: { gen: string; off: number; times: number }[];
  /** Rows that no committed range covers; at most 1000. */
  outsideLedger: { gen: string; off: number }[];
  /** The dead letters; at most 1000. */
  dead: { gen: string; off: number; reason: string; length: number }[];
  /** For each generation, the number of lines of each outcome, e.g. `click`, `skipped forged` or `dead torn`. */
  counts: Map<string, Map<string, number>>;
}

/** Reads the data of one shard. The rights of the analyst are enough. */
export async function readShard(pool: Pool, shard: Shard): Promise<ShardAudit> {
  const hex = (column: string) => `replace(${column}::text, '-', '') AS gen`;
  const ranges = await pool.query<{ gen: string; committed: string; size: number | null; last_at: Date }>(
    `SELECT ${hex('gen')}, committed, size, last_at FROM shard_analytics.ranges ORDER BY first_at`,
  );
  const duplicates = await pool.query<{ gen: string; off: number; times: number }>(
    `SELECT ${hex('gen')}, off, times FROM shard_analytics.doubled LIMIT 1000`,
  );
  const outsideLedger = await pool.query<{ gen: string; off: number }>(
    `SELECT ${hex('gen')}, off FROM shard_analytics.outside_ledger LIMIT 1000`,
  );
  const dead = await pool.query<{ gen: string; off: number; reason: string; length: number }>(
    `SELECT ${hex('gen')}, off, reason, length FROM shard_analytics.dead_letters ORDER BY at LIMIT 1000`,
  );
  const lines = await pool.query<{ gen: string; what: string; lines: number }>(
    `SELECT ${hex('gen')}, what, lines FROM shard_analytics.counts`,
  );
  const counts = new Map<string, Map<string, number>>();
  for (const { gen, what, lines: number } of lines.rows) counts.set(gen, (counts.get(gen) ?? new Map<string, number>()).set(what, number));
  return {
    shard: shard.name,
    generations: ranges.rows.map(({ gen, committed, size, last_at }) => ({ gen, size, committed: parseMultirange(committed), last_at })),
    duplicates: duplicates.rows,
    outsideLedger: outsideLedger.rows,
    dead: dead.rows,
    counts,
  };
}
