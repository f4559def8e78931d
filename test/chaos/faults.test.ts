import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FaultParameters, FAULTS } from './faults.ts';
import { type Campaign, makeCampaign, startLoad } from './load.ts';
import { createRandom } from './random.ts';
import { makePlan } from './run.ts';
import { judgeReceivers } from './receivers.ts';
import { judge } from './verdict.ts';
import { createWorld, sleep, type World } from './world.ts';

// Injects the faults one after the other, under load, into the same system. After each fault, every byte of the logs must be accounted for.

let world: World;
let campaign: Campaign;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-faults-'));
  world = await createWorld(dataDir, createRandom(1));
  campaign = await makeCampaign(world.system);
  await sleep(1500);
}, 120_000);

afterAll(async () => {
  await world?.stop();
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

/** Every receiver has every event once. */
async function expectDeliveries(): Promise<void> {
  // After several failures in a row, the pause before the next attempt is half a minute.
  for (const receiver of await judgeReceivers(world, world.receivers, 180_000))
    expect(receiver, JSON.stringify(receiver)).toMatchObject({ lost: 0, doubled: 0, foreign: 0, otherVerdict: 0 });
}

describe('every hit is counted exactly once after', () => {
  for (const [i, fault] of FAULTS.entries()) {
    test(fault.name, { timeout: 300_000 }, async (context) => {
      const load = startLoad({
        edges: world.system.ports.edges,
        campaign,
        random: createRandom(i + 1),
        perSecond: 80,
        excused: (edge) => world.excusedEdges.has(edge),
      });
      const parameters: FaultParameters = {
        worker: i % 2 ? 'event-worker-1' : 'event-worker-2',
        edge: fault.touches({ edge: 2 } as FaultParameters).includes('log-agent-2') && i % 2 ? 2 : 1,
        backend: 'backend-1',
        shard: i % 2 ? 'a' : 'b',
        ms: 700,
      };
      await sleep(300);
      const remark = await fault.run(world, parameters);
      await sleep(300);
      await load.stop();
      await world.recordCrashes();
      if (remark?.startsWith('no ')) context.skip(remark);
      const { lost, doubled, misplaced, altered, problems, hits } = await judge(world, campaign.issued, 60_000);
      expect({ lost, doubled, misplaced, altered, problems }).toEqual({ lost: 0, doubled: 0, misplaced: 0, altered: 0, problems: [] });
      expect(world.crashed).toEqual([]);
      if (/^(forwarder|receiver|webhook|export|shard)-/.test(fault.name)) await expectDeliveries();
      expect(load.outages.failed).toEqual([]);
      expect(hits).toBeGreaterThan(0);
    });
  }
});

test('after all of them, every receiver has every event once', { timeout: 240_000 }, expectDeliveries);

test('the same seed gives the same plan, and every fault is in it before any comes again', () => {
  const plan = (seed: number) =>
    makePlan(createRandom(seed), undefined, FAULTS.length * 2).map(({ fault, parameters, pauseMs }) => ({
      name: fault.name,
      parameters,
      pauseMs,
    }));
  expect(plan(7)).toEqual(plan(7));
  expect(plan(7)).not.toEqual(plan(8));
  expect(
    new Set(
      plan(7)
        .slice(0, FAULTS.length)
        .map(({ name }) => name),
    ).size,
  ).toBe(FAULTS.length);
});
