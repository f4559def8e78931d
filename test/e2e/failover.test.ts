import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startSystem, type System } from '../../stack/system.ts';
import { countedSystem } from '../support/counted-system.ts';
import { countEvents, type ReplicatedServer, startReplicas } from '../support/replicas.ts';
import { eventually } from '../support/servers.ts';

// The catalog and a shard on a primary with an asynchronous standby. A failover loses the last commits, which are then committed again from
// the logs. A former primary that comes back must not take part any more.

interface World {
  system: System;
  primary: ReplicatedServer;
  standby: ReplicatedServer;
  /** Clicks the newest link `count` times. Returns when nginx has answered. */
  click: (count: number) => Promise<void>;
  /** Makes a link and waits until it is redirected. */
  newLink: (target: string) => Promise<void>;
  clicks: () => number;
}

async function startWorld(): Promise<World> {
  const { servers, settings } = await startReplicas();
  const [primary, standby] = servers as [ReplicatedServer, ReplicatedServer];
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-failover-'));
  const system = await startSystem({ dataDir, durable: false, extra: { ...settings, LOG_LEVEL: 'info', RATE_LIMIT: '10000' } });
  onTestFinished(async () => {
    await system.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const counted = countedSystem(system, dataDir);
  let link = 0;
  let clicks = 0;
  const click = async (count: number): Promise<void> => {
    await counted.click(link, count);
    clicks += count;
  };
  const newLink = async (target: string): Promise<void> => {
    link = await counted.createLink(target);
    await eventually('the link is redirected', () =>
      click(1).then(
        () => true,
        () => false,
      ),
    );
  };
  await newLink('https://www.example.com/1');
  return { system, primary, standby, click, newLink, clicks: () => clicks };
}

const untilCounted = (server: ReplicatedServer, clicks: () => number): Promise<void> =>
  eventually('every click is counted', async () => (await countEvents(server).catch(() => undefined))?.events === clicks(), 60_000);

test('a standby that lacks five seconds of commits is filled up, and the former primary is refused', async () => {
  const world = await startWorld();
  const { system, primary, standby, click, clicks } = world;
  await click(20);
  await untilCounted(primary, clicks);
  await untilCounted(standby, clicks);

  await standby.stopReplication();
  const untilMs = performance.now() + 5_000;
  while (performance.now() < untilMs) await click(10);
  await untilCounted(primary, clicks);
  const lost = clicks() - (await countEvents(standby)).events;
  expect(lost).toBeGreaterThan(0);

  await primary.kill();
  await click(5);
  await standby.promote();
  await untilCounted(standby, clicks);
  expect(await countEvents(standby)).toEqual({ events: clicks(), different: clicks() });
  await world.newLink('https://www.example.com/2');
  await click(5);
  await untilCounted(standby, clicks);

  // A worker that starts now finds the former primary first.
  await primary.start();
  const before = await countEvents(primary);
  const worker = system.member('event-worker-1');
  await worker.running?.stop();
  await worker.start();
  await click(20);
  await untilCounted(standby, clicks);
  expect(await countEvents(standby)).toEqual({ events: clicks(), different: clicks() });
  expect(await countEvents(primary)).toEqual(before);
}, 180_000);

test('a primary that still runs after a failover is left by the workers', async () => {
  const world = await startWorld();
  const { primary, standby, click, clicks } = world;
  await click(20);
  await untilCounted(primary, clicks);
  await standby.stopReplication();
  await standby.promote();
  await click(20);
  await untilCounted(standby, clicks);
  expect(await countEvents(standby)).toEqual({ events: clicks(), different: clicks() });
  const before = await countEvents(primary);
  await click(20);
  await untilCounted(standby, clicks);
  expect(await countEvents(primary)).toEqual(before);
}, 120_000);
