import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { sleep } from '../core/time.ts';

const INTERVAL_MS = 3600_000;
const RETRY_MS = 10_000;
const MONTHS_AHEAD = 3;
/** A subscription that is paused for longer does not hear of older changes of verdicts. */
const KEEP_CHANGES_DAYS = 30;

/**
 * Creates the partitions of the current month and the next three months, and drops the partitions that are older than `keepEventsMonths`
 * (0: drops none), and the site events of the same months. Deletes changes of verdicts after KEEP_CHANGES_DAYS. Repeats this every hour until `signal` aborts. Events of a month without a partition are stored in the default
 * partition, so a failure here does not delay commits.
 */
export async function keepPartitions(deps: { pool: Pool; keepEventsMonths: number; log: Logger; signal: AbortSignal }): Promise<void> {
  const { pool, keepEventsMonths, log, signal } = deps;
  while (!signal.aborted) {
    try {
      await pool.query(`SELECT shard.ensure_month(now() + make_interval(months => n)) FROM generate_series(0, $1) n`, [MONTHS_AHEAD]);
      if (keepEventsMonths > 0) {
        const { rows } = await pool.query<{ month: string }>('SELECT shard.drop_months($1) AS month', [keepEventsMonths]);
        await pool.query('SELECT shard.drop_site_events($1)', [keepEventsMonths]);
        if (rows.length > 0)
          log.info(
            { months: rows.map(({ month }) => month) },
            'dropped the events of months older than KEEP_EVENTS_MONTHS; their counts remain',
          );
      }
      await pool.query("SELECT shard.drop_changes($1 * interval '1 day')", [KEEP_CHANGES_DAYS]);
      await sleep(INTERVAL_MS, signal);
    } catch (error) {
      log.debug({ err: error }, 'cannot create or drop partitions; retrying');
      await sleep(RETRY_MS, signal);
    }
  }
}
