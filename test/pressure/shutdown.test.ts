import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slugIds, writeLog } from '../../bench/fixture.ts';
import { sleep } from '../../core/time.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';
import { sendSlowly, requestOf, startClicking } from './clients.ts';
import { committedBytes } from '../../bench/system.ts';
import { createSetup, type PressureSetup, printFigures } from './setup.ts';

// Tests that each part can be stopped while it is busy. It must finish its work or leave it to others, and exit before it is killed.

/** The time for which service managers wait before they kill a part. Docker has the shortest default. */
const GRACE_MS = 10_000;
const PER_SECOND = 200;
const LINES = 60_000;
const SHARDS = ['a', 'b'];

let setup: PressureSetup;
let slugs: string[];
const ids = slugIds(LINES);
let logs = 0;

beforeAll(async () => {
  setup = await createSetup({ shards: SHARDS.length });
  slugs = ids.map((pair) => setup.slugs.encode(pair));
  for (const [i, slug] of slugs.entries()) setup.issued.set(slug, ids[i] as (typeof ids)[number]);
  await mkdir(join(setup.dataDir, 'waiting'));
}, 120_000);

afterAll(() => setup?.stop());

/** Stops a member, and kills it after GRACE_MS. Returns the exit of the process and the duration of the stop in ms. */
async function stop(name: string): Promise<{ exit: string; ms: number }> {
  const member = setup.system.member(name);
  const { running } = member;
  if (!running) throw new Error(`${name} is not running`);
  const startedMs = performance.now();
  await running.stop(GRACE_MS);
  const ms = performance.now() - startedMs;
  member.running = undefined;
  return { exit: await running.exited, ms };
}

test('a backend that is told to stop takes no redirect with it', async (context) => {
  const clicking = startClicking({ port: setup.port, perSecond: PER_SECOND, next: setup.newClick });
  await sleep(500);
  const ended: Record<string, { exit: string; ms: number }> = {};
  for (const name of ['backend-1', 'backend-2']) {
    // A request for an unknown alias waits up to one second for the next poll of the catalog.
    const requests = Array.from({ length: 20 }, (_, i) => rawRequest(setup.port, 'GET', `/u/no-such-alias-${i}`));
    await sleep(100);
    ended[name] = await stop(name);
    expect(new Set((await Promise.all(requests)).map(({ status }) => status))).toEqual(new Set([404]));
    await sleep(300);
    await setup.system.member(name).start();
    await sleep(300);
  }
  const { clicks, failed } = await clicking.stop();
  for (const [name, { exit }] of Object.entries(ended)) expect(exit, name).toBe('exited with code 0');
  expect(failed).toEqual([]);
  const { hits } = await setup.expectExactlyOnce();
  expect(hits).toBe(clicks);
  printFigures(
    context,
    Object.entries(ended).map(([part, { exit, ms }]) => ({
      part,
      exit,
      'took ms': Math.round(ms),
      clicks,
      failed: failed.length,
    })),
  );
});

test('nginx answers what it has begun, whoever dawdles is cut off, and then it ends', async (context) => {
  const { port, newClick, system } = setup;
  const before = (await setup.expectExactlyOnce()).hits;
  const backends = ['backend-1', 'backend-2'].map((name) => system.member(name).running);
  const slowClients = Array.from({ length: 20 }, () => {
    const { path, address } = newClick();
    return sendSlowly(port, requestOf(path, address).slice(0, -10));
  });
  await sleep(200);
  // Both backends are frozen for a moment, so that all requests of this moment are in flight when nginx is stopped.
  for (const backend of backends) backend?.signal('SIGSTOP');
  const clicking = startClicking({ port, perSecond: PER_SECOND, next: newClick });
  await sleep(700);
  const inFlight = clicking.stop();
  await sleep(100);
  const stopping = stop('nginx-1');
  await sleep(200);
  for (const backend of backends) backend?.signal('SIGCONT');
  const { clicks, failed } = await inFlight;
  const { exit, ms } = await stopping;
  const closings = await Promise.all(slowClients);
  await system.member('nginx-1').start();
  expect(exit).toBe('exited with code 0');
  expect(clicks).toBeGreaterThan(50);
  expect(failed).toEqual([]);
  const { hits } = await setup.expectExactlyOnce();
  expect(hits - before).toBe(clicks);
  printFigures(context, [
    {
      part: 'nginx-1',
      exit,
      'took ms': Math.round(ms),
      'redirects under way': clicks,
      failed: failed.length,
      'slow clients cut off': closings.length,
    },
  ]);
});

/** Adds a log of many hits and waits until some of them are committed. The hits of shard b wait for a lock until `release` is called. */
async function addHalfCommittedLog(): Promise<{ totalBytes: number; release: () => Promise<void> }> {
  const holder = new pg.Client({ connectionString: setup.urlOf('b') });
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE shard.delta IN SHARE MODE');
  const before = await committedBytes(setup);
  const stagedLog = join(setup.dataDir, 'waiting', 'log');
  const bytes = await writeLog(stagedLog, slugs, ids, ++logs);
  await rename(stagedLog, join(setup.system.logDirs[0] as string, `access.log.more-${logs}`));
  await eventually('some of the log is committed', async () => (await committedBytes(setup)) > before + bytes / 20);
  return { totalBytes: before + bytes * SHARDS.length, release: () => holder.end() };
}

test.for(['log-agent-1', 'event-worker-1'])(
  '%s, told to stop, finishes or hands back what it has begun',
  { timeout: 120_000 },
  async (name, context) => {
    const clicking = startClicking({ port: setup.port, perSecond: PER_SECOND, next: setup.newClick });
    const { totalBytes, release } = await addHalfCommittedLog();
    const stopping = stop(name);
    // A worker waits for its running commits, so the lock must be released. An agent does not wait for commits.
    if (name === 'event-worker-1') await sleep(200).then(release);
    const { exit, ms } = await stopping;
    const committed = await committedBytes(setup);
    if (name === 'log-agent-1') await release();
    await setup.system.member(name).start();
    await eventually('every byte is committed', async () => (await committedBytes(setup)) >= totalBytes);
    const { clicks, failed } = await clicking.stop();
    expect(exit).toBe('exited with code 0');
    expect(committed).toBeLessThan(totalBytes);
    expect(failed).toEqual([]);
    const { hits } = await setup.expectExactlyOnce();
    printFigures(context, [
      {
        part: name,
        exit,
        'took ms': Math.round(ms),
        clicks,
        failed: failed.length,
        'bytes left for the restarted part': totalBytes - committed,
        hits,
      },
    ]);
  },
);
