import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { codeOf, messageOf } from '../core/errors.ts';
import { evenShards, parseShards } from '../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { judgeOnce } from '../event-worker/judge.ts';
import { createPool } from '../core/postgres.ts';
import { locate } from '../stack/debian.ts';
import { freePort } from '../stack/ports.ts';
import { OWNER, startPostgres } from '../stack/postgres.ts';
import type { Running } from '../stack/process.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../test/support/batches.ts';
import { clickledger, createDataDirectory } from '../test/support/commands.ts';
import { describeDatabases } from '../test/support/databases.ts';
import { runScript } from '../test/support/psql.ts';
import { runs } from '../test/support/runs.ts';
import { migrate, ROLES, type RoleUrls } from './migrate.ts';

// Tests owners that are not superusers, with the Postgres of the distribution and with the Postgres of npm. If such an owner lacks rights,
// `migrate` fails, and its error message contains a script. The tests run this script as the superuser of the server. Then `migrate` must
// succeed.

let directory: string;
let program: string;
let port: number;
let server: Running;
/** The URL of the administrator on the Postgres of the distribution. */
let administrator: string;

const start = () =>
  startPostgres({
    dataDir: join(directory, 'postgres'),
    runDir: join(directory, 'run'),
    port,
    ownerPassword: 'owner',
    durable: false,
    program,
  });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-owner-'));
  program = await locate('postgres', (text) => process.stderr.write(`${text}\n`));
  port = await freePort();
  server = await start();
  administrator = `postgres://${OWNER}:owner@127.0.0.1:${port}`;
}, 180_000);

