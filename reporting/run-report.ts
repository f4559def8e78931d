import pg from 'pg';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { LIMIT_IDLE, type Pool, type PoolClient } from '../core/postgres.ts';
import { explainStatementError } from './explain-error.ts';
import { resolveParameters } from './parameters.ts';
import type { Statement } from './psql-script.ts';
import { fillIn, type Report } from './report-file.ts';
import { frameOf } from './source.ts';

// Runs reports. Every value is returned as the text that Postgres sends, so no digit is lost. The type of the column says how to read the
// text.

/** A value of a result: the text that Postgres sent. */
export type Value = string | null;

export interface Column {
  name: string;
  /** The object id of the type in pg_type. */
  type: number;
}

interface ResultHead {
  report: Report;
  /** The given parameters. All other parameters have their defaults. */
  values: Readonly<Record<string, string>>;
  /** The time zone of the times and the requested period, as a text. Undefined if the report has neither. */
  asked: string | undefined;
  /** The lines of \echo. */
  messages: readonly string[];
  columns: Column[];
}

/** A result that is read while the database produces it. */
export interface ResultStream extends ResultHead {
  /** The time up to which hits are counted, and how much of the logs is not counted. Undefined if `withReach` was not set. */
  reach?: Reach;
  /** Lists of rows. The values of a row are in the order of `columns`. */
  batches: AsyncIterable<Value[][]>;
  /** Runs the rest of the query and returns the number of rows that were not read. */
  countRest: () => Promise<number>;
}

export interface Result extends ResultHead {
  rows: Value[][];
  /** Whether there are more rows than `maxRows`. */
  truncated: boolean;
}

/**
 * The time up to which hits are counted, and the parts of the logs that are not counted. The missing bytes of the newest log do not count
 * while it is still growing, because its last lines will be committed soon.
 */
export interface Reach {
  /** The time of the last commit; null if nothing has been committed. */
  lastAt: Date | null;
  holes: number;
  missingBytes: number;
}

export interface RunOptions {
  timeoutSeconds: number;
  /** The time zone of reports that are run without a time zone. */
  zone: string;
  /** Whether rates count recipients with an unsure hit as people (setting COUNT_UNSURE). The default is false. */
  countUnsure?: boolean;
  /** The number of days in which a goal counts for a click before it (setting GOAL_DAYS). The default is 30. */
  goalDays?: number | undefined;
  /** The longest time for which the reader of the rows may pause, e.g. a user who reads page by page. The default is 60 seconds. */
  maxPauseSeconds?: number;
  now?: Date;
}

const BATCH_ROWS = 500;
const RAW_TEXT = { getTypeParser: () => (text: string) => text };

/**
 * Runs a report and returns its first `maxRows` rows, or all rows if `maxRows` is not given. Throws `unavailable` if it takes longer than
 * the timeout.
 */
export async function runReport(
  pool: Pool,
  report: Report,
  values: Readonly<Record<string, string>>,
  options: RunOptions & { maxRows?: number },
): Promise<Result> {
  const { maxRows = Number.POSITIVE_INFINITY } = options;
  return streamReport(pool, report, values, options, async ({ report: ran, values: given, asked, messages, columns, batches }) => {
    const rows: Value[][] = [];
    for await (const batch of batches) {
      rows.push(...batch);
      if (rows.length > maxRows) break;
    }
    return { report: ran, values: given, asked, messages, columns, rows: rows.slice(0, maxRows), truncated: rows.length > maxRows };
  });
}

/**
 * Runs a report in a read-only transaction, with the role of the pool, and calls `work` with its rows while they arrive. All statements
 * run. The result comes from the last statement that returns rows. `work` must not use another connection of the pool. Behind a connection
 * pooler, each report would hold one session and wait for a second one, and such reports could block each other. For this reason,
 * `withReach` reads the reach in the same transaction. Throws `unavailable` if the database works longer than the timeout.
 */
