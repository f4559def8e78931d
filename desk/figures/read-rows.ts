import type { QueryResultRow } from 'pg';
import { explainErrors, type Pool } from '../../core/postgres.ts';
import { readOnly, type RunOptions } from '../../reporting/run-report.ts';

/** Runs one statement in a read-only transaction, and returns its rows. Throws `unavailable` if it takes longer than the timeout. */
export const readRows = <Row extends QueryResultRow>(
  pool: Pool,
  limits: RunOptions,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> => explainErrors(() => readOnly(pool, limits, async (client) => (await client.query<Row>(sql, [...values])).rows));
