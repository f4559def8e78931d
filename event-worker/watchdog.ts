import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { sleep } from '../core/time.ts';

const INTERVAL_MS = 10_000;

/** A database that the watchdog checks. `schema` is the schema of the function `end_long_queries` in this database. */
export interface WatchedDatabase {
  pool: Pool;
  schema: 'catalog' | 'shard';
}

/**
 * Ends transactions of the analyst that take longer than `maxSeconds` (0: ends none), until `signal` aborts. `onEnded` gets the number of
 * transactions that a check ended. Every database is checked, because each may be on another server. A database that does not answer is
 * checked again later. This is not reported as a problem of the worker, because the commits report that a database does not answer.
 */
export async function keepEndingLongQueries(deps: {
  databases: readonly WatchedDatabase[];
  maxSeconds: number;
  log: Logger;
  signal: AbortSignal;
  onEnded: (transactions: number) => void;
}): Promise<void> {
  const { databases, maxSeconds, log, signal, onEnded } = deps;
  if (maxSeconds === 0) return;
  while (!signal.aborted) {
    const ended = await Promise.all(
      databases.map(async ({ pool, schema }) => {
        try {
          const { rows } = await pool.query<{ ended: number }>(`SELECT ${schema}.end_long_queries(make_interval(secs => $1)) AS ended`, [
            maxSeconds,
          ]);
          return rows[0]?.ended ?? 0;
        } catch (error) {
          log.debug({ err: error }, 'cannot look for long queries of the analyst; retrying');
          return 0;
        }
      }),
    );
    const transactions = ended.reduce((sum, count) => sum + count, 0);
    if (transactions > 0) {
      onEnded(transactions);
      log.warn({ transactions, maxSeconds }, 'ended what the analyst ran for longer than ANALYST_MAX_SECONDS');
    }
    await sleep(Math.min(INTERVAL_MS, (maxSeconds * 1000) / 2), signal);
  }
}
