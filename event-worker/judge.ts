import type { Logger } from '../core/log.ts';
import { classify, type Pool } from '../core/postgres.ts';
import { BURST, RULES_VERSION } from '../core/rules.ts';
import { sleep } from '../core/time.ts';

// Takes what commits have marked into the rollups, and finds bursts (sql/shard/0006-rollups.sql). Any number of workers may try: one judge
// at a time is at work on a shard, and whatever one leaves undone the next one does.

const EVERY_MS = 1_000;
const MOST = 50_000;

/** One step; how many marks it took, undefined while another judge is at work. */
export async function judgeOnce(pool: Pool, most = MOST): Promise<number | undefined> {
  const { rows } = await pool.query<{ taken: number | null }>('SELECT shard.judge($1, $2, make_interval(secs => $3), $4) AS taken', [
    most,
    RULES_VERSION,
    BURST.spanMs / 1000,
    BURST.differentLinks,
  ]);
  return rows[0]?.taken ?? undefined;
}

/** Judges until aborted, at once where much waits. */
export async function keepJudging(deps: {
  pool: Pool;
  log: Logger;
  signal: AbortSignal;
  onJudged: (marks: number) => void;
}): Promise<void> {
  const { pool, log, signal, onJudged } = deps;
  while (!signal.aborted) {
    let taken = 0;
    try {
      taken = (await judgeOnce(pool)) ?? 0;
      onJudged(taken);
    } catch (error) {
      // That the database does not answer is said by the commits.
      if (classify(error) !== 'retry') log.error({ err: error }, 'cannot judge');
    }
    if (taken < MOST) await sleep(EVERY_MS, signal);
  }
}
