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
import { guardedCommand, type Running } from '../../stack/process.ts';
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

type SystemOptions = Parameters<typeof startSystem>[0];

/** Starts a system with Postgres of the distribution, and clicks until `clicking` is stopped. Resolves once hits are counted. */
async function startOldSystem(options: Pick<SystemOptions, 'envOf'> = {}) {
  const { postgres, run } = await postgresPrograms();
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-upgrade-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const system = await startSystem({
    dataDir,
    shards: 2,
    durable: false,
    postgresProgram: postgres,
    // All clicks come from one address.
    extra: { LOG_LEVEL: 'warn', RATE_LIMIT: '1000000', RATE_BURST: '1000000' },
    ...options,
  });
  onTestFinished(() => system.stop());
  const counted = countedSystem(system, dataDir);
  const link = await counted.createLink('https://www.example.com/');
  const clicking = keepClicking(counted.click, link);
  await eventually('hits are counted', async () => (await hitsCounted(system.env['ANALYST_URL'] ?? '')) > 0);
  const url = new URL(system.env['CATALOG_URL'] ?? '');
  /** Starts another server with the same owner. Its data are the same at each start. */
  const startNewServer = (more: { port: number; program?: string }): Promise<Running> =>
    startPostgres({
      dataDir: join(dataDir, 'new-postgres'),
      runDir: join(dataDir, 'new-run'),
      ownerPassword: url.password,
      durable: false,
      ...more,
    });
  return { ...counted, postgres, run, dataDir, system, link, clicking, url, startNewServer };
}

test('shards and catalog move to a server of another major version, while readers click', async () => {
  /** The settings that the parts get at their next start. */
  let settings: Record<string, string> = {};
  const old = await startOldSystem({ envOf: (member) => (member.startsWith('nginx') ? {} : settings) });
  const { run, dataDir, system, link, clicking, click, command, findings, url: oldUrl } = old;
  const newPort = await freePort();
  const newServer = await old.startNewServer({ port: newPort });
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

// A distribution has pg_upgrade for one version only. pg_upgrade can also upgrade a server to the version that it has, so by default this test
// does that. If NEW_POSTGRES_BIN is set to the directory with the programs of a newer version, the test upgrades to that version.
test('pg_upgrade replaces a whole server, while readers click', async () => {
  const old = await startOldSystem();
  const { postgres, dataDir, system, clicking, command, findings, url } = old;
  const newBin = process.env['NEW_POSTGRES_BIN'] ?? dirname(postgres);
  const program = join(newBin, 'postgres');
  const port = Number(url.port);
  const analystUrl = system.env['ANALYST_URL'] ?? '';
  const oldMajor = await majorOf(url.href);

  await command('migrate', '--for-pg-upgrade');
  const running = system.member('postgres').running;
  if (!running) throw new Error('Postgres does not run');
  await running.stop();
  // The new server is started once and stopped, because its first start creates the cluster for pg_upgrade.
  await (await old.startNewServer({ port: await freePort(), program })).stop();
  const upgradeDir = join(dataDir, 'upgrade');
  await mkdir(upgradeDir);
  const upgrade = guardedCommand({
    command: join(newBin, 'pg_upgrade'),
    args: Object.entries({
      '--old-bindir': dirname(postgres),
      '--new-bindir': newBin,
      '--old-datadir': join(dataDir, 'postgres'),
      '--new-datadir': join(dataDir, 'new-postgres'),
      '--username': OWNER,
    }).flat(),
    stopSignal: 'SIGTERM',
    notRoot: true,
  });
  await promisify(execFile)(upgrade.command, upgrade.args, {
    cwd: upgradeDir,
    env: { PATH: process.env['PATH'], LC_ALL: 'C', PGPASSWORD: url.password, LD_LIBRARY_PATH: libraryPath(postgres) },
  }).catch((error: Error & { stdout?: string; stderr?: string }) => {
    throw new Error(`pg_upgrade failed: ${error.stdout ?? ''}${error.stderr ?? error.message}`);
  });
  const upgraded = await old.startNewServer({ port, program });
  onTestFinished(() => upgraded.stop());
  const { run } = await postgresPrograms(program);
  await run('vacuumdb', ['--all', '--analyze-only', '--quiet', '--maintenance-db', new URL('/postgres', url).href], url.password);
  await command('migrate');
  expect(await majorOf(url.href)).toBeGreaterThanOrEqual(oldMajor);
  process.stderr.write(`upgraded Postgres ${oldMajor} to ${await majorOf(url.href)}\n`);

  const before = await hitsCounted(analystUrl);
  await eventually('new hits are counted', async () => (await hitsCounted(analystUrl)) > before);
  const clicks = await clicking.stop();
  await eventually('the audit finds nothing', async () => (await findings()).length === 0);
  expect(await hitsCounted(analystUrl)).toBe(clicks);
}, 300_000);
