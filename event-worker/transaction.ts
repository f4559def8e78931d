import type { Pool, PoolClient } from '../core/postgres.ts';

/** Commits where `work` returns true, rolls back where it returns false or throws. A connection that failed is not used again. */
export async function inTransaction(pool: Pool, work: (client: PoolClient) => Promise<boolean>): Promise<boolean> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('BEGIN');
    const good = await work(client);
    await client.query(good ? 'COMMIT' : 'ROLLBACK');
    return good;
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
}
