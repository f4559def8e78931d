import { BEGIN, type Pool, type PoolClient, withClient } from '../core/postgres.ts';

/**
 * Runs `work` in a transaction and returns the result of `work`. Commits if `work` returns true. Rolls back if `work` returns false or
 * throws. After an error, the connection is closed and not reused.
 */
export function inTransaction(pool: Pool, work: (client: PoolClient) => Promise<boolean>): Promise<boolean> {
  return withClient(pool, async (client) => {
    await client.query(BEGIN);
    const shouldCommit = await work(client);
    await client.query(shouldCommit ? 'COMMIT' : 'ROLLBACK');
    return shouldCommit;
  });
}
