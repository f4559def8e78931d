import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool } from '../../core/postgres.ts';
import { addCampaign, addHits, addLog, HOSTILE } from '../../test/support/campaigns.ts';
import { clickledger, createDataDirectory, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { eventually, temporaryDirectory } from '../../test/support/servers.ts';
import { parseReport, type Report } from '../../reporting/report-file.ts';
import { readReach, runReport } from '../../reporting/run-report.ts';

let databases: Databases;
let campaign: number;

beforeAll(async () => {
  databases = await createDatabases(2);
  const made = await addCampaign(databases, HOSTILE, 10);
  campaign = made.campaign;
  await addHits(databases, { campaign, link: made.links[0] as number, kind: 'click', people: 4 });
  await addLog(databases);
});

const report = async (...args: string[]): Promise<CommandResult> =>
  clickledger(['--data', await createDataDirectory(databases), 'report', 'campaign-summary', '--campaign', String(campaign), ...args]);
const REACH = 'Counted until 2030-05-01 12:34:56 UTC; no holes.\n';

describe('report', () => {
  test.each([
    ['table', /^campaign_id +campaign /, `Campaign summary\n${REACH}`],
    ['csv', /^campaign_id,campaign,.*\n1,"<img src=x onerror=alert\(1\)> \| ""Sale"" /, REACH],
    ['json', /^\[\n {2}\{\n {4}"campaign_id": 1,\n/, ''],
    [
      'markdown',
      /^# Campaign summary\n\nHow many .*\n\ncampaign: 1\n\n\| campaign\\_id|^# Campaign summary\n\nHow many .*\n\ncampaign: 1\n\n\| campaign id /,
      REACH,
    ],
    ['html', /^<!DOCTYPE html>\n[^]*<svg role="img"[^]*&lt;img src=x/, REACH],
  ])('as %s goes to stdout, and notes to stderr', async (format, data, notes) => {
    const { code, stdout, stderr } = await report('--format', format);
    expect({ code, stderr }).toEqual({ code: 0, stderr: notes });
    expect(stdout).toMatch(data);
  });

  test('--json is --format json', async () => {
    expect(await report('--json')).toEqual(await report('--format', 'json'));
    expect(await report('--json', '--format', 'json')).toEqual(await report('--json'));
    expect(await report('--json', '--format', 'csv')).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('contradict') });
  });

  test('--out writes a file, in the format that its name asks for', async () => {
    const directory = await temporaryDirectory();
    for (const [name, format] of [
      ['a.html', 'html'],
      ['a.csv', 'csv'],
      ['a.md', 'markdown'],
      ['a.JSON', 'json'],
      ['a.txt', 'table'],
    ] as const) {
      const { code, stdout, stderr } = await report('--out', join(directory, name));
      expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
      expect(stderr).toMatch(/: Campaign summary, [\d,]+ bytes\n$/);
      expect(await readFile(join(directory, name), 'utf8')).toBe((await report('--format', format)).stdout);
    }
    expect(await report('--out', join(directory, 'nowhere', 'a.csv'))).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^clickledger: cannot use .*no such file or directory\n$/),
    });
  });

  test('a report that takes too long is stopped, and it says how to allow it more', async () => {
    expect(await report('--timeout', '0.001')).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^clickledger: stopped after 0\.001 s [^\n]*--timeout [^\n]*\n$/),
    });
    for (const bad of ['0', '-1', 'x', '1e9', '']) expect((await report('--timeout', bad)).code, bad).toBe(2);
  });

  test('an unknown format is wrong usage, and so is a list in one', async () => {
    expect((await report('--format', 'pdf')).code).toBe(2);
    const data = await createDataDirectory(databases);
    expect((await clickledger(['--data', data, 'report', '--format', 'csv'])).code).toBe(2);
  });
});

