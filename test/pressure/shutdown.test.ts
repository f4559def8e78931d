import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pairs, writeLog } from '../../bench/fixture.ts';
import { sleep } from '../../core/time.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';
import { dribble, requestOf, startClicking } from './clients.ts';
import { committedBytes } from '../../bench/stand.ts';
import { createGround, type Ground, print } from './ground.ts';

// Each part is told to stop while it has its hands full: it finishes or hands back what it has begun, and leaves by itself.

/** What a service manager leaves a part before it kills it; Docker's default is the shortest. */
const GRACE_MS = 10_000;
const PER_SECOND = 200;
const LINES = 60_000;
const SHARDS = ['a', 'b'];

let ground: Ground;
let slugs: string[];
const ids = pairs(LINES);
let logs = 0;

beforeAll(async () => {
  ground = await createGround({ shards: SHARDS.length });
  slugs = ids.map((pair) => ground.slugs.encode(pair));
  for (const [i, slug] of slugs.entries()) ground.issued.set(slug, ids[i] as (typeof ids)[number]);
  await mkdir(join(ground.dataDir, 'waiting'));
}, 120_000);

afterAll(() => ground?.stop());

/** Tells a member to stop; how it ended and how long that took. Killed when its time is over. */
async function stop(name: string): Promise<{ how: string; ms: number }> {
  const member = ground.system.member(name);
  const { running } = member;
  if (!running) throw new Error(`${name} does not run`);
  const began = performance.now();
  await running.stop(GRACE_MS);
  const ms = performance.now() - began;
  member.running = undefined;
  return { how: await running.exited, ms };
}

test('a backend that is told to stop takes no redirect with it', async (context) => {
  const clicking = startClicking({ port: ground.port, perSecond: PER_SECOND, next: ground.newClick });
  await sleep(500);
  const ended: Record<string, { how: string; ms: number }> = {};
  for (const name of ['backend-1', 'backend-2']) {
    // An alias that nobody knows waits up to a second for the next look at the catalog.
    const waiting = Array.from({ length: 20 }, (_, i) => rawRequest(ground.port, 'GET', `/u/no-such-alias-${i}`));
    await sleep(100);
    ended[name] = await stop(name);
    expect(new Set((await Promise.all(waiting)).map(({ status }) => status))).toEqual(new Set([404]));
    await sleep(300);
    await ground.system.member(name).start();
    await sleep(300);
  }
  const { clicks, failed } = await clicking.stop();
  for (const [name, { how }] of Object.entries(ended)) expect(how, name).toBe('exited with code 0');
  expect(failed).toEqual([]);
  const { hits } = await ground.expectExactlyOnce();
  expect(hits).toBe(clicks);
  print(
    context,
    Object.entries(ended).map(([part, { how, ms }]) => ({ part, how, 'took ms': Math.round(ms), clicks, failed: failed.length })),
  );
});

test('nginx answers what it has begun, whoever dawdles is cut off, and then it ends', async (context) => {
  const { port, newClick, system } = ground;
  const before = (await ground.expectExactlyOnce()).hits;
  const backends = ['backend-1', 'backend-2'].map((name) => system.member(name).running);
  const dawdling = Array.from({ length: 20 }, () => {
    const { path, address } = newClick();
    return dribble(port, requestOf(path, address).slice(0, -10));
  });
  await sleep(200);
  // With both backends frozen for a moment, all these are on their way when nginx is told.
  for (const backend of backends) backend?.signal('SIGSTOP');
  const clicking = startClicking({ port, perSecond: PER_SECOND, next: newClick });
  await sleep(700);
  const underWay = clicking.stop();
  await sleep(100);
  const stopping = stop('nginx-1');
  await sleep(200);
  for (const backend of backends) backend?.signal('SIGCONT');
  const { clicks, failed } = await underWay;
  const { how, ms } = await stopping;
  const cut = await Promise.all(dawdling);
  await system.member('nginx-1').start();
  expect(how).toBe('exited with code 0');
  expect(clicks).toBeGreaterThan(50);
  expect(failed).toEqual([]);
  const { hits } = await ground.expectExactlyOnce();
  expect(hits - before).toBe(clicks);
  print(context, [
    {
      part: 'nginx-1',
      how,
      'took ms': Math.round(ms),
      'redirects under way': clicks,
      failed: failed.length,
      'dawdlers cut off': cut.length,
    },
  ]);
});

/** A log of many hits, of which some are committed; those of shard b wait for a lock until `release`. */
async function halfCommitted(): Promise<{ whole: number; release: () => Promise<void> }> {
  const holder = new pg.Client({ connectionString: ground.urlOf('b') });
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE shard.mark IN SHARE MODE');
  const before = await committedBytes(ground);
  const waiting = join(ground.dataDir, 'waiting', 'log');
  const bytes = await writeLog(waiting, slugs, ids, ++logs);
  await rename(waiting, join(ground.system.logDirs[0] as string, `access.log.more-${logs}`));
  await eventually('some of the log is committed', async () => (await committedBytes(ground)) > before + bytes / 20);
  return { whole: before + bytes * SHARDS.length, release: () => holder.end() };
}

test.for(['log-agent-1', 'event-worker-1'])(
  '%s, told to stop, finishes or hands back what it has begun',
  { timeout: 120_000 },
  async (name, context) => {
    const clicking = startClicking({ port: ground.port, perSecond: PER_SECOND, next: ground.newClick });
    const { whole, release } = await halfCommitted();
    const stopping = stop(name);
    // A worker waits for the commits that it has begun, so they have to come to an end; an agent waits for none.
    if (name === 'event-worker-1') await sleep(200).then(release);
    const { how, ms } = await stopping;
    const committed = await committedBytes(ground);
    if (name === 'log-agent-1') await release();
    await ground.system.member(name).start();
    await eventually('every byte is committed', async () => (await committedBytes(ground)) >= whole);
    const { clicks, failed } = await clicking.stop();
    expect(how).toBe('exited with code 0');
    expect(committed).toBeLessThan(whole);
    expect(failed).toEqual([]);
    const { hits } = await ground.expectExactlyOnce();
    print(context, [
      { part: name, how, 'took ms': Math.round(ms), clicks, failed: failed.length, 'bytes left to its next life': whole - committed, hits },
    ]);
  },
);
