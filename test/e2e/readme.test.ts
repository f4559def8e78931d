import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLinks } from '../../authoring/links.ts';
import { createPool } from '../../core/postgres.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { PSQL } from '../support/psql.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// What the README tells authors and analysts to type, typed one block after the other, against a system as `npm start` makes it.

const ROOT = join(import.meta.dirname, '..', '..');
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

let system: System;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-readme-'));
  system = await startSystem({ dataDir: join(directory, '.clickledger'), durable: false, extra: { LOG_LEVEL: 'warn' } });
  // `npm start` makes a campaign to try, so an author's first one has number 2.
  const author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
  const { id } = await ensureCampaign(author, 'First steps', undefined);
  await ensureLinks(author, id, [{ kind: 'url', target: 'https://www.example.com/' }, { kind: 'pixel' }]);
  await author.end();
}, 120_000);

afterAll(async () => {
  await system?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** As the shell would, with `npx clickledger` being the command of this checkout. */
async function type(commands: string): Promise<string> {
  const npx = `npx() { shift; '${process.execPath}' '${join(ROOT, 'cli', 'main.ts')}' "$@"; }\n`;
  const { stdout } = await promisify(execFile)('bash', ['--norc', '-euo', 'pipefail', '-c', npx + commands], {
    cwd: directory,
    env: { PATH: process.env['PATH'] },
  });
  return stdout;
}

/** The commands of a section, block by block. */
async function blocksOf(section: string, next: string): Promise<string[]> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const text = readme.slice(readme.indexOf(`\n${section}\n`), readme.indexOf(`\n${next}\n`));
  return Array.from(text.matchAll(/```sh\n([\s\S]*?)```/g), ([, commands]) => commands as string);
}

test('from a letter and a list to the first report, as the README says', async () => {
  const blocks = await blocksOf('## For authors', '## For analysts');
  expect(blocks.length).toBeGreaterThan(5);
  const outputs: string[] = [];
  for (const block of blocks) {
    if (block.includes('report campaign-summary')) await readLetters();
    outputs.push(await type(block));
  }
  const report = outputs.find((output) => output.includes('human_hits'))?.split('\n') ?? [];
  // Two people clicked, one opened; what the test recipient did in the preview does not count.
  expect(report.find((line) => line.includes('Spring sale  click'))).toMatch(/Spring sale +click +2 +2 +0 +2 +2/);
  expect(report.find((line) => line.includes('Spring sale  open'))).toMatch(/Spring sale +open +1 +1 +0 +1 +1/);
  expect(await readFile(join(directory, 'spring-sale.svg'), 'utf8')).toContain('<svg');
});

test("from a connection string to a chart and a report of one's own, as the README says", async ({ skip }) => {
  await symlink(join(ROOT, 'reports'), join(directory, 'reports'));
  const blocks = await blocksOf('## For analysts', '### People and machines');
  expect(blocks.length).toBeGreaterThan(3);
  const hasPsql = PSQL !== undefined;
  // In one shell, which remembers the connection string.
  const output = await type((hasPsql ? blocks : blocks.map((block) => block.replace(/^psql .*$/gm, ''))).join('\n'));
  // Ann was forgotten in between; Bob is known by his address.
  for (const page of ['clicks.html', 'first-clickers.html']) expect(await readFile(join(directory, page), 'utf8')).toContain('<svg');
  const lines = output.split('\n');
  expect(lines.filter((line) => /^\W*bob@example\.com\W.* 1\W*$/.test(line))).toHaveLength(hasPsql ? 2 : 1);
  if (!hasPsql) skip('without psql on the PATH only the command was tried');
  expect(output).toContain('human_hits   | bigint');
  expect(lines.find((line) => line.includes('Spring sale |'))).toMatch(/ 2 \| Spring sale \| .* \| +2$/);
});

/** Ann and the test recipient click and load the pixel, Bob only clicks. */
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
  // The agent takes a moment; the report must have all of it.
  const logged = (await stat(join(system.env['LOG_DIR'] ?? '', 'access.log'))).size;
  const analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  await eventually('every byte of the log is committed', async () => {
    const { rows } = await analyst.query<{ bytes: number }>('SELECT sum(committed_bytes)::bigint AS bytes FROM analytics.completeness');
    return rows[0]?.bytes === logged;
  });
  await analyst.end();
}
