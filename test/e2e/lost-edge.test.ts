import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { createUrls } from '../../authoring/urls.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { clickledger, type CommandResult } from '../support/commands.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Two hosts of nginx. The second one is lost with its disk, and its log is counted from the copies of LOG_MIRROR. The first one is drained.

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../bin/clickledger.js', import.meta.url));
const { BASE_URL: _, ...env } = process.env;

let system: System;
let dataDir: string;
let mirrors: string[];
let analyst: Pool;
let path: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-lost-'));
  mirrors = [1, 2].map((n) => join(dataDir, 'mirror', `log-agent-${n}`));
  for (const mirror of mirrors) await mkdir(mirror, { recursive: true });
  system = await startSystem({
    dataDir,
    edges: 2,
    durable: false,
    extra: { LOG_LEVEL: 'warn' },
    envOf: (member) => (member.startsWith('log-agent') ? { LOG_MIRROR: join(dataDir, 'mirror', member) } : {}),
  });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  const author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
  const { id } = await ensureCampaign(author, 'lost');
  const link = await ensureLink(author, id, { kind: 'url', target: 'https://www.example.com/' });
  await author.end();
  path = createUrls('', createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''))).click(link, 0);
}, 120_000);

afterAll(async () => {
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const cli = (...args: string[]): Promise<CommandResult> => clickledger([...args, '--data', dataDir]);

async function click(edge: number, times: number): Promise<void> {
  for (let i = 0; i < times; i++) expect((await rawRequest(system.ports.edges[edge] as number, 'GET', path)).status).toBe(302);
}

const counted = async (): Promise<number> =>
  (await analyst.query<{ n: number }>('SELECT count(*)::int AS n FROM analytics.events')).rows[0]?.n ?? 0;

const sizeOf = async (file: string): Promise<number> => (await stat(file).catch(() => undefined))?.size ?? -1;

async function copyOf(mirror: string): Promise<string> {
  return join(mirror, (await readdir(mirror))[0] ?? 'none');
}

test('an edge that is lost with its disk: the copies have each of its hits, and they are counted once', { timeout: 240_000 }, async () => {
  const [, log = ''] = system.logDirs;
  const [, mirror = ''] = mirrors;
  await click(0, 10);
  await click(1, 30);
  await eventually('all clicks are counted', async () => (await counted()) === 40);
  const committedBytes = await sizeOf(join(log, 'access.log'));
  // Without NATS nothing is published, but copies are made.
  await system.member('nats').running?.kill();
  await click(1, 20);
  const bytes = await readFile(join(log, 'access.log'));
  await eventually('the copy is complete', async () => (await sizeOf(await copyOf(mirror))) === bytes.length);
  expect(await readFile(await copyOf(mirror))).toEqual(bytes);
  await system.member('log-agent-2').running?.kill();
  await system.member('nginx-2').running?.kill();
  await rm(log, { recursive: true });
  await system.member('nats').start();

  const gen = (await copyOf(mirror)).slice(-32);
  const { unfinished } = JSON.parse((await cli('audit', '--json')).stdout) as { unfinished: { gen: string; bytes: number }[] };
  expect(unfinished).toContainEqual(expect.objectContaining({ gen, bytes: committedBytes }));
  const audit = await cli('audit', '--logs', system.logDirs[0] as string, '--logs', mirror);
  expect(audit.code).toBe(1);
  expect(audit.stdout).toContain(`${bytes.length - committedBytes} bytes are missing`);

  await utimes(await copyOf(mirror), 1, 1);
  expect(await cli('ship', mirror)).toMatchObject({ code: 0 });
  expect(await counted()).toBe(60);
  expect((await cli('ship', mirror)).stderr).toContain('nothing is missing');
  const after = await cli('audit', '--logs', system.logDirs[0] as string, '--logs', mirror, '--json');
  expect(JSON.parse(after.stdout)).toMatchObject({ findings: [], unfinished: [] });
});

test('a host that is drained: nginx stops, everything is counted, and it may be put into service again', { timeout: 240_000 }, async () => {
  const [logs = ''] = system.logDirs;
  const before = await counted();
  // The agent is down, so its last hits wait. A last line without its end, as after a power failure, does not stop the command.
  await system.member('log-agent-1').running?.kill();
  await click(0, 7);
  await writeFile(join(logs, 'access.log.9'), '{"v":2,"rid":"torn');
  await writeFile(join(logs, 'notes.txt'), 'not a log');
  const drain = spawn('node', [CLI, 'drain', '--after', '2', '--logs', logs, '--json', '--data', dataDir], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  drain.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = once(drain, 'exit');
  await eventually('the load balancer sees it', async () => {
    const { status, body } = await rawRequest(system.ports.edges[0] as number, 'GET', '/healthz').catch(() => ({ status: 0, body: '' }));
    return status === 503 && body.toString().includes('draining');
  });
  await system.member('nginx-1').running?.exited;
  expect((await ended)[0]).toBe(1);
  expect(JSON.parse(output)).toEqual({
    removable: false,
    missing: [],
    not_read: [{ name: 'notes.txt', what: expect.any(String) as string }],
  });
  expect(await counted()).toBe(before + 7);
  await rm(join(logs, 'notes.txt'));
  const again = await cli('drain', '--logs', logs);
  expect([again.stderr, again.code]).toEqual([expect.stringContaining('the host can be removed'), 0]);

  // The service manager starts nginx again, but start.sh waits.
  const starting = system.member('nginx-1').start();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  await expect(rawRequest(system.ports.edges[0] as number, 'GET', '/')).rejects.toThrow();
  expect((await cli('drain', '--undo', '--logs', logs)).stderr).toContain('in service again');
  await starting;
  await system.member('log-agent-1').start();
  await click(0, 1);
  await eventually('it is counted', async () => (await counted()) === before + 8);
  expect((await cli('drain', '--undo', '--logs', logs)).stderr).toContain('was not draining');
});

test('a mirror that hangs delays neither hits nor the stop of the agent, and is reported', { timeout: 240_000 }, async () => {
  const [mirror = ''] = mirrors;
  const agent = system.member('log-agent-1');
  await agent.running?.stop();
  // Opening a pipe waits for another process, as opening a file on a lost NFS server does.
  for (const name of await readdir(mirror)) {
    await rm(join(mirror, name));
    await run('mkfifo', [join(mirror, name)]);
  }
  await agent.start();
  const before = await counted();
  await click(0, 5);
  await eventually('the hits are counted', async () => (await counted()) === before + 5);
  const { adminPort } = agent.running as unknown as { adminPort: number };
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  expect(Number(/^clickledger_agent_mirror_lag_bytes (\d+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0);
  agent.running?.signal('SIGTERM');
  expect(await agent.running?.exited).toBe('was killed by SIGKILL');
  for (const name of await readdir(mirror)) await rm(join(mirror, name));
  await agent.start();
  await eventually('the logs are copied again', async () => (await sizeOf(await copyOf(mirror))) > 0);
});
