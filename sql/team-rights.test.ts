import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ACCOUNT_ROLES, type AccountRole } from '../core/account.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';

// What the database role of the desk can do with the session of each role of accounts. The catalog itself checks these sessions.

let databases: Databases;
let desk: pg.Client;
const hashes = {} as Record<AccountRole | 'expired' | 'disabled', Buffer>;

const newHash = (): Buffer => createHash('sha256').update(randomBytes(32)).digest();

beforeAll(async () => {
  databases = await createDatabases(1);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('x')`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.api_key (id, name, role, hash, rate) VALUES ('0123456789ab', 'x', 'analyst', sha256('x'), 1)`,
  );
  // With an empty log, a query need not check the session.
  await databases.query('catalog', `SELECT catalog.record_change(NULL, 'x', 'x', '{}')`);
  for (const name of [...ACCOUNT_ROLES, 'expired', 'disabled'] as const) {
    hashes[name] = newHash();
    await databases.query(
      'catalog',
      `WITH account AS (INSERT INTO catalog.account (name, role, disabled_at) VALUES ($1, $2, $3) RETURNING id)
       INSERT INTO catalog.session (hash, account_id, expires_at) SELECT $4, id, $5 FROM account`,
      [
        name,
        name === 'expired' || name === 'disabled' ? 'owner' : name,
        name === 'disabled' ? new Date() : null,
        hashes[name],
        new Date(Date.now() + (name === 'expired' ? -1000 : 100_000)),
      ],
    );
  }
  desk = new pg.Client({ connectionString: databases.roleUrls.author });
  await desk.connect();
});

afterAll(() => desk.end());

/** Calls a function as the role of the desk and takes its effect back. `$1` is the hash of the session. Returns the SQLSTATE, or `ok`. */
async function call(sql: string, hash: Buffer | null): Promise<string> {
  await desk.query('BEGIN');
  try {
    await desk.query(sql, [hash]);
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await desk.query('ROLLBACK');
  }
}

const FOR_OWNERS = [
  'SELECT * FROM catalog.list_accounts($1)',
  'SELECT catalog.disable_account($1, 1)',
  'SELECT catalog.end_account_sessions($1, 1)',
  `SELECT catalog.revoke_api_key($1, '0123456789ab')`,
  'SELECT * FROM catalog.read_audit_log($1, NULL, 1)',
  'SELECT * FROM catalog.audit_actions($1)',
];
const FOR_AUTHORS = [
  `SELECT catalog.share_campaign($1, 1, sha256('x'), 1)`,
  'SELECT * FROM catalog.list_shares($1, 1)',
  'SELECT catalog.revoke_share($1, 1, 1)',
  `SELECT catalog.begin_account_write($1, 'x', 'x')`,
];
const FOR_ALL = [
  'SELECT * FROM catalog.own_sessions($1)',
  'SELECT catalog.end_other_sessions($1)',
  `SELECT catalog.change_own_password($1, 'key', NULL)`,
];

describe.each([
  ['owners', FOR_OWNERS, ['owner']],
  ['authors', FOR_AUTHORS, ['owner', 'author']],
  ['every account', FOR_ALL, [...ACCOUNT_ROLES]],
])('what is for %s', (_name, statements, allowed) => {
  test.each(statements)('%s needs a session that is valid and has the role', async (sql) => {
    for (const [name, hash] of Object.entries(hashes))
      expect({ name, result: await call(sql, hash) }).toEqual({ name, result: allowed.includes(name as AccountRole) ? 'ok' : 'CL403' });
    for (const hash of [null, Buffer.alloc(0), newHash()]) expect(await call(sql, hash)).toBe('CL403');
  });
});

test('a session of somebody else is not ended, and no session that has ended is found', async () => {
  const [row] = await databases.query<{ id: number }>('catalog', 'SELECT id FROM catalog.session WHERE hash = $1', [hashes.owner]);
  const ended = async (hash: Buffer) =>
    (await desk.query<{ done: boolean }>('SELECT catalog.end_own_session($1, $2) AS done', [hash, row?.id])).rows[0]?.done;
  expect(await ended(hashes.analyst)).toBe(false);
  await expect(ended(hashes.expired)).rejects.toMatchObject({ code: 'CL403' });
  const find = async (hash: Buffer) => (await desk.query('SELECT name, role FROM catalog.find_session($1)', [hash])).rows;
  expect(await find(hashes.owner)).toEqual([{ name: 'owner', role: 'owner' }]);
  for (const name of ['expired', 'disabled'] as const) expect(await find(hashes[name])).toEqual([]);
});

test('without a password, the role opens a session only of an account that has none', async () => {
  const stored = `scrypt$2$1$1$${'0'.repeat(32)}$${createHash('sha256').update('the key').digest('hex')}`;
  await databases.query(
    'catalog',
    `INSERT INTO catalog.account (name, role, password) VALUES ('with', 'owner', $1), ('without', 'analyst', NULL)`,
    [stored],
  );
  const opened = async (sql: string, ...values: unknown[]) =>
    (await desk.query<{ account: number | null }>(sql, [...values, newHash()])).rows[0]?.account !== null;
  const external = `SELECT catalog.open_external_session($1, $2, 'oidc') AS account`;
  expect([await opened(external, 'with'), await opened(external, 'WITHOUT'), await opened(external, 'disabled')]).toEqual([
    false,
    true,
    false,
  ]);
  const byKey = 'SELECT catalog.open_session($1, $2, $3) AS account';
  expect(await opened(byKey, 'with', Buffer.from('the key'))).toBe(true);
  // The stored text, and a dump of the catalog that has it, are not enough.
  for (const key of [Buffer.from(stored), Buffer.from(stored.slice(-64), 'hex'), Buffer.from(''), null]) {
    expect(await opened(byKey, 'with', key)).toBe(false);
    expect(await opened(byKey, 'without', key)).toBe(false);
  }
  const { rows } = await desk.query<{ parameters: string }>(`SELECT catalog.password_parameters('with') AS parameters`);
  expect(rows[0]?.parameters).toBe(`scrypt$2$1$1$${'0'.repeat(32)}`);
});

test('names that differ only in the case of ASCII letters are one name', async () => {
  const add = (name: string) => databases.query('catalog', `INSERT INTO catalog.account (name, role) VALUES ($1, 'analyst')`, [name]);
  await add('kate@example.org');
  await expect(add('KATE@example.ORG')).rejects.toMatchObject({ code: '23505' });
  // The Kelvin sign.
  await add('\u212aate@example.org');
});
