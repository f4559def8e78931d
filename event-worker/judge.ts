import type { Logger } from '../core/log.ts';
import { classify, type Pool, type PoolClient } from '../core/postgres.ts';
import { BURST, FOUND_SIGNALS, NEARBY, REACH_MS, RULES_VERSION, type Signal, type Verdict, verdictOf, VISITED_MS } from '../core/rules.ts';
import { sleep } from '../core/time.ts';
import { entryOf } from './entry-of.ts';
import { type Click, signalsOfClicks } from './found-signals.ts';
import { type ChangedHit, mergeDeltas } from './merge.ts';
import { readGroups, type StoredHit } from './stored-hits.ts';
import { inTransaction } from './transaction.ts';

// The judge looks again at committed clicks, and finds the signs that follow from other clicks (found-signals.ts) and from visits. Every worker
// of a shard runs a judge, but only one judge at a time works on a shard. The next one continues with the clicks that are left.

// Commits have priority. A step starts when nothing was committed for QUIET_MS, at the latest MAX_DELAY_MS after the previous step. All clicks
// are counted before the judge looks at them. Only the signs that follow from other clicks are found later.
const POLL_MS = 250;
const QUIET_MS = 500;
const MAX_DELAY_MS = 4_000;
// A step of this size takes at most one second, so a worker that stops can wait for it.
const MAX_HITS = 50_000;
const MAX_VISITS = 10_000;

/** A click of shard.clicks_to_judge. */
interface ClickToJudge extends StoredHit {
  /** Whether all clicks are known on which its signals depend. */
  complete: boolean;
}

/** The result of shard.take_visits. */
interface VisitsTaken {
  taken: number;
  campaigns: string[];
  recipients: string[];
  first_times: number[];
  last_times: number[];
}

/** A hit whose signals or rules change. The fields are the columns of shard.judged_hit. */
export interface JudgedHit extends Pick<StoredHit, 'part' | 'place' | 'at' | 'campaign_id' | 'recipient_id' | 'link_id'> {
  was: Verdict;
  becomes: Verdict;
  signals: readonly Signal[];
}

/** The verdicts that other clicks may change. */
const OPEN_VERDICTS: readonly Verdict[] = ['human', 'unsure', ...FOUND_SIGNALS];
/** If a click has one of these signals, the clicks of its recipient are judged: it gives signals to other clicks, or may lose its own. */
const TELLING: readonly Signal[] = ['head', 'honeypot', ...FOUND_SIGNALS];
/** Other signals than `echo`, `after-head` and `near-honeypot` need at least this many clicks. */
const FEWEST = Math.min(BURST.fewLinks, NEARBY.visitors);

/** The result of a step. */
export interface JudgeStep {
  /** The number of hits of the deltas that the step merged. */
  hits: number;
  /** Whether there are more deltas. */
  isMoreLeft: boolean;
  /** The number of times that the clicks of a recipient were divided. */
  divided: number;
}

/**
 * Runs one step of the judge: judges and merges the oldest deltas until they have `mostHits` hits or more. Returns undefined if another
 * judge works on the shard.
 */
export async function judgeOnce(pool: Pool, mostHits = MAX_HITS): Promise<JudgeStep | undefined> {
  let step: JudgeStep | undefined;
  await inTransaction(pool, async (client) => {
    step = await judgeStep(client, mostHits);
    return step !== undefined;
  });
  return step;
}

/** The same in the transaction of the caller. */
export async function judgeStep(client: PoolClient, mostHits: number): Promise<JudgeStep | undefined> {
  const chosen = await client.query<{ deltas: string[] | null; hits: number; is_more_left: boolean }>(
    'SELECT * FROM shard.next_deltas($1)',
    [mostHits],
  );
  const { deltas, hits, is_more_left: isMoreLeft } = chosen.rows[0] as (typeof chosen.rows)[number];
  if (deltas === null) return undefined;
  const visits = await client.query<VisitsTaken>("SELECT * FROM shard.take_visits($1, $2 * interval '1 ms')", [MAX_VISITS, VISITED_MS]);
  const { taken, campaigns, recipients, first_times, last_times } = visits.rows[0] as VisitsTaken;
  const step = { hits, isMoreLeft: isMoreLeft || taken === MAX_VISITS, divided: 0 };
  if (deltas.length === 0 && recipients.length === 0) return step;
  const groups = readGroups<ClickToJudge>(
    client,
    "SELECT * FROM shard.clicks_to_judge($1, $2, $3, $4, $5, $6 * interval '1 ms', $7, $8, $9, $10 * interval '1 ms')",
    [deltas, campaigns, recipients, first_times, last_times, REACH_MS, FEWEST, OPEN_VERDICTS, TELLING, VISITED_MS],
    () => step.divided++,
  );
  for await (const clicks of groups) await addJudgedHits(client, judgeRecipients(clicks));
  await changeAndMerge(client, deltas);
  return step;
}

