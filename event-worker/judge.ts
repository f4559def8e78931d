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
const MOST = 250_000;

const CANCEL_MS = 100;

/**
 * One step; how many marks it took, undefined while another judge is at work. It may take ten seconds and more: aborted, it is cancelled
 * and throws, and as one transaction it leaves all it had taken to the next judge.
 */
export async function judgeOnce(pool: Pool, most = MOST, signal?: AbortSignal): Promise<number | undefined> {
  const client = await pool.connect();
  const ended = new AbortController();
  let cancelling: Promise<void> | undefined;
  let failure: Error | undefined;
  try {
    const self = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    signal?.throwIfAborted();
    const cancel = (): void => {
      cancelling = cancelUntil(ended.signal, pool, self.rows[0]?.pid);
    };
    signal?.addEventListener('abort', cancel, { once: true, signal: ended.signal });
    const { rows } = await client.query<{ taken: number | null }>('SELECT shard.judge($1, $2, make_interval(secs => $3), $4) AS taken', [
      most,
      RULES_VERSION,
      BURST.spanMs / 1000,
      BURST.differentLinks,
    ]);
    return rows[0]?.taken ?? undefined;
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    ended.abort();
    // It must not hit whoever has the connection next.
    await cancelling;
    client.release(failure);
  }
}

/** Again and again: what comes before the statement has begun does nothing. */
async function cancelUntil(ended: AbortSignal, pool: Pool, pid: number | undefined): Promise<void> {
  while (!ended.aborted) {
    await pool.query('SELECT pg_cancel_backend($1)', [pid]).catch(() => {});
    await sleep(CANCEL_MS, ended);
  }
}

/** Judges until aborted. `lastCommitMs`: when something was last committed, by performance.now(). */
export async function keepJudging(deps: {
  pool: Pool;
  log: Logger;
  signal: AbortSignal;
  lastCommitMs: () => number;
  onJudged: (marks: number) => void;
}): Promise<void> {
  const { pool, log, signal, lastCommitMs, onJudged } = deps;
  let judgedMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const nowMs = performance.now();
    if (nowMs - lastCommitMs() < QUIET_MS && nowMs - judgedMs < LATEST_MS) {
      await sleep(LOOK_MS, signal);
      continue;
    }
    let taken = 0;
    try {
      taken = (await judgeOnce(pool, MOST, signal)) ?? 0;
      onJudged(taken);
    } catch (error) {
      if (signal.aborted) return;
      // That the database does not answer is said by the commits.
      if (classify(error) !== 'retry') log.error({ err: error }, 'cannot judge');
    }
    // Where much waits, the rest follows at once.
    if (taken === MOST) continue;
    judgedMs = performance.now();
    await sleep(2 * QUIET_MS, signal);
  }
}
