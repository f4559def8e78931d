import pg from 'pg';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';
import { fillIn, type Report } from './report-file.ts';

/** A value of a result. `object` is an array or JSON. */
export type Value = string | number | boolean | null | Date | object;

export interface Result {
  report: Report;
  /** The given parameters. The others have their defaults. */
  values: Readonly<Record<string, string>>;
  columns: string[];
  /** Values in the order of `columns`. */
  rows: Value[][];
  /** Whether there are more rows than `maxRows`. */
  truncated: boolean;
}

/**
 * How far the data reach, and which parts of the logs are not counted. A log that still grows and is the newest does not count as missing:
 * its last lines are on their way.
 */
export interface Reach {
  /** The time of the last commit; null if nothing has been committed. */
  lastAt: Date | null;
  holes: number;
  missingBytes: number;
}

export interface RunOptions {
  timeoutSeconds: number;
  /** The largest number of rows to fetch. Without it all rows are fetched. */
  maxRows?: number;
}

const { INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC, BOOL, TIMESTAMPTZ, JSON: JSON_TYPE, JSONB } = pg.types.builtins;
const NUMBERS: readonly number[] = [INT2, INT4, INT8, OID, FLOAT4, FLOAT8];
/** JSON, and arrays of texts and integers. */
const STRUCTURES: readonly number[] = [JSON_TYPE, JSONB, 1009, 1005, 1007, 1016];

// pg turns a date and a local time into a Date, which is another day in another time zone. So they stay the text that Postgres sent.
const TYPES = {
  getTypeParser: (type: number) => (text: string) => {
    if (NUMBERS.includes(type)) return Number(text);
    // A number with more digits than a JavaScript number can hold stays a text.
    if (type === NUMERIC) return text.replace(/[-.]/g, '').length <= 15 ? Number(text) : text;
    if (type === BOOL) return text === 't';
    if (STRUCTURES.includes(type) || type === TIMESTAMPTZ) return parseValue(type, text);
    return text;
  },
};

/** Parses a value as pg does, but `infinity` stays a text. */
function parseValue(type: number, text: string): unknown {
  const value: unknown = pg.types.getTypeParser(type)(text);
  return typeof value === 'number' ? text : value;
}

/** Runs a report in a read-only transaction, with the role of the pool. Throws `unavailable` if it takes longer than the timeout. */
export async function runReport(
  pool: Pool,
  report: Report,
  values: Readonly<Record<string, string>>,
  options: RunOptions,
): Promise<Result> {
  const sql = fillIn(report, values);
  const { maxRows } = options;
  return readOnly(pool, options, async (client) => {
    const query = (text: string) => client.query<Value[]>({ text, rowMode: 'array', types: TYPES });
    if (maxRows === undefined) {
      const { fields, rows } = await query(sql);
      return { report, values, columns: fields.map(({ name }) => name), rows, truncated: false };
    }
    // All rows of the cursor are fetched at once, so the planner must not prefer a plan that is fast only for the first rows.
    await client.query('SET LOCAL cursor_tuple_fraction = 1');
    await client.query(`DECLARE report NO SCROLL CURSOR FOR ${sql}`);
    const { fields, rows } = await query(`FETCH ${maxRows + 1} FROM report`);
    return { report, values, columns: fields.map(({ name }) => name), rows: rows.slice(0, maxRows), truncated: rows.length > maxRows };
  });
}

/** Reads how far the data reach. Throws `unavailable` if it takes longer than the timeout. */
export async function readReach(pool: Pool, options: RunOptions): Promise<Reach> {
  return readOnly(pool, options, async (client) => {
    const { rows } = await client.query<Reach>(`
      SELECT max(last_at) AS "lastAt", coalesce(sum(holes) FILTER (WHERE settled), 0)::bigint AS holes,
             coalesce(sum(missing_bytes) FILTER (WHERE settled), 0)::bigint AS "missingBytes"
      FROM (SELECT *, size IS NOT NULL OR min(first_at) OVER (PARTITION BY gen) < max(first_at) OVER () AS settled FROM analytics.completeness) AS log`);
    return rows[0] ?? { lastAt: null, holes: 0, missingBytes: 0 };
  });
}

/** Runs `work` in a read-only transaction with a statement timeout. Throws `unavailable` if a statement takes longer. */
export async function readOnly<T>(pool: Pool, { timeoutSeconds }: RunOptions, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let succeeded = false;
  try {
    await client.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${Math.round(timeoutSeconds * 1000)}`);
    const result = await work(client);
    await client.query('ROLLBACK');
    succeeded = true;
    return result;
  } catch (error) {
    // query_canceled
    if (codeOf(error) !== '57014') throw error;
    throw new ClickledgerError(
      'unavailable',
      `stopped after ${timeoutSeconds} s to protect the database. Ask for less, e.g. for one campaign, or allow more time with --timeout <seconds>.`,
      { cause: error },
    );
  } finally {
    // After an error the state of the connection is unknown, so it is closed and not reused.
    client.release(!succeeded);
  }
}
