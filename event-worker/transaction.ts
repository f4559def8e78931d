import { BEGIN, type Pool, type PoolClient } from '../core/postgres.ts';

/**
 * Runs `work` in a transaction and returns the result of `work`. Commits if `work` returns true. Rolls back if `work` returns false or
 * throws. After an error, the connection is closed and not reused.
 */
export async function inTransaction(pool: Pool, work: (client: PoolClient) => Promise<boolean>): Promise<boolean> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query(BEGIN);
    const shouldCommit = await work(client);
    await client.query(shouldCommit ? 'COMMIT' : 'ROLLBACK');
    return shouldCommit;
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
}
