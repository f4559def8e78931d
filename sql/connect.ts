import type pg from 'pg';
import { parseDatabaseUrl } from '../core/database-url.ts';
import { connectToWanted } from '../core/failover-pool.ts';
import { Client } from '../core/postgres.ts';

/** Opens one connection for work as the owner. This work needs no pool. */
export async function connect(url: string): Promise<pg.Client> {
  return connectToWanted(parseDatabaseUrl(url), (connectionString) => {
    const client = new Client({ connectionString, application_name: 'clickledger migrate', connectionTimeoutMillis: 10_000 });
    // Without a listener, a broken connection would end the process. With it, the next query fails with the reason.
    client.on('error', () => {});
    return client;
  });
}
