import { join } from 'node:path';
import { decodeBatch } from '../core/batch.ts';
import type { Batch } from '../core/event.ts';
import { judgeAll } from '../test/support/merge.ts';
import { batchesOf } from './batches.ts';
import { GROUP_BATCHES, type ShardCommitter, withCommitters } from './committers.ts';
import { cpuSeconds } from './cpu.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { EVENTS } from './fixture.ts';
import { type BenchSystem, withBenchSystem } from './system.ts';

// Measures whether an event costs the same with more rows, more shards and more campaigns. This process commits and judges the events, as a
// worker does. The cost is the CPU time of this process and of Postgres, divided by the number of events. The baseline is the first million
// events, on one shard and in one campaign.

const MILLIONS = 5;
const SHARDS = 8;
/** With a thousand campaigns only a part of the events is committed, because each of them costs much more. */
const CAMPAIGNS = [
  { campaigns: 30, part: 1 },
  { campaigns: 1_000, part: 0.1 },
];
const DAY_MS = 86_400_000;
/** The judge runs after as many groups as a busy worker commits between two steps. */
const GROUPS_BEFORE_JUDGE = 4;

export const flatBench: Bench = async ({ directory, fixture, progress }) => {
  const log = await fixture.log();
  const costs: { what: string; microseconds: number }[] = [];
  const record = (what: string, microseconds: number): void => {
    costs.push({ what, microseconds });
    progress(`   ${what}: ${microseconds.toFixed(1)} µs`);
  };
  await withShards(join(directory, 'rows'), 1, async (benchSystem, shards) => {
    const payloads = await batchesOf(log.path, benchSystem);
    for (let million = 1; million <= MILLIONS; million++)
      record(`million ${million} of the rows`, await costOf(benchSystem, shards, payloads, million));
    const [row] = await benchSystem.query<{ n: number }>('a', 'SELECT sum(hits)::int AS n FROM shard_analytics.campaign_totals');
    expectEqual('hits', row?.n ?? 0, MILLIONS * EVENTS);
  });
  await withShards(join(directory, 'shards'), SHARDS, async (benchSystem, shards) =>
    record(`${SHARDS} shards`, await costOf(benchSystem, shards, await batchesOf(log.path, benchSystem), 1)),
  );
  for (const { campaigns, part } of CAMPAIGNS) {
    await withShards(join(directory, `campaigns ${campaigns}`), 1, async (benchSystem, shards) => {
      await benchSystem.query(
        'catalog',
        `INSERT INTO catalog.campaign (name) SELECT 'campaign ' || n FROM generate_series(2, $1::int) AS n`,
        [campaigns],
      );
      await benchSystem.query('catalog', 'UPDATE catalog.link SET campaign_id = 1 + id % $1::bigint', [campaigns]);
      const payloads = await batchesOf(log.path, benchSystem);
      record(`${campaigns} campaigns`, await costOf(benchSystem, shards, payloads.slice(0, payloads.length * part), 1));
    });
  }
  const [first, ...others] = costs as [(typeof costs)[number], ...typeof costs];
  return others.map(
    ({ what, microseconds }): Figure => ({
      what: `CPU for an event: ${what}`,
      unit: 'µs',
      ours: microseconds,
      bare: { what: 'the first million, one shard, one campaign', value: first.microseconds },
    }),
  );
};

function withShards(
  directory: string,
  count: number,
  work: (benchSystem: BenchSystem, shards: readonly ShardCommitter[]) => Promise<void>,
): Promise<void> {
  return withBenchSystem({ directory, shards: count, members: ['postgres'] }, (benchSystem) =>
    withCommitters(benchSystem, (shards) => work(benchSystem, shards)),
  );
}

/** Commits and judges the events once more, in turn on all shards, as those of another log and another day. Returns the CPU time in microseconds per event. */
async function costOf(
  { system }: BenchSystem,
  shards: readonly ShardCommitter[],
  payloads: readonly Buffer[],
  generation: number,
): Promise<number> {
  const postgres = system.member('postgres').running?.pid ?? 0;
  const postgresSeconds = async (): Promise<number> =>
    [...(await cpuSeconds({ postgres })).values()].reduce((sum, seconds) => sum + seconds, 0);
  const gen = String(generation).padStart(32, '0');
  const [startCpu, startPostgres] = [process.cpuUsage(), await postgresSeconds()];
  let groups = 0;
  let events = 0;
  for (let i = 0; i < payloads.length; i += GROUP_BATCHES) {
    const { name, committer } = shards[groups++ % shards.length] as ShardCommitter;
    const batches = payloads.slice(i, i + GROUP_BATCHES).map((payload): Batch => {
      const batch = decodeBatch(payload);
      events += batch.events.t.length;
      return { ...batch, gen, shard: name, events: { ...batch.events, t: batch.events.t.map((t) => t - generation * DAY_MS) } };
    });
    await committer.commit(batches);
    if (groups % (GROUPS_BEFORE_JUDGE * shards.length) === 0) for (const { pool } of shards) await judgeAll(pool);
  }
  for (const { pool } of shards) await judgeAll(pool);
  const { user, system: kernel } = process.cpuUsage(startCpu);
  return (user + kernel + ((await postgresSeconds()) - startPostgres) * 1e6) / events;
}
