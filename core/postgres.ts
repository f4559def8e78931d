import { accessSync, constants } from 'node:fs';
import pg from 'pg';
import { ClickledgerError, codeOf, messageOf } from './errors.ts';

// Ids and offsets are below 2^53: read them as numbers. Times stay as pg makes them (Date).
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

export type { Pool, PoolClient } from 'pg';

/** pg reads these anew for each connection; a file that was never there is a mistake in the settings. */
function expectFiles(url: string): void {
  for (const [name, path] of new URL(url).searchParams) {
    if (!['sslrootcert', 'sslcert', 'sslkey'].includes(name)) continue;
    try {
      accessSync(path, constants.R_OK);
    } catch (cause) {
      throw new ClickledgerError('bad-settings', `${name} in the URL of a database cannot be read: ${path}`, { cause });
    }
  }
}

/** A pool that notices dead peers and never lets a forgotten transaction sit on its locks. `queryTimeoutMs` also ends the wait for a frozen server. */
export function createPool(url: string, options: { max: number; name: string; queryTimeoutMs?: number }): pg.Pool {
  expectFiles(url);
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max,
    application_name: `clickledger ${options.name}`,
    connectionTimeoutMillis: 5_000,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...(options.queryTimeoutMs === undefined ? {} : { query_timeout: options.queryTimeoutMs }),
  });
  // An idle connection that breaks is simply replaced; who holds one gets the error from its own query.
  pool.on('error', () => {});
  // The same for one that breaks between two queries of a transaction: the next query says so.
  pool.on('connect', (client) => void client.on('error', () => {}));
  return pool;
}

/** Commits what `work` did, unless it throws. A connection that failed is not used again. */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
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
 * What a failed statement means: try again later, one of the rows is at fault, or the set-up is wrong (a missing table or right).
 * pg reports a connection that broke, or could not be made in time, without any code: that is 'retry'. 23514 without a constraint's
 * name is a row without a partition, which is the set-up's fault.
 */
export function classify(error: unknown): Failure {
  const code = codeOf(error);
  if (code === undefined) return 'retry';
  if (RETRYABLE_CODES.includes(code) || RETRYABLE_CLASSES.includes(code.slice(0, 2))) return 'retry';
  if (code === '23514' && (error as { constraint?: string }).constraint === undefined) return 'fatal';
  if (POISON_CLASSES.includes(code.slice(0, 2))) return 'poison';
  return 'fatal';
}

/** What `work` gives; a failure that is not ours yet is explained as one of the database. */
export async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ClickledgerError ? error : explainDatabaseError(error);
  }
}

/** One line for a person whose command could not reach or use a database. */
export function explainDatabaseError(error: unknown): ClickledgerError {
  const code = codeOf(error);
  if (code === '28P01' || code === '28000')
    return new ClickledgerError('bad-settings', 'the database refused the credentials in the settings', { cause: error });
  if (code === '42501')
    return new ClickledgerError('bad-settings', 'the role in the settings lacks a right: run `clickledger migrate`', { cause: error });
  if (code === '42P01' || code === '3F000' || code === '3D000')
    return new ClickledgerError('wrong-database', 'the database has not been set up: run `clickledger migrate`', { cause: error });
  if (classify(error) === 'retry')
    return new ClickledgerError('unavailable', 'the database does not answer: is it running (`clickledger up`)?', { cause: error });
  return new ClickledgerError('server-failed', `the database said: ${messageOf(error)}`, {
    cause: error,
  });
}
