import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import type { Ranges } from '../core/ranges.ts';
import { sleep } from '../core/time.ts';
import { ledgerFrom } from '../feed/due.ts';

const POLL_MS = 200;

interface StateRow {
  newest_delta: number | null;
  oldest_delta: number | null;
  gen: string | null;
  committed: string | null;
}

const readState = async (pool: Pool, since: Date): Promise<StateRow[]> =>
  (await pool.query<StateRow>('SELECT * FROM shard.feed_state($1)', [since])).rows;

/**
 * Reads which ranges of a shard are committed, and waits until the judge has looked at all their hits. It merges deltas in the order of their ids, so it
 * has looked at these hits when the deltas of the reading are gone. Throws `unavailable` after `mostMs` milliseconds.
 */
export async function readReady(pool: Pool, shard: string, mostMs: number, signal?: AbortSignal): Promise<Map<string, Ranges>> {
  const rows = await readState(pool, new Date(0));
  const ready = ledgerFrom(rows.map(({ gen, committed }) => [gen, committed]));
  const newest = rows[0]?.newest_delta ?? null;
  const untilMs = performance.now() + mostMs;
  for (let oldest = newest === null ? null : (rows[0]?.oldest_delta ?? null); oldest !== null && oldest <= (newest as number); ) {
    if (signal?.aborted || performance.now() > untilMs)
      throw new ClickledgerError(
        'unavailable',
        `the newest hits of shard ${shard} are not judged yet: check with \`clickledger status\` that workers run, and export again`,
      );
    await sleep(POLL_MS, signal);
    // No generation changes in the future, so this returns one row.
    oldest = (await readState(pool, new Date(8.64e15)))[0]?.oldest_delta ?? null;
  }
  return ready;
}