export async function streamReport<T>(
  pool: Pool,
  report: Report,
  values: Readonly<Record<string, string>>,
  options: RunOptions & { withReach?: boolean },
  work: (stream: ResultStream) => Promise<T>,
): Promise<T> {
  // This finds mistakes in the file and in the names of parameters before the first query.
  fillIn(report, values);
  return readOnly(pool, options, async (client) => {
    // This query runs before the statements of the report, because these statements may change settings.
    const reach = options.withReach === true ? { reach: await queryReach(client) } : {};
    const { variables, zone, asked } = await resolveParameters(client, report, values, options);
    const script = fillIn(report, variables);
    if (script.statements.length === 0)
      throw new ClickledgerError('bad-input', `${report.file.label} has no statement: write a SELECT that ends with a semicolon`);
    // All rows of a cursor are fetched, so the planner must not prefer a plan that is fast only for the first rows.
    await client.query(`SET LOCAL TimeZone = ${pg.escapeLiteral(zone)}; SET LOCAL cursor_tuple_fraction = 1`);
    if (options.maxPauseSeconds !== undefined)
      await client.query(`SET LOCAL idle_in_transaction_session_timeout = '${options.maxPauseSeconds}s'`);
    const shown = script.statements.findLastIndex(givesRows);
    const run = { client, report, options, spentMs: 0 };
    for (const statement of script.statements.slice(0, Math.max(0, shown))) await runStatement(run, statement);
    const head = { ...reach, report, values, asked, messages: script.messages };
    const statement = script.statements[shown];
    if (statement === undefined) {
      for (const other of script.statements) await runStatement(run, other);
      return work({ ...head, columns: [], batches: fromList([]), countRest: () => Promise.resolve(0) });
    }
    const rows = await openRows(run, statement);
    const result = await work({ ...head, ...rows });
    for (const other of script.statements.slice(shown + 1)) await runStatement(run, other);
    return result;
  });
}

/** The state of a run. `spentMs` is the time for which the database has worked. */
interface Run {
  client: PoolClient;
  report: Report;
  options: RunOptions;
  spentMs: number;
}

const CURSOR_KEYWORDS = ['select', 'with', 'values', 'table', '('];
const ROW_KEYWORDS = [...CURSOR_KEYWORDS, 'show', 'explain', 'fetch'];
/** The keywords of statements that are refused, because they would end the read-only transaction or change it. */
const REFUSED = ['begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', 'release', 'copy', 'listen', 'declare', 'prepare'];

const givesRows = ({ keyword }: Statement): boolean => ROW_KEYWORDS.includes(keyword);
const DECLARE = 'DECLARE report NO SCROLL CURSOR FOR ';

async function query(run: Run, sql: string, statement: Statement) {
  const startedMs = performance.now();
  const result = await run.client.query<Value[]>({ text: sql, rowMode: 'array', types: RAW_TEXT }).catch((error: unknown) => {
    throw explainStatementError(error, { report: run.report, statement, before: Math.max(0, sql.indexOf(statement.text)) });
  });
  run.spentMs += performance.now() - startedMs;
  // The timeout of Postgres limits only one FETCH, and reading a result takes many of them. So the total time is limited here.
  if (run.spentMs > run.options.timeoutSeconds * 1000) throwTimeout(run.options);
  return result;
}

/** Runs a statement whose rows are not shown. The rows stay on the server. */
async function runStatement(run: Run, statement: Statement): Promise<void> {
  if (REFUSED.includes(statement.keyword))
    throw new ClickledgerError(
      'bad-input',
      frameOf(
        statement.start,
        `${statement.keyword.toUpperCase()} is not possible in a report: it runs in one transaction that can only read`,
      ),
    );
  if (!CURSOR_KEYWORDS.includes(statement.keyword)) {
    await query(run, statement.text, statement);
    return;
  }
  await query(run, DECLARE + statement.text, statement);
  await query(run, 'MOVE FORWARD ALL IN report', statement);
  await run.client.query('CLOSE report');
}

