import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { readEnvFile, writeEnvFile } from '../../core/env-file.ts';
import { freePort } from '../../stack/ports.ts';
import { libraryPath } from '../../stack/debian.ts';
import { OWNER, startPostgres } from '../../stack/postgres.ts';
import { guardedCommand } from '../../stack/process.ts';
import { startSystem } from '../../stack/system.ts';
import { type CountedSystem, countedSystem, queryOnce } from '../support/counted-system.ts';
import { postgresPrograms } from '../support/postgres-programs.ts';
import { eventually } from '../support/servers.ts';

// Runs the steps of "Another version of Postgres" in docs/operators.md, while readers click.

const majorOf = async (url: string): Promise<number> => {
  const [row] = await queryOnce<{ version: string }>(url, `SELECT current_setting('server_version_num') AS version`);
  return Math.floor(Number(row?.version) / 10_000);
};

/** Clicks a link again and again until `stop` is called, which returns the number of clicks. A failed click rejects `stop`. */
function keepClicking(click: CountedSystem['click'], link: number): { stop: () => Promise<number> } {
  let clicks = 0;
  let isActive = true;
  const clicking = (async () => {
    for (; isActive; clicks++) {
      await click(link, 1);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  clicking.catch(() => {});
  return {
    async stop() {
      isActive = false;
      await clicking;
      return clicks;
    },
  };
}

const hitsCounted = async (analystUrl: string): Promise<number> => {
  const [row] = await queryOnce<{ n: string }>(analystUrl, 'SELECT count(*) AS n FROM analytics.events');
  return Number(row?.n);
};

test('shards and catalog move to a server of another major version, while readers click', async () => {
  const { postgres, run } = await postgresPrograms();
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-upgrade-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  /** The settings that the parts get at their next start. */
  let settings: Record<string, string> = {};
  const system = await startSystem({
    dataDir,
    shards: 2,
    durable: false,
    postgresProgram: postgres,
    // All clicks come from one address.
    extra: { LOG_LEVEL: 'warn', RATE_LIMIT: '1000000', RATE_BURST: '1000000' },
    envOf: (member) => (member.startsWith('nginx') ? {} : settings),
  });
  onTestFinished(() => system.stop());
  const { createLink, click, command, findings } = countedSystem(system, dataDir);
  const oldUrl = new URL(system.env['CATALOG_URL'] ?? '');
  const newPort = await freePort();
  const newServer = await startPostgres({
    dataDir: join(dataDir, 'new-postgres'),
    runDir: join(dataDir, 'new-run'),
    port: newPort,
    ownerPassword: oldUrl.password,
    durable: false,
  });
  onTestFinished(() => newServer.stop());
  const newUrl = oldUrl.href.replace(`:${oldUrl.port}/`, `:${newPort}/`);
  const newPostgres = newUrl.replace(/\/clickledger$/, '/postgres');
  expect(await majorOf(newPostgres)).toBeGreaterThan(await majorOf(oldUrl.href));
  const restart = async (...members: string[]): Promise<void> => {
    settings = await readEnvFile(dataDir);
    for (const name of members) {
      await system.member(name).running?.stop();
      await system.member(name).start();
    }
  };

  const link = await createLink('https://www.example.com/');
  const clicking = keepClicking(click, link);
  await eventually('hits are counted', async () => (await hitsCounted(system.env['ANALYST_URL'] ?? '')) > 0);

  // The shards, one after the other.
  for (const name of ['a', 'b']) await command('shard', 'move', name, '--to', `postgres://127.0.0.1:${newPort}/clickledger_shard_${name}`);
  await restart('event-worker-1', 'log-agent-1');

  // The catalog. No author writes to it meanwhile.
  await queryOnce(newPostgres, 'CREATE DATABASE clickledger');
  const dump = join(dataDir, 'catalog.sql');
  // The rights on functions of Postgres are left out, because the new version lacks some of these functions. `migrate` limits them again.
  await run('pg_dump', ['--dbname', oldUrl.href, '--exclude-schema', 'pg_catalog', '--file', dump], oldUrl.password);
  await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '--dbname', newUrl, '--file', dump], oldUrl.password);
  const moved = Object.entries(await readEnvFile(dataDir)).map(([name, value]) => [
    name,
    value.replaceAll(`:${oldUrl.port}/`, `:${newPort}/`),
  ]);
  await writeEnvFile(dataDir, Object.fromEntries(moved) as Record<string, string>);
  await command('migrate');
  await restart('event-worker-1', 'backend-1', 'backend-2');

  // Nothing needs the old server any more.
  await system.member('postgres').running?.stop();
  await click(link, 10);
  const clicks = 10 + (await clicking.stop());
  await eventually('the audit finds nothing', async () => (await findings()).length === 0);
  expect(await hitsCounted(settings['ANALYST_URL'] ?? '')).toBe(clicks);
}, 300_000);

// The packages of the distribution have pg_upgrade for one version only. It also upgrades a server of this version, with the same steps. With
// NEW_POSTGRES_BIN, the directory of the programs of a newer version, the test upgrades to that version.
test('pg_upgrade replaces a whole server, while readers click', async () => {
  const { postgres } = await postgresPrograms();
  const newBin = process.env['NEW_POSTGRES_BIN'] ?? dirname(postgres);
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-upgrade-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const system = await startSystem({
    dataDir,
    shards: 2,
    durable: false,
    postgresProgram: postgres,
    // All clicks come from one address.
    extra: { LOG_LEVEL: 'warn', RATE_LIMIT: '1000000', RATE_BURST: '1000000' },
  });
  onTestFinished(() => system.stop());
  const { createLink, click, command, findings } = countedSystem(system, dataDir);
  const url = new URL(system.env['CATALOG_URL'] ?? '');
  const analystUrl = system.env['ANALYST_URL'] ?? '';
  const oldMajor = await majorOf(url.href);
  const link = await createLink('https://www.example.com/');
  const clicking = keepClicking(click, link);
  await eventually('hits are counted', async () => (await hitsCounted(analystUrl)) > 0);

  await command('migrate', '--for-pg-upgrade');
  const running = system.member('postgres').running;
  if (!running) throw new Error('Postgres does not run');
  await running.stop();
  const newServer = {
    dataDir: join(dataDir, 'new-postgres'),
    runDir: join(dataDir, 'new-run'),
    port: Number(url.port),
    ownerPassword: url.password,
    durable: false,
    program: join(newBin, 'postgres'),
  };
  // This creates the new cluster. It is empty and stopped when pg_upgrade begins.
  await (await startPostgres({ ...newServer, port: await freePort() })).stop();
  const upgradeDir = join(dataDir, 'upgrade');
  await mkdir(upgradeDir);
  const { command: program, args } = guardedCommand({
    command: join(newBin, 'pg_upgrade'),
    args: Object.entries({
      '--old-bindir': dirname(postgres),
      '--new-bindir': newBin,
      '--old-datadir': join(dataDir, 'postgres'),
      '--new-datadir': newServer.dataDir,
      '--username': OWNER,
    }).flat(),
    stopSignal: 'SIGTERM',
    notRoot: true,
  });
  await promisify(execFile)(program, args, {
    cwd: upgradeDir,
    env: { PATH: process.env['PATH'], LC_ALL: 'C', PGPASSWORD: url.password, LD_LIBRARY_PATH: libraryPath(postgres) },
  }).catch((error: Error & { stdout?: string; stderr?: string }) => {
    throw new Error(`pg_upgrade failed: ${error.stdout ?? ''}${error.stderr ?? error.message}`);
  });
  const upgraded = await startPostgres(newServer);
  onTestFinished(() => upgraded.stop());
  await promisify(execFile)(join(newBin, 'vacuumdb'), ['--all', '--analyze-only', '--quiet'], {
    env: {
      PATH: process.env['PATH'],
      LD_LIBRARY_PATH: libraryPath(postgres),
      PGHOST: '127.0.0.1',
      PGPORT: url.port,
      PGUSER: OWNER,
      PGPASSWORD: url.password,
    },
  });
  await command('migrate');
  expect(await majorOf(url.href)).toBeGreaterThanOrEqual(oldMajor);
  process.stderr.write(`upgraded Postgres ${oldMajor} to ${await majorOf(url.href)}\n`);

  const before = await hitsCounted(analystUrl);
  await eventually('new hits are counted', async () => (await hitsCounted(analystUrl)) > before);
  const clicks = await clicking.stop();
  await eventually('the audit finds nothing', async () => (await findings()).length === 0);
  expect(await hitsCounted(analystUrl)).toBe(clicks);
}, 300_000);
