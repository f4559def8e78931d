import type { PoolClient } from '../core/postgres.ts';
import { REACH_MS, type Signal, type Verdict } from '../core/rules.ts';

// Reads hits that are stored in a shard, to judge them again. There may be any number of them, also of one recipient, so they are read in
// groups.

/** What is needed to judge a click or an open. */
export interface StoredHit {
  /** Where the event is: the table and the row. */
  part: number;
  place: string;
  campaign_id: number;
  recipient_id: number;
  /** Epoch milliseconds. */
  at: number;
  link_id: number;
  /** Client, system and device, without the version. */
  browser: string;
  visitor: string | null;
  verdict: Verdict;
  signals: Signal[] | null;
  /** Whether a visit gives the click the signal `visited`. */
  visited: boolean;
}

const ROWS = 20_000;
/** If one recipient has more hits than this with no pause between them, they are divided. */
const MOST_ROWS = 200_000;

/**
 * Runs a query in the transaction of `client`, and yields its rows in groups. The query returns hits by campaign, recipient, kind and time.
 * The signals of a hit depend only on hits in its group. If a group is too large, it is divided and `onDivided` is called. Then signals between
 * the parts are not found.
 */
export async function* readGroups<T extends StoredHit>(
  client: PoolClient,
  sql: string,
  values: readonly unknown[],
  onDivided: () => void = () => undefined,
): AsyncGenerator<T[]> {
  await client.query(`DECLARE hit NO SCROLL CURSOR FOR ${sql}`, [...values]);
  let left: T[] = [];
  for (let isLast = false; !isLast; ) {
    const { rows } = await client.query<T>(`FETCH ${ROWS} FROM hit`);
    isLast = rows.length < ROWS;
    left = left.concat(rows);
    const end = isLast ? left.length : lastBoundary(left);
    if (end > 0) yield left.slice(0, end);
    left = left.slice(end);
    if (left.length < MOST_ROWS) continue;
    onDivided();
    yield left;
    left = [];
  }
  await client.query('CLOSE hit');
}

/** Returns the index of the last hit that does not depend on the hits before it; 0 if there is none. */
function lastBoundary(hits: readonly StoredHit[]): number {
  for (let i = hits.length - 1; i > 0; i--) {
    const [before, hit] = [hits[i - 1] as StoredHit, hits[i] as StoredHit];
    const isSamePerson = hit.recipient_id !== 0 && before.recipient_id === hit.recipient_id && before.campaign_id === hit.campaign_id;
    if (!isSamePerson || hit.at - before.at > REACH_MS) return i;
  }
  return 0;
}
