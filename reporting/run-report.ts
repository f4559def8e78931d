import pg from 'pg';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';
import { fillIn, type Report } from './report-file.ts';

/** `object`: an array or JSON. */
export type Value = string | number | boolean | null | Date | object;

export interface Result {
  report: Report;
  /** The parameters that were given; the others have their defaults. */
  values: Readonly<Record<string, string>>;
  columns: string[];
  /** Values in the order of `columns`. */
  rows: Value[][];
  /** There were more rows than were asked for. */
  cut: boolean;
}

/** How far the data reach, and what of the logs is missing: of those that grow no more, or are older than the newest. */
export interface Reach {
  lastAt: Date | null;
  holes: number;
  missingBytes: number;
}

export interface RunOptions {
  timeoutSeconds: number;
  /** Fetches no more rows than this. */
  maxRows?: number;
}

const { INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC, BOOL, TIMESTAMPTZ, JSON: JSON_TYPE, JSONB } = pg.types.builtins;
const NUMBERS: readonly number[] = [INT2, INT4, INT8, OID, FLOAT4, FLOAT8];
/** JSON, and arrays of texts and of whole numbers. */
const STRUCTURES: readonly number[] = [JSON_TYPE, JSONB, 1009, 1005, 1007, 1016];

// pg would make a Date of a day or a local time, too, which then becomes another day elsewhere: those stay the text that Postgres gave.
const TYPES = {
  getTypeParser: (type: number) => (text: string) => {
    if (NUMBERS.includes(type)) return Number(text);
    // More digits than a number can hold stay as they are.
    if (type === NUMERIC) return text.replace(/[-.]/g, '').length <= 15 ? Number(text) : text;
    if (type === BOOL) return text === 't';
    if (STRUCTURES.includes(type) || type === TIMESTAMPTZ) return parsed(type, text);
    return text;
  },
};

/** As pg does it; but `infinity` stays a text. */
function parsed(type: number, text: string): unknown {
  const value: unknown = pg.types.getTypeParser(type)(text);
  return typeof value === 'number' ? text : value;
}

/** Runs a report as whoever the pool is, reading only. A report that takes too long ends with `unavailable` and how to allow it more. */
export async function runReport(
  pool: Pool,
  report: Report,
  values: Readonly<Record<string, string>>,
  options: RunOptions,
): Promise<Result> {
  const sql = fillIn(report, values);
  const { maxRows } = options;
  return reading(pool, options, async (client) => {
    const ask = (text: string) => client.query<Value[]>({ text, rowMode: 'array', types: TYPES });
    if (maxRows === undefined) {
      const { fields, rows } = await ask(sql);
      return { report, values, columns: fields.map(({ name }) => name), rows, cut: false };
    }
    // All rows are wanted soon: no plan that is only fast for the first ones.
    await client.query('SET LOCAL cursor_tuple_fraction = 1');
    await client.query(`DECLARE report NO SCROLL CURSOR FOR ${sql}`);
    const { fields, rows } = await ask(`FETCH ${maxRows + 1} FROM report`);
    return { report, values, columns: fields.map(({ name }) => name), rows: rows.slice(0, maxRows), cut: rows.length > maxRows };
  });
}

/** See Reach. */
export async function readReach(pool: Pool, options: RunOptions): Promise<Reach> {
  return reading(pool, options, async (client) => {
    const { rows } = await client.query<Reach>(`
      SELECT max(last_at) AS "lastAt", coalesce(sum(holes) FILTER (WHERE settled), 0)::bigint AS holes,
             coalesce(sum(missing_bytes) FILTER (WHERE settled), 0)::bigint AS "missingBytes"
      FROM (SELECT *, size IS NOT NULL OR min(first_at) OVER (PARTITION BY gen) < max(first_at) OVER () AS settled FROM analytics.completeness) AS log`);
    return rows[0] ?? { lastAt: null, holes: 0, missingBytes: 0 };
  });
}

/** In a transaction that can only read, and only for so long. */
export async function reading<T>(pool: Pool, { timeoutSeconds }: RunOptions, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let whole = false;
  try {
    await client.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${Math.round(timeoutSeconds * 1000)}`);
    const result = await work(client);
    await client.query('ROLLBACK');
    whole = true;
    return result;
  } catch (error) {
    // query_canceled
    if (codeOf(error) !== '57014') throw error;
    throw new ClickledgerError(
      'unavailable',
      `stopped after ${timeoutSeconds} s to protect the database: ask for less, e.g. one campaign, or allow more with --timeout <seconds>`,
      { cause: error },
    );
  } finally {
    // After an error the connection may hold anything.
    client.release(!whole);
  }
}
