import { appendFile, copyFile, mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { createUrls } from '../../authoring/urls.ts';
import { createPool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { rotateLog } from '../../stack/nginx.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { clickledger, type CommandResult } from '../support/commands.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Tests the commands for operators on a running system. The tests damage the data. The commands must find the damage, and the fix that they
// suggest must work.

interface Finding {
  shard: string;
  gen?: string;
  what: string;
  mend: string;
}

let system: System;
let dataDir: string;
let logs: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-audit-'));
  system = await startSystem({ dataDir, durable: false, extra: { LOG_LEVEL: 'warn' } });
  logs = system.logDirs[0] as string;
  const author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
  const { id } = await ensureCampaign(author, 'audit');
  const link = await ensureLink(author, id, { kind: 'url', target: 'https://www.example.com/' });
  await author.end();
  const path = createUrls('', createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''))).click(link, 0);
  for (let i = 0; i < 40; i++) await rawRequest(system.ports.edges[0] as number, 'GET', path);
  await rawRequest(system.ports.edges[0] as number, 'GET', '/r/forgedForgedForged.gif');
  await rawRequest(system.ports.edges[0] as number, 'POST', path);
  await appendFile(join(logs, 'access.log'), 'not a line of nginx\n');
  await eventually('all is committed', async () => (await audit('--logs', logs)).findings.length === 0);
}, 120_000);

