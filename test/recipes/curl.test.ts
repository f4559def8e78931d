import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createPool } from '../../core/postgres.ts';
import { freePort } from '../../stack/ports.ts';
import { startPart } from '../../stack/part.ts';
import type { Running } from '../../stack/process.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { eventually } from '../support/servers.ts';

// Runs the commands of "A mailing by curl" and "Events by curl" in docs/integrations.md on a whole system with a desk.

const ROOT = join(import.meta.dirname, '..', '..');
vi.setConfig({ testTimeout: 180_000 });

let directory: string;
let system: System;
let desk: Running;
let port: number;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-curl-'));
  system = await startSystem({ dataDir: join(directory, '.clickledger'), durable: false, extra: { LOG_LEVEL: 'warn' } });
  port = await freePort();
  desk = await startPart({ part: 'desk', name: 'desk', runDir: join(directory, 'run'), env: { ...system.env, DESK_PORT: String(port) } });
}, 120_000);

afterAll(async () => {
  await desk?.stop();
  await system?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** The blocks of commands below a heading, up to the next heading. */
async function blocksBelow(heading: string): Promise<string[]> {
  const text = await readFile(join(ROOT, 'docs', 'integrations.md'), 'utf8');
  const [, section = ''] = text.split(`\n### ${heading}\n`);
  return Array.from((section.split(/\n##+ /)[0] as string).matchAll(/^```sh\n([\s\S]*?)^```$/gm), ([, commands]) => commands as string);
}

/** Waits until every line of the log is committed. */
async function untilCounted(): Promise<void> {
  const analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  await eventually('every byte of the log is committed', async () => {
    const logged = (await stat(join(system.logDirs[0] as string, 'access.log'))).size;
    const { rows } = await analyst.query<{ bytes: number }>('SELECT sum(committed_bytes)::bigint AS bytes FROM analytics.completeness');
    return logged > 0 && rows[0]?.bytes === logged;
  });
  await analyst.end();
}

test('a campaign, people, letters, a click and its report, by curl alone', async () => {
  const blocks = [...(await blocksBelow('A mailing by curl')), ...(await blocksBelow('Events by curl'))];
  expect(blocks).toHaveLength(9);
  // Each block is a program of its own, with the variables of the blocks before it. The desk has another port than in the document.
  const variables = new Map<string, string>();
  const outputs: string[] = [];
  for (const block of blocks) {
    if (block.includes('/reports/')) await untilCounted();
    const script = [
      `npx() { shift; '${process.execPath}' '${join(ROOT, 'cli', 'main.ts')}' "$@"; }`,
      block.replaceAll('127.0.0.1:8090', `127.0.0.1:${port}`),
      `for name in API AUTHOR ANALYST CAMPAIGN URL; do printf '%s=%s\\n' "$name" "\${!name-}" >> variables; done`,
    ].join('\n');
    const { stdout } = await promisify(execFile)('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
      cwd: directory,
      env: { PATH: process.env['PATH'], ...Object.fromEntries(variables) },
    });
    for (const [, name, value] of (await readFile(join(directory, 'variables'), 'utf8')).matchAll(/^(\w+)=(.+)$/gm))
      variables.set(name as string, value as string);
    outputs.push(stdout);
  }
  const [, , imported = '', , sent = '', clicked = '', reports = ''] = outputs;
  const people = imported
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { line: number; recipient: number });
  expect(people).toEqual([
    { line: 1, recipient: expect.any(Number) },
    { line: 2, recipient: expect.any(Number) },
  ]);
  const letters = (await readFile(join(directory, 'letters.ndjson'), 'utf8')).trim().split('\n');
  expect(letters.map((line) => JSON.parse(line) as object)).toMatchObject([
    { line: 1, links: [{ target: 'https://www.example.com/sale' }] },
    { line: 2, recipient: people[0]?.recipient, html: expect.stringContaining('Dear Ann') },
    { line: 3, recipient: people[1]?.recipient, html: expect.stringContaining('Dear Bob') },
  ]);
  expect(JSON.parse(sent)).toMatchObject({ name: 'Sale by curl', sent_at: expect.any(String) });
  expect(clicked).toBe('302 https://www.example.com/sale\n');
  const [json = '', csv = ''] = reports.split(/(?<=^\]\n)/m);
  expect(JSON.parse(json)).toEqual(
    expect.arrayContaining([expect.objectContaining({ campaign: 'Sale by curl', kind: 'click', hits: 1, human_hits: 1, recipients: 1 })]),
  );
  const events = (await readFile(join(directory, 'events.ndjson'), 'utf8')).trim().split('\n');
  expect(events.map((line) => JSON.parse(line) as object)).toMatchObject([
    { type: 'click', recipient_id: people[0]?.recipient, verdict: 'human', id: expect.stringMatching(/^[0-9a-f-]{36}:\d+$/) },
  ]);
  expect(await readFile(join(directory, 'cursor'), 'utf8')).toMatch(/^[\w-]{22}\.1\.[\w-]{8}\n$/);
  expect(parse(csv, { columns: true })).toMatchObject([{ target: 'https://www.example.com/sale', human_hits: '1' }]);
});
