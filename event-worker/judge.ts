import type { Logger } from '../core/log.ts';
import { classify, type Pool, type PoolClient } from '../core/postgres.ts';
import { RULES_ROW, rulesParameters, type Verdict } from '../core/rules.ts';
import { sleep } from '../core/time.ts';
import { entryOf } from './entry-of.ts';
import { type ChangedHit, mergeDeltas } from './merge.ts';
import { inTransaction } from './transaction.ts';

// The judge looks again at committed clicks, and finds bursts and echoes (sql/shard/0009-judge.sql). Every worker of a shard runs a judge, but only one
// judge at a time works on a shard. The next one continues with the clicks that are left.

// Commits have priority. A step starts when nothing was committed for QUIET_MS, at the latest MAX_DELAY_MS after the previous step. All clicks
// are counted before the judge looks at them; only bursts and echoes are found later.
const POLL_MS = 250;
const QUIET_MS = 500;
const MAX_DELAY_MS = 4_000;
// A step of this size takes at most one second, so a worker that stops can wait for it.
const MAX_HITS = 50_000;

/**
 * Runs one step of the judge: judges and merges the oldest deltas until they have `mostHits` hits or more. Returns the number of these
 * hits, or undefined if another judge works on the shard.
 */
export async function judgeOnce(pool: Pool, mostHits = MAX_HITS): Promise<number | undefined> {
  let hits: number | undefined;
  await inTransaction(pool, async (client) => {
    hits = await judgeStep(client, mostHits);
    return hits !== undefined;
  });
  return hits;
}

/** The same in the transaction of the caller. */
export async function judgeStep(client: PoolClient, mostHits: number): Promise<number | undefined> {
  const { rows } = await client.query<{
    deltas: string[] | null;
    hits: number;
    changed_deltas: string[];
    changed_places: number[];
    changed_verdicts: Verdict[];
    has_changes: boolean;
  }>(`SELECT * FROM shard.judge(${RULES_ROW}, $12)`, [...rulesParameters(), mostHits]);
  const { deltas, hits, changed_deltas, changed_places, changed_verdicts, has_changes } = rows[0] as (typeof rows)[number];
  if (deltas === null) return undefined;
  const changed = new Map<number, ChangedHit[]>();
  for (const [i, delta] of changed_deltas.entries())
    entryOf(changed, Number(delta), newList).push({ place: changed_places[i] as number, verdict: changed_verdicts[i] as Verdict });
  if (deltas.length > 0) await mergeDeltas(client, deltas, changed);
  if (has_changes) await client.query('SELECT shard.apply_changes()');
  return hits;
}

const newList = (): ChangedHit[] => [];

/**
 * Runs steps of the judge until `signal` aborts. `lastCommitMs` returns the time of the last commit by performance.now(). After each step,
 * `onJudged` gets the number of hits that the step judged, and whether none is left. `onFailure` gets the error of a step that
 * failed.
 */
export async function keepJudging(deps: {
  pool: Pool;
  log: Logger;
  signal: AbortSignal;
  lastCommitMs: () => number;
  onJudged: (hits: number, noneLeft: boolean) => void;
  onFailure: (error: unknown) => void;
}): Promise<void> {
  const { pool, log, signal, lastCommitMs, onJudged, onFailure } = deps;
  // Commits have priority also at the start, when the worker may have a backlog.
  let judgedMs = performance.now();
  while (!signal.aborted) {
    const nowMs = performance.now();
    if (nowMs - lastCommitMs() < QUIET_MS && nowMs - judgedMs < MAX_DELAY_MS) {
      await sleep(POLL_MS, signal);
      continue;
    }
    let hits: number | undefined;
    try {
      hits = await judgeOnce(pool);
      onJudged(hits ?? 0, hits !== undefined && hits < MAX_HITS);
    } catch (error) {
      onFailure(error);
      if (classify(error) !== 'retry') log.error({ err: error }, 'the judge failed; retrying');
    }
    // After a full step more hits may be left: continue without a pause.
    if (hits !== undefined && hits >= MAX_HITS) continue;
    judgedMs = performance.now();
    await sleep(2 * QUIET_MS, signal);
  }
}
