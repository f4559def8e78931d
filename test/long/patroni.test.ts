import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { sleep } from '../../core/time.ts';
import { startSystem } from '../../stack/system.ts';
import { countedSystem } from '../support/counted-system.ts';
import { type PatroniMember, startPatroni } from '../support/patroni.ts';
import { countEvents } from '../support/replicas.ts';
import { eventually } from '../support/servers.ts';

// The whole system with Postgres under Patroni. Patroni promotes a standby when the primary is lost. When the lost server comes back, Patroni makes
// it a standby.

test('when the primary is lost, redirects and counts go on with the server that Patroni promotes', async () => {
  const cluster = await startPatroni();
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-patroni-system-'));
  const system = await startSystem({ dataDir, durable: false, extra: { ...cluster.settings, RATE_LIMIT: '10000' } });
  onTestFinished(async () => {
    await system.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
  const counted = countedSystem(system, dataDir);
  let clicks = 0;
  const click = async (link: number, times = 1): Promise<void> => {
    await counted.click(link, times);
    clicks += times;
  };
  const newLink = async (target: string): Promise<number> => {
    const link = await counted.createLink(target);
    await eventually('the link is redirected', () =>
      click(link).then(
        () => true,
        () => false,
      ),
    );
    return link;
  };
  const untilCounted = (member: PatroniMember): Promise<void> =>
    expect.poll(() => countEvents(member).catch(String), { timeout: 60_000 }).toEqual({ events: clicks, different: clicks });

  const link = await newLink('https://www.example.com/1');
  const first = await cluster.leader();
  await click(link, 50);
  await untilCounted(first);

  // Clicks go on until another server is the leader.
  await first.kill();
  let second: PatroniMember | undefined;
  const promoted = cluster.leader().then((member) => {
    second = member;
  });
  while (second === undefined) {
    await click(link);
    await sleep(10);
  }
  await promoted;
  expect(second).not.toBe(first);
  await untilCounted(second);
  await newLink('https://www.example.com/2');
  await untilCounted(second);

  await first.start();
  await eventually('the former primary is a standby', async () => (await first.role().catch(() => '')) === 'replica', 120_000);
  await untilCounted(first);
  await untilCounted(second);
}, 300_000);