describe('running a report', () => {
  const of = (sql: string): Report => parseReport('x', { path: 'x.sql', label: 'x.sql', text: sql });
  async function asAnalyst<T>(work: (pool: ReturnType<typeof createPool>) => Promise<T>): Promise<T> {
    const pool = createPool(databases.roleUrls.analyst, { max: 1, name: 'test' });
    try {
      return await work(pool);
    } finally {
      await pool.end();
    }
  }

  test('no more rows are fetched than are wanted, and it says that there are more', async () => {
    const sql = '-- a remark\nSELECT n FROM generate_series(1, 100000) n;\n-- another\n';
    const run = (maxRows: number) => asAnalyst((pool) => runReport(pool, of(sql), {}, { timeoutSeconds: 10, zone: 'UTC', maxRows }));
    expect(await run(3)).toMatchObject({ columns: [{ name: 'n', type: 23 }], rows: [['1'], ['2'], ['3']], truncated: true });
    expect(await run(100_000)).toMatchObject({ truncated: false });
  });

  test('nothing is written, and the connection is as it was', async () => {
    await asAnalyst(async (pool) => {
      await expect(runReport(pool, of('CREATE TEMP TABLE x ()'), {}, { timeoutSeconds: 10, zone: 'UTC' })).rejects.toThrow(
        /x\.sql:1: a report can only read: /,
      );
      await expect(
        runReport(pool, of('SELECT count(*) FROM generate_series(1, 1000000000)'), {}, { timeoutSeconds: 0.05, zone: 'UTC' }),
      ).rejects.toMatchObject({
        code: 'unavailable',
      });
      let ended = false;
      const slow = runReport(
        pool,
        of('SELECT count(*) FROM generate_series(1, 10000) a, generate_series(1, 10000) b, generate_series(1, 10000) c'),
        {},
        { timeoutSeconds: 600, zone: 'UTC' },
      ).finally(() => (ended = true));
      // The session of the query before may still be listed, and a cancel request to that session has no effect on this query.
      const cancelling = eventually('the query runs and is cancelled', async () => {
        await databases.query(
          'catalog',
          `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'clickledger_analyst' AND query LIKE 'FETCH%'`,
        );
        return ended;
      });
      await expect(slow).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('ANALYST_MAX_SECONDS') });
      await cancelling;
      await runReport(pool, of('SELECT 1'), {}, { timeoutSeconds: 1, zone: 'UTC' });
      expect((await pool.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '0' }]);
    });
  });

  test('a query that needs more temporary files than are allowed is told so', async () => {
    const [{ name } = { name: '' }] = await databases.query<{ name: string }>('catalog', 'SELECT current_database() AS name');
    await databases.query('catalog', `ALTER ROLE clickledger_analyst IN DATABASE "${name}" SET temp_file_limit = '1MB'`);
    await asAnalyst(async (pool) => {
      const sorted = of('SELECT count(*) FROM generate_series(1, 10000000)');
      await expect(runReport(pool, sorted, {}, { timeoutSeconds: 60, zone: 'UTC' })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(/temp_file_limit.*Ask for less/),
      });
    });
    await databases.query('catalog', `ALTER ROLE clickledger_analyst IN DATABASE "${name}" RESET temp_file_limit`);
  });
});

test('what is missing of a finished or an older log counts as a hole, of the log that grows not', async () => {
  const own = await createDatabases(2);
  const reach = async () => {
    const pool = createPool(own.roleUrls.analyst, { max: 1, name: 'test' });
    try {
      return await readReach(pool, { timeoutSeconds: 10 });
    } finally {
      await pool.end();
    }
  };
  expect(await reach()).toEqual({ lastAt: null, holes: 0, missingBytes: 0 });
  await addLog(own);
  expect(await reach()).toEqual({ lastAt: new Date('2030-05-01T12:34:56Z'), holes: 0, missingBytes: 0 });
  await addLog(own, 30);
  expect(await reach()).toMatchObject({ holes: 2, missingBytes: 60 });
  // The log is still growing. Its ledger row shows that it has at least 500 bytes, and 300 of them are missing.
  const grow = (gen: number, day: number) =>
    own.query('a', `INSERT INTO shard.ledger (gen, committed, first_at, last_at) VALUES ($1, '{[0,100),[400,500)}', $2, $2)`, [
      `22222222-2222-2222-2222-22222222222${gen}`,
      `2030-05-0${day} 12:00+00`,
    ]);
  await grow(1, 3);
  expect(await reach()).toEqual({ lastAt: new Date('2030-05-03T12:00:00Z'), holes: 2, missingBytes: 60 });
  await grow(2, 4);
  // Log 1 is no longer the newest log, so its missing bytes count: 300 on shard a, and all 500 on shard b.
  expect((await reach()).missingBytes).toBe(60 + 300 + 500);
});
