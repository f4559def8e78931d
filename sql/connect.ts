import pg from 'pg';

/** One connection as the owner, for work that needs no pool. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'clickledger migrate', connectionTimeoutMillis: 10_000 });
  // What breaks the connection is said by the next query.
  client.on('error', () => {});
  await client.connect();
  return client;
}