afterAll(async () => {
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

const runAsAdministrator = (url: string, script: string): Promise<void> => runScript(program, `${url}/postgres`, script);

/** Creates a role that may log in and has these attributes. Returns the URL of the server with the credentials of the role. */
async function createOwner(url: string, name: string, attributes: string): Promise<string> {
  await query(`${url}/postgres`, `CREATE ROLE ${pg.escapeIdentifier(name)} LOGIN PASSWORD 'secret' ${attributes}`);
  return `postgres://${encodeURIComponent(name)}:secret@${new URL(url).host}`;
}

/** Returns the script in the error message of `migration`. The test fails if `migration` resolves, or if it rejects with another error. */
async function scriptOf(migration: Promise<unknown>): Promise<string> {
  const error: unknown = await migration.then(
    () => 'nothing is missing',
    (reason: unknown) => reason,
  );
  expect({ code: codeOf(error), message: messageOf(error) }).toEqual({
    code: 'needs-administrator',
    message: expect.stringMatching(/administrator.*once.*:\n\n/),
  });
  return messageOf(error).replace(/^[^]*?\n\n/, '');
}

describe('an owner with LOGIN CREATEDB CREATEROLE', () => {
  test('is told what an administrator has to run once; after that everything works', { timeout: 120_000 }, async () => {
    const cluster = await createOwner(administrator, 'newsletter owner', 'CREATEDB CREATEROLE');
    const databases = describeDatabases(2, cluster);
    const dataDir = await createDataDirectory(databases);
    const run = (...args: string[]) => clickledger(['--data', dataDir, ...args]);

    const refused = await run('migrate');
    const name = new URL(databases.ownerUrl).pathname.slice(1);
    expect({ code: refused.code, stdout: refused.stdout }).toEqual({ code: 1, stdout: '' });
    expect(refused.stderr.split('\n')).toEqual([
      expect.stringMatching(/^clickledger: the owner .* administrator .* once with psql, and then `clickledger migrate` again:$/),
      '',
      `\\connect -reuse-previous=on "dbname='${name}' host='127.0.0.1' port='${port}'"`,
      'CREATE EXTENSION IF NOT EXISTS postgres_fdw;',
      'GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO "newsletter owner";',
      '',
    ]);
    await runAsAdministrator(administrator, refused.stderr.replace(/^[^]*?\n\n/, ''));
    expect(await run('migrate')).toMatchObject({ code: 0, stdout: expect.stringContaining('catalog: 0001-catalog.sql') });
    expect(await run('migrate')).toMatchObject({ code: 0, stdout: 'up to date\n' });

    const campaign = await run('campaign', 'create', 'Spring sale');
    expect(campaign.code).toBe(0);
    expect((await run('url', 'https://www.example.com/', '--campaign', 'Spring sale')).code).toBe(0);
    const slugs = createSlugCodec(databases.keys);
    const gen = newGen();
    const [event] = await Promise.all(
      databases.shards.list.map(async (shard) => {
        const events = [clickAt(0, slugs), clickAt(100, slugs)];
        return ownCommitter(databases, { shard: shard.name }).commit([batchOf(databases, gen, 0, 200, { shard: shard.name, events })]);
      }),
    );
    expect(event).toMatchObject({ batches: 1, events: 2 });
    for (const shard of databases.shards.list) {
      const pool = createPool(databases.shardUrlAs(shard.name, 'worker'), { max: 1, name: 'test' });
      onTestFinished(() => pool.end());
      expect(await judgeOnce(pool)).toMatchObject({ hits: 2 });
    }
    const report = await run('report', 'campaign-summary', '--campaign', '1', '--format', 'csv');
    expect(report).toMatchObject({ code: 0, stdout: expect.stringContaining('Spring sale') });
    expect(await query(databases.roleUrls.analyst, 'SELECT count(*)::int AS n FROM analytics.events')).toEqual([{ n: 4 }]);
    expect(await run('audit')).toMatchObject({ code: 0 });
    expect(await run('reclassify', '--campaign', '1')).toMatchObject({ code: 0 });
    expect(await run('restored', '--skip', '10')).toMatchObject({ code: 0 });
    expect(await run('shard', 'move', 'b', '--to', `postgres://127.0.0.1:${port}/${name}_moved`)).toMatchObject({ code: 0 });
    expect(await query(databases.roleUrls.analyst, 'SELECT count(*)::int AS n FROM analytics.events')).toEqual([{ n: 4 }]);
  });

  test('is told that a shard has to ask for a password', async () => {
    const databases = describeDatabases(1, await createOwner(administrator, 'trusted', 'CREATEDB CREATEROLE'));
    await runAsAdministrator(administrator, await scriptOf(migrate(databases)));
    const hba = join(directory, 'postgres', 'pg_hba.conf');
    await writeFile(hba, 'host all clickledger_analyst all trust\nhost all all all scram-sha-256\n');
    await query(`${administrator}/postgres`, 'SELECT pg_reload_conf()');
    await expect(migrate(databases)).rejects.toMatchObject({
      code: 'bad-settings',
      message: expect.stringMatching(/shard a asks the catalog for no password.*scram-sha-256.*pg_hba\.conf/),
    });
    await writeFile(hba, 'host all all all scram-sha-256\n');
    await query(`${administrator}/postgres`, 'SELECT pg_reload_conf()');
    expect(await migrate(databases)).toEqual([]);
  });
});

test('an owner who may not connect to the database postgres keeps what exists, and is told so before a new database is made', async () => {
  const cluster = await createOwner(administrator, 'confined', 'CREATEDB CREATEROLE');
  const databases = describeDatabases(1, cluster);
  await runAsAdministrator(administrator, await scriptOf(migrate(databases)));
  await migrate(databases);
  await query(`${administrator}/postgres`, 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
  onTestFinished(async () => void (await query(`${administrator}/postgres`, 'GRANT CONNECT ON DATABASE postgres TO PUBLIC')));
  expect(await migrate(databases)).toEqual([]);
  const more = describeDatabases(1, cluster);
  const script = await scriptOf(migrate(more));
  expect(script).toContain('GRANT CONNECT ON DATABASE postgres TO "confined";');
  await runAsAdministrator(administrator, script);
  await runAsAdministrator(administrator, await scriptOf(migrate(more)));
  expect((await migrate(more)).length).toBeGreaterThan(5);
});

test('another owner than the one who created the databases is told so', async () => {
  const databases = describeDatabases(1, await createOwner(administrator, 'first', 'CREATEDB CREATEROLE'));
  await runAsAdministrator(administrator, await scriptOf(migrate(databases)));
  await migrate(databases);
  const second = await createOwner(administrator, 'second', 'CREATEDB CREATEROLE');
  const ownerUrl = second + new URL(databases.ownerUrl).pathname;
  const script = await scriptOf(migrate({ ...databases, ownerUrl }));
  expect(script).toMatch(/ALTER DATABASE .* OWNER TO second;/);
  await runAsAdministrator(administrator, script);
  const { code, stderr } = await clickledger(['--data', await createDataDirectory(databases, { CATALOG_URL: ownerUrl }), 'migrate']);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(
      /does not own everything.*permission denied for schema catalog.*give the owner who created them in CATALOG_URL\n$/,
    ),
  });
});

/**
 * How the administrator has prepared a database: `missing`: not created. `foreign`: created, and owned by the administrator. `closed`: like
 * `foreign`, but no other role may connect. `owned`: created for the owner.
 */
const PREPARED = ['missing', 'foreign', 'closed', 'owned'] as const;

test.each(['of the distribution', 'of npm'])(
  'whatever else an owner lacks, one script for the administrator is enough (Postgres %s)',
  { timeout: 180_000 },
  async (where) => {
    const admin = where === 'of npm' ? inject('clusterUrl') : administrator;
    const { host } = new URL(admin);
    const place = fc.constantFrom(...PREPARED);
    const owners = fc.record({
      mayCreateDatabases: fc.boolean(),
      mayCreateRoles: fc.boolean(),
      catalog: place,
      shard: place,
      odd: fc.constantFrom('', ` "it's" \\ ünd %41`, ` 'x y'`),
    });
    await fc.assert(
      fc.asyncProperty(owners, async ({ mayCreateDatabases, mayCreateRoles, catalog, shard, odd }) => {
        const id = randomBytes(5).toString('hex');
        const owner = `owner_${id}${odd}`;
        const cluster = await createOwner(admin, owner, `${mayCreateDatabases ? 'CREATEDB' : ''} ${mayCreateRoles ? 'CREATEROLE' : ''}`);
        const names = { catalog: `t_${id}${odd}`, shard: `t_${id}_a${odd}` };
        for (const [name, prepared] of [[names.catalog, catalog] as const, [names.shard, shard] as const]) {
          if (prepared === 'missing') continue;
          await query(
            `${admin}/postgres`,
            `CREATE DATABASE ${pg.escapeIdentifier(name)} ${prepared === 'owned' ? `OWNER ${pg.escapeIdentifier(owner)}` : ''}`,
          );
          if (prepared === 'closed') await query(`${admin}/postgres`, `REVOKE ALL ON DATABASE ${pg.escapeIdentifier(name)} FROM PUBLIC`);
        }
        const path = (name: string): string => encodeURIComponent(name);
        const options = {
          ownerUrl: `${cluster}/${path(names.catalog)}`,
          roleUrls: Object.fromEntries(
            ROLES.map((role) => [role, `postgres://clickledger_${role}:${role}@${host}/${path(names.catalog)}`]),
          ) as RoleUrls,
          shards: parseShards(evenShards(1, () => `postgres://${host}/${path(names.shard)}`)),
          keys: parseSlugKeys('ab'.repeat(32)),
        };
        await runAsAdministrator(admin, await scriptOf(migrate(options)));
        expect((await migrate(options)).length).toBeGreaterThan(5);
        expect(await migrate(options)).toEqual([]);
        expect(await query(options.roleUrls.analyst, 'SELECT * FROM analytics.campaign_totals')).toEqual([]);
        expect(
          await query(`${admin}/postgres`, `SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = ${pg.escapeLiteral(owner)}`),
        ).toEqual([{ rolsuper: false, rolcreatedb: mayCreateDatabases }]);
      }),
      {
        ...runs(5),
        examples: [
          [{ mayCreateDatabases: false, mayCreateRoles: false, catalog: 'missing', shard: 'missing', odd: ` "it's" \\ ünd %41` }],
          [{ mayCreateDatabases: false, mayCreateRoles: true, catalog: 'closed', shard: 'foreign', odd: '' }],
        ],
      },
    );
  },
);
