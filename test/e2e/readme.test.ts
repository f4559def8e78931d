import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLinks } from '../../authoring/links.ts';
import { createPool } from '../../core/postgres.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { PSQL } from '../support/psql.ts';
import { startMailServer } from '../support/mail-server.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Runs the commands of the README and the pages in docs/, one block after the other, on a system like the one that `npm start` creates.

const ROOT = join(import.meta.dirname, '..', '..');
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

// Each test runs about twenty commands, each in its own process.
vi.setConfig({ testTimeout: 180_000 });

let system: System;
let directory: string;

/**
 * Starts a system like the one that `npm start` creates. The first campaign of an author has number 2, because number 1 is the example
 * campaign.
 */
async function startAsNpmStart(dataDir: string): Promise<System> {
  const started = await startSystem({ dataDir, durable: false, extra: { LOG_LEVEL: 'warn' } });
  const author = createPool(started.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
  const { id } = await ensureCampaign(author, 'First steps');
  await ensureLinks(author, id, [{ kind: 'url', target: 'https://www.example.com/' }, { kind: 'pixel' }]);
  await author.end();
  return started;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-readme-'));
  system = await startAsNpmStart(join(directory, '.clickledger'));
}, 120_000);

afterAll(async () => {
  await system?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Runs commands in a shell in `cwd`. `npx clickledger` is the command of this checkout. */
async function type(commands: string, cwd = directory, env: Record<string, string> = {}): Promise<string> {
  const npx = `npx() { shift; '${process.execPath}' '${join(ROOT, 'cli', 'main.ts')}' "$@"; }\n`;
  const { stdout } = await promisify(execFile)('bash', ['--norc', '-euo', 'pipefail', '-c', npx + commands], {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
  });
  return stdout;
}

/** Returns the commands of a document, block by block. */
async function blocksOf(document: string): Promise<string[]> {
  const text = await readFile(join(ROOT, document), 'utf8');
  return Array.from(text.matchAll(/^```sh\n([\s\S]*?)^```$/gm), ([, commands]) => commands as string);
}

test('from a letter and a list to the first report, as the README says', async () => {
  const blocks = await blocksOf('docs/authors.md');
  expect(blocks.length).toBeGreaterThan(5);
  const outputs: string[] = [];
  const mail = await startMailServer();
  for (const block of blocks) {
    if (block.includes('report campaign-summary')) await readLetters();
    outputs.push(await type(block, directory, { SMTP_URL: `smtp://127.0.0.1:${mail.port}` }));
  }
  expect(mail.counts()).toEqual({ 'me@example.com': 2, 'ann@example.com': 1, 'bob@example.com': 1 });
  const report = outputs.find((output) => output.includes('human_hits'))?.split('\n') ?? [];
  // Two people clicked. A click also counts as an open of the recipient, so two people opened the letter, although only one loaded the
  // pixel. The hits of the test recipient in the preview are not counted.
  expect(report.find((line) => line.includes('Spring sale  click'))).toMatch(/Spring sale +click +2 +2 +0 +0 +2 +2/);
  expect(report.find((line) => line.includes('Spring sale  open'))).toMatch(/Spring sale +open +1 +1 +0 +0 +2 +2/);
  expect(await readFile(join(directory, 'spring-sale.svg'), 'utf8')).toContain('<svg');
});

test("from a connection string to a chart and a report of one's own, as the README says", async ({ skip }) => {
  await symlink(join(ROOT, 'reports'), join(directory, 'reports'));
  const blocks = await blocksOf('docs/analysts.md');
  expect(blocks.length).toBeGreaterThan(3);
  const hasPsql = PSQL !== undefined;
  // All blocks run in one shell, because later blocks need the connection string of the first block.
  const output = await type((hasPsql ? blocks : blocks.map((block) => block.replace(/^psql .*$/gm, ''))).join('\n'));
  // Ann has been deleted by an earlier command. Bob is found by his address.
  for (const page of ['clicks.html', 'first-clickers.html']) expect(await readFile(join(directory, page), 'utf8')).toContain('<svg');
  const lines = output.split('\n');
  expect(lines.filter((line) => /^\W*bob@example\.com\W.* 1\W*$/.test(line))).toHaveLength(hasPsql ? 2 : 1);
  if (!hasPsql) skip('without psql on the PATH only the command was tried');
  expect(output).toContain('human_hits   | bigint');
  expect(lines.find((line) => line.includes('Spring sale |'))).toMatch(/ 2 \| Spring sale \| .* \| +2$/);
});

test('what the README tells each reader, with the examples', async () => {
  const place = join(directory, 'checkout');
  await mkdir(place);
  for (const name of ['examples', 'reports']) await symlink(join(ROOT, name), join(place, name));
  const own = await startAsNpmStart(join(place, '.clickledger'));
  try {
    const [start, ...blocks] = await blocksOf('README.md');
    expect(start).toBe('npm start\nnpm test\n');
    expect(blocks).toHaveLength(3);
    const outputs: string[] = [];
    for (const block of blocks) outputs.push(await type(block, place));
    expect((await readdir(join(place, 'autumn'))).toSorted()).toEqual(['0000001.html', '0000002.html', '0000003.html', 'index.csv']);
    expect(outputs[1]).toContain('campaign-summary');
    // Nobody has clicked yet, so the page has no chart.
    expect(await readFile(join(place, 'clicks.html'), 'utf8')).toContain('<h1>Clicks by hour</h1>');

    const report = /npx clickledger report \S+ --campaign 2/.exec(await readFile(join(ROOT, 'examples', 'README.md'), 'utf8'))?.[0] ?? '';
    expect(await type(report, place)).toContain('readers');
  } finally {
    await own.stop();
  }
});

/** Ann and the test recipient click and load the pixel. Bob only clicks. */
async function readLetters(): Promise<void> {
  const pathsIn = async (file: string, kind: 'u' | 'r') =>
    Array.from((await readFile(join(directory, file), 'utf8')).replaceAll('=\r\n', '').matchAll(/\/([ur])\/[0-9A-Za-z]+(?:\.gif)?/g))
      .filter((found) => found[1] === kind)
      .map(([path]) => path);
  const get = async (path: string | undefined) => {
    const answer = await rawRequest(system.ports.edges[0] as number, 'GET', path ?? '/nothing', { 'User-Agent': BROWSER });
    return answer.headers.get('location') ?? answer.status;
  };
  const [sale, news, ...more] = await pathsIn('messages/0000001.eml', 'u');
  expect(more).toEqual([]);
  expect(await get(news)).toBe('https://www.example.com/news');
  expect(await get((await pathsIn('messages/0000001.eml', 'r'))[0])).toBe(200);
  expect(await get((await pathsIn('messages/0000002.eml', 'u'))[0])).toBe('https://www.example.com/sale?from=letter&page=1');
  const [mine] = await pathsIn('preview/0000001.html', 'u');
  expect(await get(mine)).toBe('https://www.example.com/sale?from=letter&page=1');
  expect(await get((await pathsIn('preview/0000001.html', 'r'))[0])).toBe(200);
  expect(mine).not.toBe(sale);
  // Waits until the log is committed, because the next report must include all hits.
  const logged = (await stat(join(system.env['LOG_DIR'] ?? '', 'access.log'))).size;
  const analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  await eventually('every byte of the log is committed', async () => {
    const { rows } = await analyst.query<{ bytes: number }>('SELECT sum(committed_bytes)::bigint AS bytes FROM analytics.completeness');
    return rows[0]?.bytes === logged;
  });
  await analyst.end();
}
