import type pg from 'pg';
import { Client } from '../core/postgres.ts';

/** Opens one connection for work as the owner. This work needs no pool. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new Client({ connectionString: url, application_name: 'clickledger migrate', connectionTimeoutMillis: 10_000 });
  // Without a listener, a broken connection would end the process. With it, the next query fails with the reason.
  client.on('error', () => {});
  await client.connect();
  return client;
}
