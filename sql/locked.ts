import type pg from 'pg';

/** The advisory lock of all migrations. Postgres keeps the locks of each database apart. */
const LOCK = 4_718_221;

/**
 * Runs `work` in a transaction that waits for the transactions of other runs in the same database. Commits if `work` resolves, rolls back if
 * it throws. The lock belongs to the transaction: behind a pooler, a lock of the session would stay with whoever gets the session next.
 */
export async function locked<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // If the connection broke, this fails, too. The first error says more.
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
