import { copyFile, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnvFile, writeEnvFile } from '../../core/env-file.ts';
import { createPool, type PoolClient, transaction } from '../../core/postgres.ts';
import { evenShards, parseShards, shardUrl } from '../../core/shards.ts';
import { createDesk } from '../../desk/app.ts';
import { inTransaction } from '../../event-worker/transaction.ts';
import { listReports } from '../../reporting/report-file.ts';
import { readOnly } from '../../reporting/run-report.ts';
import { ROLES } from '../../sql/migrate.ts';
import { freePort } from '../../stack/ports.ts';
import { OWNER, startPostgres } from '../../stack/postgres.ts';
import type { Running } from '../../stack/process.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { clickledger } from '../support/commands.ts';
import { startPgbouncer } from '../support/pgbouncer.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Tests the whole system behind pgbouncer in transaction mode, in which each transaction may get another session. All connections go
// through pgbouncer, including the connections of the catalog to the shards.

const PASSWORDS = Object.fromEntries([[OWNER, 'owner'], ...ROLES.map((role) => [`clickledger_${role}`, role])]) as Record<string, string>;
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const PEOPLE = 40;

let directory: string;
let dataDir: string;
let postgresPort: number;
let pgbouncerPort: number;
let pgbouncer: Running;
let system: System;

/** Returns the settings for databases at a port, which is the port of pgbouncer or of Postgres itself. */
function settingsBy(port: number): Record<string, string> {
  const urlOf = (role: string): string => `postgres://${role}:${PASSWORDS[role]}@127.0.0.1:${port}/clickledger`;
  return {
    CATALOG_URL: urlOf(OWNER),
    ...Object.fromEntries(ROLES.map((role) => [`${role.toUpperCase()}_URL`, urlOf(`clickledger_${role}`)])),
    SHARDS: evenShards(2, (name) => `postgres://127.0.0.1:${port}/clickledger_shard_${name}`),
  };
}

/**
 * Runs statements in one session. By default it connects directly to Postgres; with the port of pgbouncer, it connects through pgbouncer.
 * Returns the rows of the last statement.
 */
