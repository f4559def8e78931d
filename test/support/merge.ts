import { createPool, type Pool } from '../../core/postgres.ts';
import { judgeOnce } from '../../event-worker/judge.ts';

/** Runs the judge until no delta is left, and returns the number of hits that it judged. `pool` is that of a worker. */
export async function judgeAll(pool: Pool): Promise<number> {
  let judged = 0;
  for (;;) {
    const step = await judgeOnce(pool);
    judged += step?.hits ?? 0;
    if (step && !step.isMoreLeft) return judged;
  }
}

/** Judges and merges all deltas of a shard. `url` is that of the worker. */
export async function mergeAll(url: string): Promise<void> {
  const pool = createPool(url, { max: 1, name: 'test' });
  await judgeAll(pool).finally(() => pool.end());
}
