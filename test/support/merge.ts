import { createPool } from '../../core/postgres.ts';
import { judgeOnce } from '../../event-worker/judge.ts';

/** Judges and merges all deltas of a shard. `url` is that of the worker. */
export async function mergeAll(url: string): Promise<void> {
  const pool = createPool(url, { max: 1, name: 'test' });
  try {
    const limits = { hits: 1, seconds: 0, most: 1_000_000 };
    while (((await judgeOnce(pool, 1_000_000, limits)) ?? 1) > 0);
    await judgeOnce(pool, 1, limits);
  } finally {
    await pool.end();
  }
}
