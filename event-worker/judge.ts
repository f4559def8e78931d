import type { Logger } from '../core/log.ts';
import { classify, type Pool } from '../core/postgres.ts';
import { BURST, RULES_VERSION } from '../core/rules.ts';
import { sleep } from '../core/time.ts';

// Takes what commits have marked into the rollups, and finds bursts (sql/shard/0006-rollups.sql). Any number of workers may try: one judge
// at a time is at work on a shard, and whatever one leaves undone the next one does.

// The judge lets commits go first: it waits until there have been none for a moment, and not longer than some seconds. What waits for it
// is counted all the same; only bursts are found later.
const LOOK_MS = 250;
const QUIET_MS = 500;
const LATEST_MS = 10_000;
// So few that a step takes a second at most, and a worker that is told to end can wait for it.
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

/**
 * Judges until aborted. `lastCommitMs`: when something was last committed, by performance.now(). `onJudged` is told how many marks a step
 * took and whether that was all there were, `onFailure` why one failed.
 */
export async function keepJudging(deps: {
  pool: Pool;
  log: Logger;
  signal: AbortSignal;
  lastCommitMs: () => number;
  onJudged: (marks: number, all: boolean) => void;
  onFailure: (error: unknown) => void;
}): Promise<void> {
  const { pool, log, signal, lastCommitMs, onJudged, onFailure } = deps;
  // A worker that begins with a backlog commits first, too.
  let judgedMs = performance.now();
  while (!signal.aborted) {
    const nowMs = performance.now();
    if (nowMs - lastCommitMs() < QUIET_MS && nowMs - judgedMs < LATEST_MS) {
      await sleep(LOOK_MS, signal);
      continue;
    }
    let taken: number | undefined;
    try {
      taken = await judgeOnce(pool);
      onJudged(taken ?? 0, taken !== undefined && taken < MOST);
    } catch (error) {
      onFailure(error);
      if (classify(error) !== 'retry') log.error({ err: error }, 'cannot judge');
    }
    // Where much waits, the rest follows at once.
    if (taken === MOST) continue;
    judgedMs = performance.now();
    await sleep(2 * QUIET_MS, signal);
  }
}