async function openRows(run: Run, statement: Statement): Promise<Pick<ResultStream, 'columns' | 'batches' | 'countRest'>> {
  if (!CURSOR_KEYWORDS.includes(statement.keyword)) {
    const { fields, rows } = await query(run, statement.text, statement);
    return { columns: columnsOf(fields), batches: fromList(rows), countRest: () => Promise.resolve(0) };
  }
  await query(run, DECLARE + statement.text, statement);
  const fetch = `FETCH ${BATCH_ROWS} FROM report`;
  const first = await query(run, fetch, statement);
  async function* batches(): AsyncGenerator<Value[][]> {
    for (let { rows } = first; rows.length > 0; ) {
      yield rows;
      if (rows.length < BATCH_ROWS) return;
      ({ rows } = await query(run, fetch, statement));
    }
  }
  return {
    columns: columnsOf(first.fields),
    batches: batches(),
    countRest: async () => (await query(run, 'MOVE FORWARD ALL IN report', statement)).rowCount ?? 0,
  };
}

const columnsOf = (fields: readonly { name: string; dataTypeID: number }[]): Column[] =>
  fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID }));

async function* fromList(rows: Value[][]): AsyncGenerator<Value[][]> {
  if (rows.length > 0) yield rows;
}

/** Reads up to which time hits are counted, and which parts are missing. Throws `unavailable` if it takes longer than the timeout. */
export async function readReach(pool: Pool, options: Pick<RunOptions, 'timeoutSeconds'>): Promise<Reach> {
  return readOnly(pool, options, queryReach);
}

async function queryReach(client: PoolClient): Promise<Reach> {
  const { rows } = await client.query<Reach>('SELECT last_at AS "lastAt", holes, missing_bytes AS "missingBytes" FROM analytics.reach');
  return rows[0] ?? { lastAt: null, holes: 0, missingBytes: 0 };
}

/** Runs `work` in a read-only transaction with a timeout for each statement. Throws `unavailable` if a statement takes longer. */
export async function readOnly<T>(
  pool: Pool,
  options: Pick<RunOptions, 'timeoutSeconds' | 'countUnsure' | 'goalDays'>,
  work: (client: PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  const startedMs = performance.now();
  let succeeded = false;
  try {
    // `SELECT 1` is needed, because after its first query a transaction can no longer be changed to read-write.
    await client.query(
      `BEGIN READ ONLY; SELECT 1; ${LIMIT_IDLE}; SET LOCAL statement_timeout = ${Math.ceil(options.timeoutSeconds * 1000)}${
        options.countUnsure === true ? `; SET LOCAL clickledger.count_unsure = 'on'` : ''
      }${options.goalDays === undefined ? '' : `; SET LOCAL clickledger.goal_days = ${options.goalDays}`}`,
    );
    const result = await work(client);
    await client.query('ROLLBACK');
    succeeded = true;
    return result;
  } catch (error) {
    // This SQLSTATE means query_canceled.
    if (codeOf(error) !== '57014') throw error;
    // If the query was cancelled before its own time limit, the watchdog of a worker or an administrator has cancelled it.
    if (performance.now() - startedMs < options.timeoutSeconds * 1000)
      throw new ClickledgerError(
        'unavailable',
        'the database has cancelled this query, because it took longer than the operator allows (ANALYST_MAX_SECONDS). Ask for less, e.g. for one campaign.',
        { cause: error },
      );
    return throwTimeout(options, error);
  } finally {
    // After an error, the state of the connection is unknown, so the connection is closed and not used again.
    client.release(!succeeded);
  }
}

function throwTimeout({ timeoutSeconds }: Pick<RunOptions, 'timeoutSeconds'>, cause?: unknown): never {
  throw new ClickledgerError(
    'unavailable',
    `stopped after ${timeoutSeconds} s to protect the database. Ask for less, e.g. for one campaign, or allow more time with --timeout <seconds>.`,
    { cause },
  );
}
