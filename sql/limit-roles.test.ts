import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../core/log.ts';
import { createPool } from '../core/postgres.ts';
import { parseShards } from '../core/shards.ts';
import { parseSlugKeys } from '../core/slug.ts';
import { keepEndingLongQueries } from '../event-worker/watchdog.ts';
import { locate } from '../stack/debian.ts';
import { freePort } from '../stack/ports.ts';
import { OWNER, startPostgres } from '../stack/postgres.ts';
import type { Running } from '../stack/process.ts';
import { eventually } from '../test/support/servers.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KEPT_FUNCTIONS, REVOKED_FUNCTIONS } from './functions.ts';
import { explainMissing, limitAnalyst, type MissingLimit, revokeFunctions } from './limit-roles.ts';
import { migrate, type Role, ROLES } from './migrate.ts';

// These tests start their own Postgres server, because the limits belong to roles, and all databases of a server share its roles.

let directory: string;
let port: number;
let server: Running;

const urlOf = (user: string, database: string): string => `postgres://${user}:${user}@127.0.0.1:${port}/${database}`;
const analystUrl = (): string => urlOf('clickledger_analyst', 'ledger');

async function connect(user: string, database: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: urlOf(user, database) });
  client.on('error', () => {});
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const settings = () => ({
  ownerUrl: urlOf(OWNER, 'ledger'),
  roleUrls: Object.fromEntries(ROLES.map((role) => [role, urlOf(`clickledger_${role}`, 'ledger')])) as Record<Role, string>,
  shards: parseShards(`a=00=postgres://127.0.0.1:${port}/ledger_a`),
  keys: parseSlugKeys('ab'.repeat(32)),
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  port = await freePort();
  server = await startPostgres({ dataDir: `${directory}/data`, runDir: `${directory}/run`, port, ownerPassword: OWNER, durable: false });
  await migrate(settings());
});

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

/**
 * Starts the watchdog of a worker, which ends transactions of the analyst that take longer than a second. Returns the numbers that the
 * watchdog reports.
 */
function startWatchdog(): number[] {
  const ended: number[] = [];
  const stop = new AbortController();
  const pools = ['ledger', 'ledger_a'].map((name) => createPool(urlOf('clickledger_worker', name), { max: 1, name: 'test' }));
  const [catalog, shard] = pools as [pg.Pool, pg.Pool];
  const watching = keepEndingLongQueries({
    databases: [
      { pool: catalog, schema: 'catalog' },
      { pool: shard, schema: 'shard' },
    ],
    maxSeconds: 1,
    log: createLogger('worker', 'silent'),
    signal: stop.signal,
    onEnded: (count) => ended.push(count),
  });
  onTestFinished(async () => {
    stop.abort();
    await watching;
    await Promise.all(pools.map((pool) => pool.end()));
  });
  return ended;
}

