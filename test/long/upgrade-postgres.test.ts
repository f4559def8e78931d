import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readEnvFile, writeEnvFile } from '../../core/env-file.ts';
import { freePort } from '../../stack/ports.ts';
import { startPostgres } from '../../stack/postgres.ts';
import { startSystem } from '../../stack/system.ts';
import { countedSystem, queryOnce } from '../support/counted-system.ts';
import { postgresPrograms } from '../support/postgres-programs.ts';
import { eventually } from '../support/servers.ts';

// Runs the steps of "Another version of Postgres" in docs/operators.md: shards move to a new server of another version while hits arrive, then the
// catalog is dumped and restored there.

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
  const majorOf = async (url: string): Promise<number> => {
    const [row] = await queryOnce<{ version: string }>(url, `SELECT current_setting('server_version_num') AS version`);
    return Math.floor(Number(row?.version) / 10_000);
  };
  expect(await majorOf(newPostgres)).toBeGreaterThan(await majorOf(oldUrl.href));
  const restart = async (...members: string[]): Promise<void> => {
    settings = await readEnvFile(dataDir);
    for (const name of members) {
      await system.member(name).running?.stop();
      await system.member(name).start();
    }
  };

  const link = await createLink('https://www.example.com/');
  let clicks = 0;
  let isMoving = true;
  const clicking = (async () => {
    for (; isMoving; clicks++) {
      await click(link, 1);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  // A failed click fails the test at the end.
  clicking.catch(() => {});
  const hitsCounted = async (): Promise<number> => {
    const [row] = await queryOnce<{ n: string }>(
      settings['ANALYST_URL'] ?? system.env['ANALYST_URL'] ?? '',
      'SELECT count(*) AS n FROM analytics.events',
    );
    return Number(row?.n);
  };
  await eventually('hits are counted', async () => (await hitsCounted()) > 0);

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
  isMoving = false;
  await clicking;
  clicks += 10;
  await eventually('the audit finds nothing', async () => (await findings()).length === 0);
  expect(await hitsCounted()).toBe(clicks);
}, 300_000);
