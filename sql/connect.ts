import type pg from 'pg';
import { Client } from '../core/postgres.ts';

/** Opens one connection. For work as the owner, which needs no pool. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new Client({ connectionString: url, application_name: 'clickledger migrate', connectionTimeoutMillis: 10_000 });
  // If the connection breaks, the next query fails with the reason.
  client.on('error', () => {});
  await client.connect();
  return client;
}
