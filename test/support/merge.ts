import { createPool } from '../../core/postgres.ts';
import { judgeOnce } from '../../event-worker/judge.ts';

/** Judges and merges all deltas of a shard. `url` is that of the worker. */
export async function mergeAll(url: string): Promise<void> {
  const pool = createPool(url, { max: 1, name: 'test' });
  try {
    while (((await judgeOnce(pool)) ?? 1) > 0);
  } finally {
    await pool.end();
  }
}