afterAll(async () => {
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const cli = (...args: string[]): Promise<CommandResult> => clickledger([...args, '--data', dataDir]);

async function audit(
  ...args: string[]
): Promise<{ findings: Finding[]; dead: { reason: string; line: string | null }[]; code: number | null }> {
  const { stdout, code } = await cli('audit', ...args, '--json');
  return { ...(JSON.parse(stdout) as { findings: Finding[]; dead: { reason: string; line: string | null }[] }), code };
}

/** Changes data of a shard in a way that no part does, and reverts the change after `check`. */
async function withTampering(statement: string, check: () => Promise<void>): Promise<void> {
  const url = new URL(system.env['CATALOG_URL'] ?? '');
  url.pathname = '/clickledger_shard_a';
  const client = new pg.Client({ connectionString: url.toString() });
  await client.connect();
  await client.query('CREATE TABLE before_event AS TABLE shard.event; CREATE TABLE before_ledger AS TABLE shard.ledger');
  try {
    await client.query(statement);
    await check();
  } finally {
    await client.query('DELETE FROM shard.event; INSERT INTO shard.event SELECT * FROM before_event');
    await client.query('DELETE FROM shard.ledger; INSERT INTO shard.ledger SELECT * FROM before_ledger');
    await client.query('DROP TABLE before_event, before_ledger');
    await client.end();
  }
}

describe('clickledger audit', () => {
  test('finds nothing on a sound system, shows the lines that could not be read, and exits with 0', async () => {
    const result = await audit('--logs', logs);
    expect(result).toMatchObject({ findings: [], code: 0, dead: [{ reason: 'torn', line: 'not a line of nginx\\n' }] });
    expect((await cli('audit')).stderr).toContain('no problems found');
  });

  test('finds an event that stands twice', async () => {
    await withTampering('INSERT INTO shard.event SELECT * FROM shard.event ORDER BY off LIMIT 1', async () => {
      const { findings, code } = await audit();
      expect(findings.map(({ what }) => what)).toEqual([expect.stringMatching(/^offset \d+ is stored 2 times$/)]);
      expect(code).toBe(1);
    });
  });

  test('finds rows that no ledger range covers', async () => {
    await withTampering('UPDATE shard.event SET off = 999999999 WHERE off = (SELECT max(off) FROM shard.event)', async () => {
      const { findings } = await audit();
      expect(findings.map(({ what }) => what)).toEqual(['the row at offset 999999999 is outside the ledger']);
    });
  });

  test('finds rows that are gone by what the log says', async () => {
    await withTampering('DELETE FROM shard.event WHERE off = (SELECT max(off) FROM shard.event)', async () => {
      expect((await audit()).findings).toEqual([]);
      expect((await audit('--logs', logs)).findings.map(({ what }) => what)).toEqual(['40 hits, but the log has 41']);
    });
  });

  test('says of a hole which log fills it, or that no log can', async () => {
    await system.member('log-agent-1').running?.stop();
    const uncommit = 'UPDATE shard.ledger SET committed = committed - int8multirange(int8range(0, lower(committed) + 100))';
    await withTampering(`${uncommit}; DELETE FROM shard.event WHERE off < 100`, async () => {
      const empty = join(dataDir, 'no-logs');
      await mkdir(empty, { recursive: true });
      const [known] = (await audit('--logs', logs)).findings;
      expect(known).toMatchObject({
        what: expect.stringContaining('100 bytes are missing, first 0–100') as string,
        mend: `clickledger ship ${join(logs, 'access.log')}`,
      });
      const [unknown] = (await audit('--logs', empty)).findings;
      expect(unknown?.mend).toContain('older than the logs that are kept');
    });
    await system.member('log-agent-1').start();
  });
});

describe('clickledger ship', () => {
  test('fills what a shard has forgotten from an old log, and says before what it would do', async () => {
    await rotateLog(logs, system.member('nginx-1').running as NonNullable<ReturnType<System['member']>['running']>);
    await system.member('log-agent-1').running?.stop();
    const [rotated] = (await readdir(logs)).filter((name) => name.startsWith('access.log.'));
    const old = join(dataDir, 'old.log');
    await copyFile(join(logs, rotated as string), old);

    expect((await cli('ship', old)).stderr).toContain('was written to a moment ago');
    await utimes(old, 1, 1);
    const url = new URL(system.env['CATALOG_URL'] ?? '');
    url.pathname = '/clickledger_shard_a';
    const client = new pg.Client({ connectionString: url.toString() });
    await client.connect();
    await client.query('DELETE FROM shard.event; DELETE FROM shard.ledger; DELETE FROM shard.dead_letter; DELETE FROM shard.skipped');

    const dry = JSON.parse((await cli('ship', '--dry-run', old, '--json')).stdout) as { missing: { missing_bytes: number }[] };
    expect(dry.missing).toHaveLength(1);
    expect(dry.missing[0]?.missing_bytes).toBeGreaterThan(0);
    expect((await client.query('SELECT FROM shard.event')).rowCount).toBe(0);

    expect(await cli('ship', old)).toMatchObject({ code: 0 });
    expect((await client.query('SELECT FROM shard.event')).rowCount).toBe(40);
    expect((await cli('ship', old)).stderr).toContain('nothing is missing');
    await client.end();
    expect((await audit('--logs', logs)).findings).toEqual([]);
    await system.member('log-agent-1').start();
  });

  test('refuses what is no log', async () => {
    expect(await cli('ship', join(dataDir, 'nothing.log'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no log') as string,
    });
    const half = join(dataDir, 'half.gz');
    await appendFile(half, Buffer.from([0x1f, 0x8b, 8, 0]));
    await utimes(half, 1, 1);
    expect(await cli('ship', half)).toMatchObject({ code: 1, stderr: expect.stringContaining('is not a complete gzip file') as string });
  });
});

describe('clickledger shard move', () => {
  test('says what it would do, does it, and refuses a database that has events already', async () => {
    const { host } = new URL(system.env['CATALOG_URL'] ?? '');
    const target = `postgres://${host}/clickledger_moved`;
    const dry = await cli('shard', 'move', 'a', '--to', target, '--dry-run');
    expect(dry.stderr).toContain('would copy 40 events');
    const moved = await cli('shard', 'move', 'a', '--to', target, '--json');
    expect(JSON.parse(moved.stdout)).toMatchObject({ rows: { event: 40 }, to: target });
    expect((await audit('--logs', logs)).findings).toEqual([]);
    const back = await cli('shard', 'move', 'a', '--to', `postgres://${host}/clickledger_shard_a`);
    expect(back).toMatchObject({ code: 1, stderr: expect.stringContaining('already has events') as string });
  });
});
