import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startSystem } from '../../stack/system.ts';
import { countedSystem, queryOnce } from '../support/counted-system.ts';
import { postgresPrograms } from '../support/postgres-programs.ts';
import { eventually } from '../support/servers.ts';

// Runs the steps of "Base backup and WAL" in docs/operators.md: a base backup, WAL archiving, and a recovery to an earlier time while all parts run.

test('a base backup and its WAL restore all databases to an earlier time, and the agents add the hits that are missing', async () => {
  const { postgres, run } = await postgresPrograms();
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-backup-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const system = await startSystem({ dataDir, shards: 2, durable: false, postgresProgram: postgres, extra: { LOG_LEVEL: 'warn' } });
  onTestFinished(() => system.stop());
  const { createLink, click, command, findings } = countedSystem(system, dataDir);
  const owner = system.env['CATALOG_URL'] ?? '';
  const server = system.member('postgres');
  const archive = join(dataDir, 'archive');
  const backup = join(dataDir, 'backup');
  const hitsCounted = async (): Promise<number> => {
    const [row] = await queryOnce<{ n: string }>(system.env['ANALYST_URL'] ?? '', 'SELECT count(*) AS n FROM analytics.events');
    return Number(row?.n);
  };
  const early = await createLink('https://www.example.com/early');
  await click(early, 20);

  // Archive the WAL, then take a base backup.
  await mkdir(archive);
  await queryOnce(owner, 'ALTER SYSTEM SET archive_mode = on');
  await queryOnce(owner, `ALTER SYSTEM SET archive_command = 'test ! -f "${archive}/%f" && cp "%p" "${archive}/%f"'`);
  await server.running?.stop();
  await server.start();
  await run('pg_basebackup', ['--dbname', owner, '--pgdata', backup, '--checkpoint', 'fast'], new URL(owner).password);

  // What comes before the time of the restore: a link and hits.
  const between = await createLink('https://www.example.com/between');
  await click(between, 20);
  await eventually('the hits before the restore are counted', async () => (await hitsCounted()) === 40);
  const [moment] = await queryOnce<{ at: string }>(owner, 'SELECT clock_timestamp()::text AS at');
  // What comes after it.
  const late = await createLink('https://www.example.com/late');
  await click(early, 20);
  await click(late, 20);
  await eventually('the hits after the restore are counted', async () => (await hitsCounted()) === 80);
  const [archived] = await queryOnce<{ file: string }>(owner, 'SELECT pg_walfile_name(pg_switch_wal()) AS file');
  await eventually('the WAL is archived', async () => {
    const [row] = await queryOnce<{ last: string | null }>(owner, 'SELECT last_archived_wal AS last FROM pg_stat_archiver');
    return (row?.last ?? '') >= (archived?.file as string);
  });

  // The server is lost. Readers click meanwhile.
  await server.running?.kill();
  await rm(join(dataDir, 'postgres'), { recursive: true });
  await click(early, 20);

  // Restore to the time.
  await cp(backup, join(dataDir, 'postgres'), { recursive: true });
  await writeFile(join(dataDir, 'postgres', 'recovery.signal'), '');
  await appendFile(
    join(dataDir, 'postgres', 'postgresql.auto.conf'),
    `restore_command = 'cp "${archive}/%f" "%p"'\nrecovery_target_time = '${moment?.at}'\nrecovery_target_action = 'promote'\n`,
  );
  await server.start();
  await eventually('the server has ended its recovery', async () => {
    const [row] = await queryOnce<{ recovers: boolean }>(owner, 'SELECT pg_is_in_recovery() AS recovers');
    return row?.recovers === false;
  });
  expect(await queryOnce(owner, `SELECT original FROM catalog.link WHERE original LIKE '%.com/%' ORDER BY id`)).toEqual([
    { original: 'https://www.example.com/early' },
    { original: 'https://www.example.com/between' },
  ]);

  // The agents send what the ledgers lack: the hits after the time, and those of the downtime.
  await eventually('the agents have added the missing hits', async () => (await hitsCounted()) === 100);
  await eventually('the audit finds nothing', async () => (await findings()).length === 0);

  // The number of the lost link is in letters, so it is not used again. Backends that were not restarted still serve it.
  await command('migrate');
  await command('restored');
  expect(await createLink('https://www.example.com/new')).toBeGreaterThan(late);
  await click(late, 1);
}, 300_000);