/** Returns the clicks whose signals change. `clicks` is ordered by campaign, recipient, time and link. */
function judgeRecipients(clicks: readonly ClickToJudge[]): JudgedHit[] {
  const judged: JudgedHit[] = [];
  for (let start = 0, end = 0; start < clicks.length; start = end) {
    const { campaign_id, recipient_id } = clicks[start] as ClickToJudge;
    while (clicks[end]?.recipient_id === recipient_id && clicks[end]?.campaign_id === campaign_id) end++;
    const ofRecipient = clicks.slice(start, end);
    for (const [i, signals] of signalsOfClicks(ofRecipient.map(clickOf)).entries()) {
      const hit = ofRecipient[i] as ClickToJudge;
      if (hit.complete && !haveSame(hit.signals ?? [], signals)) judged.push(judgedHit(hit, signals));
    }
  }
  return judged;
}

export const clickOf = ({ at, link_id, browser, visitor, signals, visited }: StoredHit): Click => ({
  at,
  link: link_id,
  browser,
  visitor,
  signals: visited ? [...(signals ?? []), 'visited'] : (signals ?? []),
});

export const judgedHit = (
  { part, place, at, campaign_id, recipient_id, link_id, verdict }: StoredHit,
  signals: readonly Signal[],
): JudgedHit => ({ part, place, at, campaign_id, recipient_id, link_id, was: verdict, becomes: verdictOf(signals), signals });

export const haveSame = (one: readonly Signal[], other: readonly Signal[]): boolean =>
  one.length === other.length && one.every((signal, i) => signal === other[i]);

export async function addJudgedHits(client: PoolClient, hits: readonly JudgedHit[]): Promise<void> {
  if (hits.length > 0) await client.query('SELECT shard.add_judged_hits($1)', [JSON.stringify(hits)]);
}

/** Changes the judged hits, and merges the deltas. The caller holds the lock of the judge. */
export async function changeAndMerge(client: PoolClient, deltas: readonly string[]): Promise<void> {
  // Functions of Postgres keep their plans. A plan that was made for a few hits may be a nested loop, which would take hours for many hits.
  await client.query('DISCARD PLANS');
  const { rows } = await client.query<{
    changed_deltas: string[];
    changed_places: number[];
    changed_verdicts: Verdict[];
    has_changes: boolean;
  }>('SELECT * FROM shard.change_hits($1, $2)', [deltas, RULES_VERSION]);
  const { changed_deltas, changed_places, changed_verdicts, has_changes } = rows[0] as (typeof rows)[number];
  const changed = new Map<number, ChangedHit[]>();
  for (const [i, delta] of changed_deltas.entries())
    entryOf(changed, Number(delta), newList).push({ place: changed_places[i] as number, verdict: changed_verdicts[i] as Verdict });
  if (deltas.length > 0) await mergeDeltas(client, deltas, changed);
  if (has_changes) await client.query('SELECT shard.apply_changes()');
}

const newList = (): ChangedHit[] => [];

/**
 * Runs steps of the judge until `signal` aborts. `lastCommitMs` returns the time of the last commit, in milliseconds of performance.now().
 * `onJudged` gets the result of each step, except if another judge worked on the shard. `onFailure` gets the error of a step that failed.
 */
export async function keepJudging(deps: {
  pool: Pool;
  log: Logger;
  signal: AbortSignal;
  lastCommitMs: () => number;
  onJudged: (step: JudgeStep) => void;
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
    let step: JudgeStep | undefined;
    try {
      step = await judgeOnce(pool);
      if (step) onJudged(step);
      if (step && step.divided > 0)
        log.warn(
          { parts: step.divided + 1 },
          'a recipient has too many clicks within a short time; signals between the parts are not found',
        );
    } catch (error) {
      onFailure(error);
      if (classify(error) !== 'retry') log.error({ err: error }, 'the judge failed; retrying');
    }
    if (step?.isMoreLeft) continue;
    judgedMs = performance.now();
    await sleep(2 * QUIET_MS, signal);
  }
}