test('the watchdog of a worker cancels a query of the analyst beyond the limit, whatever limits the analyst has lifted', async () => {
  const owner = await connect(OWNER, 'ledger_a');
  await owner.query('BEGIN; SELECT 1');
  const ended = startWatchdog();
  for (const database of ['ledger', 'ledger_a']) {
    const analyst = await connect('clickledger_analyst', database);
    await analyst.query('SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET transaction_timeout = 0');
    await analyst.query('ALTER ROLE clickledger_analyst SET statement_timeout = 0');
    const startedMs = performance.now();
    await expect(analyst.query('SELECT count(*) FROM generate_series(1, 1000000000000)')).rejects.toMatchObject({ code: '57014' });
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect((await analyst.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  }
  expect(ended.length).toBeGreaterThan(0);
  // The transaction of the owner is not ended.
  expect((await owner.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('a transaction of the analyst that is idle beyond the limit is ended with its session', async () => {
  const analyst = await connect('clickledger_analyst', 'ledger_a');
  await analyst.query('SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT 1');
  startWatchdog();
  const owner = await connect(OWNER, 'ledger_a');
  await eventually('the session is gone', async () => {
    const { rows } = await owner.query(
      `SELECT FROM pg_stat_activity WHERE usename = 'clickledger_analyst' AND state = 'idle in transaction'`,
    );
    return rows.length === 0;
  });
  await expect(analyst.query('SELECT 1')).rejects.toThrow();
});

test('the analyst has half of the connections and a limit of temporary files, and cannot change them; an administrator can', async () => {
  const owner = await connect(OWNER, 'ledger');
  const limits = async () =>
    (
      await owner.query<{ connections: number; settings: string[] }>(
        `SELECT rolconnlimit AS connections, setconfig AS settings FROM pg_roles r JOIN pg_db_role_setting s ON s.setrole = r.oid WHERE rolname = 'clickledger_analyst'`,
      )
    ).rows[0];
  expect(await limits()).toMatchObject({ connections: 100, settings: expect.arrayContaining(['temp_file_limit=10GB']) });
  const analyst = await connect('clickledger_analyst', 'ledger');
  for (const statement of [
    'ALTER ROLE clickledger_analyst CONNECTION LIMIT -1',
    'SET temp_file_limit = -1',
    'ALTER ROLE clickledger_analyst SET temp_file_limit = -1',
  ])
    await expect(analyst.query(statement), statement).rejects.toMatchObject({ code: '42501' });
  await analyst.query('ALTER ROLE clickledger_analyst RESET ALL');
  expect((await limits())?.settings).toContain('temp_file_limit=10GB');

  await owner.query(`ALTER ROLE clickledger_analyst CONNECTION LIMIT 3; ALTER ROLE clickledger_analyst SET temp_file_limit = '1MB'`);
  await migrate(settings());
  expect(await limits()).toMatchObject({ connections: 3, settings: expect.arrayContaining(['temp_file_limit=1MB']) });
  const sorting = await connect('clickledger_analyst', 'ledger');
  await expect(
    sorting.query(
      `SET work_mem = '64kB'; SELECT count(*) FROM (SELECT n FROM generate_series(1, 300000) n ORDER BY n DESC OFFSET 0) sorted`,
    ),
  ).rejects.toMatchObject({ code: '53400' });
  await connect('clickledger_analyst', 'ledger');
  const fourth = new pg.Client({ connectionString: analystUrl() });
  await expect(fourth.connect()).rejects.toMatchObject({ code: '53300' });
  await owner.query(`ALTER ROLE clickledger_analyst CONNECTION LIMIT 100`);
});

test('the roles may connect to the databases of a dedicated server that are not of clickledger only until it is migrated as such', async () => {
  const connects = async (database: string): Promise<boolean> => {
    const client = new pg.Client({ connectionString: urlOf('clickledger_analyst', database) });
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  };
  expect(await Promise.all(['postgres', 'template1', 'ledger_a'].map(connects))).toEqual([true, true, true]);
  await migrate({ ...settings(), dedicated: true });
  expect(await Promise.all(['postgres', 'template1', 'ledger_a'].map(connects))).toEqual([false, false, true]);
});

test('on the Postgres of the distribution, too, each volatile function is in a list, and an analyst can write with none', async () => {
  const home = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  const other = await freePort();
  const program = await locate('postgres', (text) => process.stderr.write(`${text}\n`));
  const running = await startPostgres({
    dataDir: `${home}/data`,
    runDir: `${home}/run`,
    port: other,
    ownerPassword: OWNER,
    durable: false,
    program,
  });
  onTestFinished(async () => {
    await running.stop();
    await rm(home, { recursive: true, force: true });
  });
  const moved = (url: string): string => url.replace(`:${port}/`, `:${other}/`);
  const same = settings();
  await migrate({
    ...same,
    ownerUrl: moved(same.ownerUrl),
    roleUrls: Object.fromEntries(ROLES.map((role) => [role, moved(same.roleUrls[role])])) as Record<Role, string>,
    shards: parseShards(`a=00=postgres://127.0.0.1:${other}/ledger_a`),
  });
  for (const database of ['ledger', 'ledger_a']) {
    const client = new pg.Client({ connectionString: moved(urlOf('clickledger_analyst', database)) });
    await client.connect();
    const listed = [...Object.values(KEPT_FUNCTIONS), ...Object.values(REVOKED_FUNCTIONS)].flat();
    const { rows } = await client.query<{ name: string; unlisted: boolean }>(
      `SELECT DISTINCT proname AS name, proname <> ALL ($1) AS unlisted FROM pg_proc
       WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v' AND prokind = 'f'
         AND prorettype::regtype::text NOT IN ('trigger', 'event_trigger', 'language_handler', 'index_am_handler', 'table_am_handler', 'tsm_handler')
         AND (proname <> ALL ($1) OR proname = ANY ($2) AND has_function_privilege(oid, 'EXECUTE'))`,
      [listed, Object.values(REVOKED_FUNCTIONS).flat()],
    );
    expect(rows).toEqual([]);
    for (const call of ['lo_create(1)', 'pg_advisory_lock(1)', 'pg_current_xact_id()'])
      await expect(client.query(`SELECT ${call}`)).rejects.toMatchObject({ code: '42501' });
    await client.end();
  }
}, 180_000);

test('an owner who is not a superuser gets the SQL for an administrator, and nothing more once it was run', async () => {
  const admin = await connect(OWNER, 'ledger');
  await admin.query(`CREATE ROLE "plain ""owner"" 'x'" LOGIN CREATEROLE PASSWORD 'plain'`);
  await admin.query(`CREATE DATABASE plain OWNER "plain ""owner"" 'x'"`);
  const url = Object.assign(new URL(urlOf('x', 'plain')), { username: encodeURIComponent(`plain "owner" 'x'`), password: 'plain' });
  const owner = new pg.Client({ connectionString: url.toString() });
  await owner.connect();
  onTestFinished(() => owner.end());
  const missing: MissingLimit[] = [];
  const onMissing = (limit: MissingLimit): void => void missing.push(limit);
  const run = async (): Promise<void> => {
    await limitAnalyst(owner, { onMissing });
    await revokeFunctions(owner, true, { onMissing });
  };
  await admin.query('ALTER ROLE clickledger_analyst RESET temp_file_limit');
  await run();
  const where = `A superuser can change that, once, in plain (127.0.0.1:${port}):`;
  expect(explainMissing([...missing, ...missing]).map((text) => text.split('\n')[0])).toEqual([
    `the analyst may fill the disk of Postgres with temporary files. ${where}`,
    `the workers cannot end queries of the analyst that take too long. ${where}`,
    `every role may write with functions of Postgres such as lo_create. ${where}`,
  ]);
  const administrator = await connect(OWNER, 'plain');
  for (const { sql } of missing) await administrator.query(sql);
  missing.length = 0;
  await run();
  expect(missing).toEqual([]);
  // The owner still has the rights that its own functions and the migrations need.
  await owner.query(`SELECT pg_advisory_lock(1), pg_current_xact_id(); DO 'BEGIN END'`);
});
