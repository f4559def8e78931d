import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject, expect, test } from 'vitest';

// Tests that this project ignores the environment variables of libpq, which a person may have set for other databases. The test starts a
// separate process that has these variables.

const VARIABLES = {
  PGHOST: 'db.invalid',
  PGPORT: '1',
  PGUSER: 'somebody',
  PGPASSWORD: 'secret',
  PGDATABASE: 'other',
  PGSERVICE: 'other',
  PGSSLMODE: 'require',
  PGSSLNEGOTIATION: 'direct',
  PGOPTIONS: '-c statement_timeout=1',
  PGAPPNAME: 'other',
  PGCONNECT_TIMEOUT: '1',
  PGCLIENT_ENCODING: 'LATIN1',
  PGREPLICATION: 'database',
  PGTZ: 'Asia/Kathmandu',
};

const PROGRAM = `
const { createPool, Client } = await import(process.argv[1] + '/core/postgres.ts');
const { connect } = await import(process.argv[1] + '/sql/connect.ts');
const query = "SELECT current_user AS who, current_database() AS which, current_setting('statement_timeout') AS timeout, current_setting('client_encoding') AS encoding";
const pool = createPool(process.argv[2], { max: 1, name: 'test' });
const client = await connect(process.argv[2]);
const without = new Client({ host: new URL(process.argv[2]).hostname });
console.log(JSON.stringify({
  rows: [(await pool.query(query)).rows[0], (await client.query(query)).rows[0]],
  open: [without.database, without.port],
  kept: Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('PG'))),
}));
await pool.end();
await client.end();
`;

test('count for nothing here, and are still there for the program that runs us', async () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', PROGRAM, root, `${inject('clusterUrl')}/postgres`],
    { env: { PATH: '', USER: 'ann', ...VARIABLES } },
  );
  const row = { who: 'clickledger_owner', which: 'postgres', timeout: '0', encoding: 'UTF8' };
  expect(JSON.parse(stdout)).toEqual({ rows: [row, row], open: ['ann', 5432], kept: VARIABLES });
});
