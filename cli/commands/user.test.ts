import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { clickledger, createDataDirectory } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

let databases: Databases;
let data: string;
let passwordFile: string;

const PASSWORD = 'correct horse battery';

beforeAll(async () => {
  databases = await createDatabases(1);
});

beforeEach(async () => {
  data = await createDataDirectory(databases);
  passwordFile = join(data, 'password');
  await writeFile(passwordFile, `${PASSWORD}\n`);
});

const user = (...args: string[]) => clickledger(['--data', data, 'user', ...args]);
const json = async (...args: string[]) => JSON.parse((await user(...args, '--json')).stdout) as never;

/** Adds a session of an account. */
const addSession = (name: string) =>
  databases.query(
    'catalog',
    'SELECT catalog.add_session(id, sha256(gen_random_uuid()::text::bytea), $$password$$) FROM catalog.account WHERE name = $1',
    [name],
  );

/** Returns the changes in the log about an account, the latest last. */
const logOf = async (id: number) =>
  (
    await databases.query<{ action: string }>(
      'catalog',
      `SELECT action FROM catalog.audit_log WHERE object = 'account ' || $1 ORDER BY id`,
      [id],
    )
  ).map(({ action }) => action);

test('an account is added, listed, changed, disabled and enabled, and the log has each change', async () => {
  const added = (await json('add', ' Ann@Example.org ', '--role', 'owner', '--password-file', passwordFile)) as { id: number };
  expect(added).toEqual({ id: added.id, name: 'Ann@Example.org', role: 'owner' });
  expect(await user('set-role', 'ann@example.org', '--role', 'author')).toEqual({
    code: 0,
    stdout: '',
    stderr: `account 'Ann@Example.org' has the role author\n`,
  });
  await addSession('Ann@Example.org');
  await addSession('Ann@Example.org');
  expect(await json('sessions', 'ann@example.org')).toHaveLength(2);
  expect(await json('list')).toMatchObject([
    { name: 'Ann@Example.org', role: 'author', has_password: true, sessions: 2, disabled_at: null },
  ]);
  expect((await user('list')).stdout).toMatch(/^name +role +password +sessions .*\nAnn@Example\.org +author +yes +2 /);
  expect((await user('end-sessions', 'ann@example.org')).stderr).toBe('2 sessions are ended\n');
  await addSession('Ann@Example.org');
  expect((await user('disable', 'ann@example.org')).stderr).toBe(`account 'Ann@Example.org' is disabled\n`);
  expect(await json('sessions', 'ann@example.org')).toEqual([]);
  expect((await user('enable', 'ann@example.org')).code).toBe(0);
  await addSession('Ann@Example.org');
  expect((await user('set-password', 'ann@example.org', '--no-password')).stderr).toContain('has no password, and its sessions are ended');
  expect(await json('list')).toMatchObject([{ has_password: false, sessions: 0, disabled_at: null }]);
  expect(await logOf(added.id)).toEqual([
    'account.create',
    'account.role',
    'session.open',
    'session.open',
    'account.end-sessions',
    'session.open',
    'account.disable',
    'account.enable',
    'session.open',
    'account.password',
  ]);
  expect((await clickledger(['--data', data, 'key', 'log'])).stdout).toContain('account.password');
});

test('a password from stdin is stored only as a hash, and its line break does not belong to it', async () => {
  const args = ['cli/main.ts', '--data', data, 'user', 'add', 'stdin', '--role', 'analyst', '--password-file', '-'];
  const child = spawn(execPath, args, { cwd: fileURLToPath(new URL('../..', import.meta.url)), stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(`${PASSWORD}\r\n`);
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect({ said, code }).toEqual({ said: `account 'stdin' is added\n`, code: 0 });
  const [row] = await databases.query<{ password: string }>('catalog', `SELECT password FROM catalog.account WHERE name = 'stdin'`);
  expect(row?.password).toMatch(/^scrypt\$32768\$8\$3\$[0-9a-f]{32}\$[0-9a-f]{64}$/);
  const dump = await databases.query('catalog', `SELECT l.*, a.* FROM catalog.audit_log l, catalog.account a`);
  expect(JSON.stringify(dump)).not.toContain(PASSWORD);
});

test('mistakes are explained', async () => {
  await user('add', 'taken', '--role', 'analyst', '--no-password');
  const mistakes: [string[], number, RegExp][] = [
    [['add', 'TAKEN', '--role', 'owner', '--no-password'], 1, /^clickledger: there is already an account 'TAKEN'/],
    [['add', 'x\ny', '--role', 'owner', '--no-password'], 1, /a name must have 1 to 254 characters in one line/],
    [['add', ' ', '--role', 'owner', '--no-password'], 1, /a name must have/],
    [['add', 'new', '--no-password'], 2, /required option '--role/],
    [['add', 'new', '--role', 'root', '--no-password'], 2, /owner, author, analyst/],
    [['add', 'new', '--role', 'owner'], 1, /there is no terminal to ask for a password/],
    [['add', 'new', '--role', 'owner', '--password-file', join(data, 'missing')], 1, /missing/],
    [['add', 'new', '--role', 'owner', '--password-file', join(data, 'short')], 1, /a password must have 12 to 1024 characters/],
    [['disable', 'nobody'], 1, /there is no account 'nobody'/],
    [['set-role', 'nobody', '--role', 'owner'], 1, /there is no account 'nobody'/],
    [['sessions', 'nobody'], 1, /there is no account 'nobody'/],
  ];
  await writeFile(join(data, 'short'), 'short');
  for (const [args, code, message] of mistakes)
    expect({ args, ...(await user(...args)) }).toEqual({ args, code, stdout: '', stderr: expect.stringMatching(message) });
});
