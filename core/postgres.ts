import { accessSync, constants } from 'node:fs';
import { env } from 'node:process';
import pg from 'pg';
import { parseDatabaseUrl, singleHostUrls } from './database-url.ts';
import { ClickledgerError, codeOf, messageOf } from './errors.ts';
import { FailoverPool } from './failover-pool.ts';

// Connections to Postgres, and the meaning of its errors.

// bigint columns hold ids and offsets below 2^53, so they are read as numbers. Times are read as Date, which is pg's default.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export type { Pool, PoolClient } from 'pg';

/** Lets a pool leave one of several hosts in its URL. See FailoverPool. */
export function leaveHost(pool: pg.Pool, host: string): void {
  if (pool instanceof FailoverPool) pool.leave(host);
}

/**
 * Throws `bad-settings` if a certificate file in the URL cannot be read. pg reads these files again for each new connection; a file that is
 * missing at the start is a mistake in the settings, so this function reports it as a mistake in the settings.
 */
function assertFilesReadable(url: string): void {
  for (const [name, path] of parseDatabaseUrl(url).url.searchParams) {
    if (!['sslrootcert', 'sslcert', 'sslkey'].includes(name)) continue;
    try {
      accessSync(path, constants.R_OK);
    } catch (cause) {
      throw new ClickledgerError('bad-settings', `${name} in the URL of a database cannot be read: ${path}`, { cause });
    }
  }
}

/** A connection that ignores the environment variables of libpq. A person may have set these variables for other databases. */
export class Client extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    const restore = hideLibpqVariables(env);
    try {
      super(config);
    } finally {
      restore();
    }
  }
}

/**
 * Removes the variables of libpq (PGSSLMODE, PGOPTIONS …) from an environment until the returned function is called. When a client is
 * created, pg reads these variables for every option that the configuration does not set, and pg has no option that prevents this. The
 * variables are restored afterwards, because the functions of this package may run inside a program that needs them.
 */
function hideLibpqVariables(environment: Record<string, string | undefined>): () => void {
  const hidden = Object.entries(environment).filter(([name]) => /^PG[A-Z]/.test(name));
  for (const [name] of hidden) delete environment[name];
  return () => void Object.assign(environment, Object.fromEntries(hidden));
}

/**
 * Limits the idle time of the current transaction. After 60 idle seconds Postgres closes the connection, so that an unfinished transaction
 * does not keep its locks. The limit is not set as a parameter of the connection, because a pooler such as pgbouncer refuses such a
 * parameter.
 */
export const LIMIT_IDLE = `SET LOCAL idle_in_transaction_session_timeout = '60s'`;

/** Begins a transaction with LIMIT_IDLE, in one round trip. */
export const BEGIN = `BEGIN; ${LIMIT_IDLE}`;

/**
 * Creates a connection pool. TCP keepalive detects a server that no longer exists. `queryTimeoutMs` limits the time of a query, even if the
 * server hangs. Two statements outside a transaction may run in different sessions of Postgres, because a pooler may be between this
 * program and Postgres. So callers must not use anything that stays in a session: SET, LISTEN, named statements, temporary tables, or
 * advisory locks that outlive a transaction.
 *
 * A URL with several hosts leads to the server that `target_session_attrs` wants. See FailoverPool.
 */
export function createPool(url: string, options: { max: number; name: string; queryTimeoutMs?: number }): pg.Pool {
  assertFilesReadable(url);
  const target = parseDatabaseUrl(url);
  const config = {
    max: options.max,
    application_name: `clickledger ${options.name}`,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...(options.queryTimeoutMs === undefined ? {} : { query_timeout: options.queryTimeoutMs }),
  };
  const pool =
    target.hosts.length === 1 && target.sessionAttrs === 'any'
      ? new pg.Pool({ ...config, Client, connectionString: singleHostUrls(target)[0] })
      : new FailoverPool(config, target, Client);
  // The pool replaces an idle connection that breaks. Code that uses a connection gets the error from its own query.
  pool.on('error', () => {});
  // A connection can also break between two queries of a transaction. The next query then fails, so the event is ignored here.
  pool.on('connect', (client) => void client.on('error', () => {}));
  return pool;
}

/** Runs `work` in a transaction: commits if `work` resolves, rolls back if it throws. A connection that failed is closed, not reused. */
export function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  return withClient(pool, async (client) => {
    await client.query(BEGIN);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  });
}

/** Runs `work` with one connection of the pool. If `work` throws, the connection is closed, not reused. */
export async function withClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    return await work(client);
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
}

// SQLSTATE classes (PostgreSQL documentation, appendix A) and the codes of Node's sockets.
const RETRYABLE_CLASSES = ['08', '25', '40', '53', '55', '57', '58'];
const RETRYABLE_CODES = ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];
const POISON_CLASSES = ['22', '23'];

export type Failure = 'retry' | 'poison' | 'fatal';

/**
 * Classifies the error of a statement:
 *   retry   the same statement may succeed later
 *   poison  one of the rows is invalid
 *   fatal   the database is set up wrongly, e.g. a table or a privilege is missing
 *
 * If a connection breaks or is not established in time, the error of pg has no code, and counts as `retry`. Code 23514 (check violation)
 * without the name of a constraint means that no partition exists for a row, and counts as `fatal`.
 */
export function classify(error: unknown): Failure {
  const code = codeOf(error);
  // `unavailable`: no server of the URL is the wanted one at the moment, or none answers in time.
  if (code === undefined || code === 'unavailable') return 'retry';
  if (RETRYABLE_CODES.includes(code) || RETRYABLE_CLASSES.includes(code.slice(0, 2))) return 'retry';
  if (code === '23514' && (error as { constraint?: string }).constraint === undefined) return 'fatal';
  if (POISON_CLASSES.includes(code.slice(0, 2))) return 'poison';
  return 'fatal';
}

/** Runs `work`. Treats an error that is not a ClickledgerError as an error of the database and explains it with explainDatabaseError. */
export async function explainErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ClickledgerError ? error : explainDatabaseError(error);
  }
}

/** Turns an error of the database into a one-line message for the user of a command. */
export function explainDatabaseError(error: unknown): ClickledgerError {
  const code = codeOf(error);
  if (code === '28P01' || code === '28000')
    return new ClickledgerError(
      'bad-settings',
      'the database refused the credentials in the settings: correct the user and password in the database URL',
      { cause: error },
    );
  if (code === '42501')
    return new ClickledgerError('bad-settings', 'the database role in the settings lacks a privilege: run `clickledger migrate`', {
      cause: error,
    });
  if (code === '42P01' || code === '3F000' || code === '3D000')
    return new ClickledgerError('wrong-database', 'the database has not been set up: run `clickledger migrate`', { cause: error });
  // pgbouncer uses this code for all its errors. The message comes from Postgres or from pgbouncer itself, e.g. `SASL authentication
  // failed`.
  if (code === '08P01')
    return new ClickledgerError(
      'unavailable',
      `the pooler in front of the database gives no connection (${messageOf(error)}): check that it has the roles, passwords and databases of the settings, and that Postgres runs`,
      { cause: error },
    );
  if (classify(error) === 'retry')
    return new ClickledgerError('unavailable', 'the database does not answer: check that it runs (`clickledger up` starts it)', {
      cause: error,
    });
  return new ClickledgerError('server-failed', `the database reported an error: ${messageOf(error)}`, {
    cause: error,
  });
}
