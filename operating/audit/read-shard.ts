import type { Pool } from '../../core/postgres.ts';
import { parseMultirange, type Ranges } from '../../core/ranges.ts';
import type { Shard } from '../../core/shards.ts';

export interface ShardAudit {
  shard: string;
  generations: { gen: string; size: number | null; committed: Ranges }[];
  doubled: { gen: string; off: number; times: number }[];
  outside: { gen: string; off: number }[];
  dead: { gen: string; off: number; reason: string; length: number }[];
  counts: Map<string, Map<string, number>>;
}

/** Reads one shard as the analyst. */
export async function readShard(pool: Pool, shard: Shard): Promise<ShardAudit> {
  const hex = (column: string) => `replace(${column}::text, '-', '') AS gen`;
  const ranges = await pool.query<{ gen: string; committed: string; size: number | null }>(
    `SELECT ${hex('gen')}, committed, size FROM shard_analytics.ranges ORDER BY first_at`,
  );
  const doubled = await pool.query<{ gen: string; off: number; times: number }>(
    `SELECT ${hex('gen')}, off, times FROM shard_analytics.doubled LIMIT 1000`,
  );
  const outside = await pool.query<{ gen: string; off: number }>(
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
    generations: ranges.rows.map(({ gen, committed, size }) => ({ gen, size, committed: parseMultirange(committed) })),
    doubled: doubled.rows,
    outside: outside.rows,
    dead: dead.rows,
    counts,
  };
}
