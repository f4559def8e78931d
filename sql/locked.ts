import type pg from 'pg';

/** The key of the advisory lock of all migrations. In Postgres, an advisory lock applies only to one database. */
const LOCK = 4_718_221;

/**
 * Runs `work` in a transaction that first waits for the transactions of other runs in the same database. Commits if `work` resolves, and
 * rolls back if `work` rejects. The lock belongs to the transaction and not to the session, because a pooler may give the session, with its
 * lock, to another client.
 */
export async function locked<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // If the connection broke, the ROLLBACK also fails. The first error is more useful.
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