async function query<Row extends pg.QueryResultRow>(
  sql: string,
  { database = 'clickledger', role = OWNER, port = postgresPort, values = [] as unknown[] } = {},
): Promise<Row[]> {
  const options = { user: role, password: PASSWORDS[role], host: '127.0.0.1', port, database, application_name: 'test' };
  const client = new pg.Client(options);
  await client.connect();
  try {
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

async function command(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await clickledger(['--data', dataDir, ...args], { cwd: directory });
  expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
  return stdout;
}

const startBouncer = () => startPgbouncer({ runDir: join(directory, 'bouncer'), port: pgbouncerPort, postgresPort, users: PASSWORDS });

/** The paths of the clicks and opens of all people, one of each. */
let paths: string[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-pgbouncer-'));
  dataDir = join(directory, 'data');
  postgresPort = await freePort();
  pgbouncerPort = await freePort();
  // The server must log all statements, beginning with the first one.
  const postgres = await startPostgres({
    dataDir: join(dataDir, 'postgres'),
    runDir: join(dataDir, 'run'),
    port: postgresPort,
    ownerPassword: 'owner',
    durable: false,
  });
  await query(`ALTER SYSTEM SET log_statement = 'all'`, { database: 'postgres' });
  await query(`ALTER SYSTEM SET log_line_prefix = '%a@ '`, { database: 'postgres' });
  await postgres.stop();
  // startSystem takes the port of Postgres from the settings of the previous run.
  await writeEnvFile(dataDir, settingsBy(postgresPort));
  pgbouncer = await startBouncer();
  const extra = { ...settingsBy(pgbouncerPort), TRUSTED_PROXIES: '127.0.0.1', LOG_LEVEL: 'warn' };
  system = await startSystem({ dataDir, backends: 2, workers: 2, durable: false, extra });
  await makeLetters();
}, 180_000);

afterAll(async () => {
  await system?.stop();
  await pgbouncer?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Does the work of an author: creates a campaign, a list and letters for all people, and changes links and recipients. */
async function makeLetters(): Promise<void> {
  const people = Array.from({ length: PEOPLE }, (_, i) => `person${i}@example.com,customer-${i}\n`).join('');
  await writeFile(join(directory, 'people.csv'), `email,customer\n${people}`);
  await writeFile(
    join(directory, 'letter.html'),
    '<html><body><a href="https://www.example.com/a">a</a> <a href="https://www.example.com/b">b</a></body></html>',
  );
  await command('campaign', 'create', 'Spring sale', '--fallback', 'https://www.example.com/');
  await command('recipient', 'import', 'people.csv', '--id-column', 'customer');
  await command(
    'prepare',
    'letter.html',
    '--campaign',
    'Spring sale',
    '--to',
    'people.csv',
    '--id-column',
    'customer',
    '--merge',
    'generic',
    '--out',
    'out',
  );
  await command('recipient', 'opt-out', 'person0@example.com');
  await command('recipient', 'test', 'person1@example.com');
  const list = await readFile(join(directory, 'out', 'people.csv'), 'utf8');
  paths = [...new Set(Array.from(list.matchAll(/http:\/\/[^/,"]+(\/[ur]\/[^\s,"]+)/g), ([, path]) => path as string))];
}

/** Requests all paths once, each from another address, so that the rate limit does not apply. Returns the number of failures. */
async function clickAll(): Promise<number> {
  const statuses: number[] = [];
  for (const [i, path] of paths.entries()) {
    const headers = { 'User-Agent': BROWSER, 'X-Forwarded-For': `198.51.100.${i % 250}` };
    statuses.push((await rawRequest(system.ports.edges[0] as number, 'GET', path, headers)).status);
  }
  return statuses.filter((status) => status !== 302 && status !== 200).length;
}

/** Returns the number of events on both shards, including the events of test recipients. */
async function countEvents(): Promise<number> {
  const rows = await Promise.all(
    ['a', 'b'].map((name) => query<{ n: number }>('SELECT count(*)::int AS n FROM shard.event', { database: `clickledger_shard_${name}` })),
  );
  return rows.reduce((sum, [row]) => sum + (row?.n ?? 0), 0);
}

test('pgbouncer refuses a limit as a parameter of the connection, and changes the session of a client', async () => {
  const options = { user: OWNER, password: 'owner', host: '127.0.0.1', port: pgbouncerPort, database: 'clickledger' };
  const limited = new pg.Client({ ...options, idle_in_transaction_session_timeout: 60_000 });
  await expect(limited.connect()).rejects.toThrow('unsupported startup parameter');
  const pool = createPool(settingsBy(pgbouncerPort)['CATALOG_URL'] as string, { max: 1, name: 'test' });
  const pids = new Set<number>();
  // The pool opens its second session when two clients work at the same time.
  await Promise.all([pool.query('SELECT pg_sleep(0.2)'), query('SELECT pg_sleep(0.2)', { port: pgbouncerPort })]);
  for (let i = 0; i < 4; i++) pids.add((await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid ?? 0);
  await pool.end();
  expect(pids.size).toBe(2);
});

test('the reason of pgbouncer is shown, because it has one code for all reasons', async () => {
  const wrong = {
    ...(await readEnvFile(dataDir)),
    ANALYST_URL: `postgres://clickledger_analyst:wrong@127.0.0.1:${pgbouncerPort}/clickledger`,
  };
  const { code, stderr } = await clickledger(['report', 'campaign-summary'], { env: wrong });
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(/^clickledger: the pooler .*SASL authentication failed.*roles, passwords/),
  });
});

test('a transaction that is idle for a minute is ended, and the limit ends with the transaction', async () => {
  const pool = createPool(settingsBy(pgbouncerPort)['ANALYST_URL'] as string, { max: 1, name: 'test' });
  const idle = `SELECT current_setting('idle_in_transaction_session_timeout') AS idle`;
  const inside: unknown[] = [];
  const read = async (client: PoolClient): Promise<void> => void inside.push((await client.query(idle)).rows[0]);
  await transaction(pool, read);
  await inTransaction(pool, (client) => read(client).then(() => true));
  await readOnly(pool, { timeoutSeconds: 5 }, read);
  expect(inside).toEqual(Array(3).fill({ idle: '1min' }));
  for (let session = 0; session < 2; session++) expect((await pool.query(idle)).rows).toEqual([{ idle: '0' }]);
  await pool.end();
});

test('hits are counted exactly once while a worker is killed and pgbouncer is restarted', async () => {
  expect(paths.length).toBeGreaterThan(2 * PEOPLE);
  expect(await clickAll()).toBe(0);
  await eventually('the first hits are counted', async () => (await countEvents()) > 0);
  const clicking = clickAll();
  await system.member('event-worker-1').running?.kill();
  await pgbouncer.stop();
  await system.member('event-worker-1').start();
  pgbouncer = await startBouncer();
  await system.member('event-worker-2').running?.kill();
  await system.member('event-worker-2').start();
  expect(await clicking).toBe(0);
  expect(await clickAll()).toBe(0);
  await eventually('all hits are counted', async () => (await countEvents()) === 3 * paths.length);
  await eventually('all hits are judged', async () => {
    const marks = await Promise.all(
      ['a', 'b'].map((name) =>
        query<{ n: number }>('SELECT count(*)::int AS n FROM shard.delta', { database: `clickledger_shard_${name}` }),
      ),
    );
    return marks.every(([row]) => row?.n === 0);
  });
  await command('status');
  expect(await countEvents()).toBe(3 * paths.length);
});

test('reports and the dashboard show the same as without pgbouncer, however the catalog reaches the shards', async () => {
  const reportBy = async (port: number, name: string, format: string): Promise<string> => {
    const parameters: Record<string, string> = {
      campaign: '1',
      url: 'https://www.example.com/a',
      email: 'person2@example.com',
      recipient: 'person2@example.com',
    };
    const report = (await listReports()).find((each) => each.name === name);
    const args = (report?.parameters ?? [])
      .filter((each) => each.name in parameters)
      .flatMap((each) => [`--${each.name}`, parameters[each.name] as string]);
    const env = { ...(await readEnvFile(dataDir)), ...settingsBy(port) };
    const { code, stdout, stderr } = await clickledger(['report', name, ...args, '--format', format], { env });
    expect({ name, code, stderr: code === 0 ? '' : stderr }).toEqual({ name, code: 0, stderr: '' });
    return stdout;
  };
  // The test starts several reports at the same time. They would wait for each other forever if each report needed two sessions.
  const cases = [
    ['campaign-summary', 'csv'],
    ['clicks-by-hour', 'json'],
    ['most-engaged', 'markdown'],
  ] as const;
  const direct = await Promise.all(cases.map(([name, format]) => reportBy(postgresPort, name, format)));
  expect(direct.join('\n')).toContain('person2@example.com');
  expect(await Promise.all(cases.map(([name, format]) => reportBy(pgbouncerPort, name, format)))).toEqual(direct);
  await command('report', 'campaign-summary', '--campaign', '1', '--out', join(directory, 'summary.xlsx'));

  for (const name of ['a', 'b']) await query(`ALTER SERVER shard_${name} OPTIONS (SET port '${postgresPort}')`);
  expect(await reportBy(pgbouncerPort, 'campaign-summary', 'csv')).toBe(direct[0]);
  await command('migrate');

  const pool = createPool(settingsBy(pgbouncerPort)['ANALYST_URL'] as string, { max: 4, name: 'dashboard' });
  const errors: unknown[] = [];
  const app = createDesk({
    pool,
    host: '127.0.0.1',
    timeoutSeconds: 30,
    zone: 'Asia/Tokyo',
    refreshSeconds: 10,
    onError: (error) => errors.push(error),
  });
  for (const url of ['/', '/campaign/1', '/report/clicks-by-hour']) expect((await app.inject({ url })).statusCode).toBe(200);
  await app.close();
  await pool.end();
  expect(errors).toEqual([]);
});

test('what operators do works: migrations at once, reclassify, restored, ship, and the move of a shard', async () => {
  const before = await countEvents();
  await Promise.all([command('migrate'), command('migrate'), command('migrate')]);
  await command('reclassify', '--campaign', '1');
  await command('audit', '--logs', system.logDirs[0] as string);
  await command('restored', '--skip', '100');
  const log = join(directory, 'old.log');
  await copyFile(join(system.logDirs[0] as string, 'access.log'), log);
  // The command `ship` refuses a file that was changed a moment ago.
  const minuteAgo = new Date(Date.now() - 60_000);
  await utimes(log, minuteAgo, minuteAgo);
  await command('ship', log);
  await command('shard', 'move', 'b', '--to', `postgres://127.0.0.1:${pgbouncerPort}/moved_b`);
  expect(await countEvents()).toBe(before);
  expect((await query<{ host: string }>('SELECT srvoptions::text AS host FROM pg_foreign_server ORDER BY 1'))[1]?.host).toContain(
    'moved_b',
  );
});

test('no part has left anything in a session', async () => {
  const shards = parseShards(settingsBy(pgbouncerPort)['SHARDS'] as string);
  for (const role of [OWNER, ...ROLES.map((each) => `clickledger_${each}`)]) {
    for (const url of [
      settingsBy(pgbouncerPort)['CATALOG_URL'] as string,
      ...shards.list.map((shard) => shardUrl(shard, settingsBy(pgbouncerPort)['CATALOG_URL'] as string)),
    ]) {
      const database = new URL(url).pathname.slice(1);
      if (role === 'clickledger_backend' && database !== 'clickledger') continue;
      for (let session = 0; session < 2; session++) {
        const [state] = await query(
          `SELECT (SELECT count(*)::int FROM pg_prepared_statements) AS prepared, (SELECT count(*)::int FROM pg_cursors) AS cursors,
                  (SELECT count(*)::int FROM pg_listening_channels()) AS channels, pg_my_temp_schema()::int AS "tempSchema",
                  (SELECT count(*)::int FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS "tempTables",
                  current_setting('idle_in_transaction_session_timeout') AS idle, current_setting('statement_timeout') AS statement`,
          { role, database, port: pgbouncerPort },
        );
        expect({ role, database, ...state, tempSchema: 0 }).toEqual({
          role,
          database,
          prepared: 0,
          cursors: 0,
          channels: 0,
          tempSchema: 0,
          tempTables: 0,
          idle: '0',
          statement: '0',
        });
      }
    }
  }
  expect(await query(`SELECT * FROM pg_locks WHERE locktype = 'advisory'`)).toEqual([]);
});

test('no statement needs a session', async () => {
  const log = await readFile(join(dataDir, 'run', 'postgres.log'), 'utf8');
  const entries = log.split(/^(?=[^\n@\t]*@ [A-Z]+: )/m).map((entry) => /^([^@]*)@ LOG: +(statement|execute [^:]*): ([^]*)$/.exec(entry));
  // The connections of the catalog to the shards are made by postgres_fdw. It sets some settings at the start of a connection, but it does
  // not need them later.
  const statements = entries.flatMap((match) =>
    match && !['test', 'postgres_fdw'].includes(match[1] as string) ? [{ kind: match[2] as string, sql: match[3] as string }] : [],
  );
  expect(statements.length).toBeGreaterThan(1_000);
  expect(statements.filter(({ kind, sql }) => needsSession(kind, sql))).toEqual([]);
});

/** Returns whether a statement would leave state in the session, or needs state that an earlier statement has left. */
function needsSession(kind: string, sql: string): boolean {
  // pgbouncer itself sets these settings in a session. It remembers them for each client.
  if (/^(?:SET (?:client_encoding|datestyle|timezone|standard_conforming_strings|application_name)='[^']*';)+\s*$/i.test(sql)) return false;
  if (kind !== 'statement' && kind !== 'execute <unnamed>') return true;
  if (/\bpg_(?:try_)?advisory_(?:lock|unlock)\w*\s*\(|\bset_config\s*\([^)]*,\s*false\s*\)/i.test(sql)) return true;
  return sql
    .replace(/(\$\w*\$)[^]*?\1/g, '')
    .replace(/--.*/g, '')
    .split(';')
    .map((each) => each.trim())
    .some(
      (each) =>
        // The reports set their time zone in a transaction that is always rolled back.
        (/^set\s+(?!local\b|transaction\b)/i.test(each) && !/^SET TimeZone = '[^']*'$/.test(each)) ||
        // DISCARD PLANS only makes Postgres plan statements again.
        /^(?:reset|listen|unlisten|prepare|execute|deallocate|discard(?! plans$)|load)\b/i.test(each) ||
        (/^create\s+(?:local\s+|global\s+)?temp/i.test(each) && !/\bon commit drop$/i.test(each)) ||
        /^declare\b.*\bwith hold\b/is.test(each),
    );
}

test.each([
  ['statement', 'SET statement_timeout = 5', true],
  ['statement', "BEGIN; SET LOCAL statement_timeout = '5s'", false],
  ['statement', 'BEGIN; SET statement_timeout = 5', true],
  ['statement', "SET application_name='clickledger cli';SET TimeZone='UTC';", false],
  ['execute named', 'SELECT 1', true],
  ['execute <unnamed>', 'SELECT pg_advisory_lock($1)', true],
  ['execute <unnamed>', 'SELECT pg_advisory_xact_lock($1)', false],
  ['statement', 'LISTEN changes', true],
  ['statement', 'DISCARD ALL', true],
  ['statement', 'DISCARD PLANS', false],
  ['statement', 'CREATE TEMPORARY TABLE incoming (n integer) ON COMMIT DELETE ROWS', true],
  ['statement', 'CREATE TEMPORARY TABLE incoming (n integer) ON COMMIT DROP', false],
  ['statement', 'UPDATE catalog.link\n SET version = 2', false],
])('%s %s: needs a session is %s', (kind, sql, expected) => {
  expect(needsSession(kind, sql)).toBe(expected);
});
