import { join } from 'node:path';
import { decodeBatch } from '../core/batch.ts';
import type { Batch } from '../core/event.ts';
import { createPool, type Pool } from '../core/postgres.ts';
import { parseShards, shardUrl } from '../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { createCatalog } from '../event-worker/catalog.ts';
import { type Committer, createCommitter } from '../event-worker/commit.ts';
import { judgeOnce } from '../event-worker/judge.ts';
import { createOutsideValues } from '../event-worker/outside-values.ts';
import { cpuSeconds } from './cpu.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { EVENTS } from './fixture.ts';
import { batchesOf } from './batches.ts';
import { type BenchSystem, withBenchSystem } from './system.ts';

// Measures whether an event costs the same with more rows, more shards and more campaigns. This process commits and judges the events like a
// worker. The cost is the CPU time of this process and of Postgres per event. The cost with one million rows, one shard and one
// campaign is the baseline of the others.

const MILLIONS = 5;
const SHARDS = 8;
const CAMPAIGNS = [30, 1_000];
const GROUP_BATCHES = 100;
const DAY_MS = 86_400_000;
/** The judge runs after as many groups as a busy worker commits between two steps. */
const GROUPS_BEFORE_JUDGE = 4;

interface Shard {
  name: string;
  pool: Pool;
  committer: Committer;
}

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
  for (const campaigns of CAMPAIGNS) {
    await withShards(join(directory, `campaigns ${campaigns}`), 1, async (benchSystem, shards) => {
      await benchSystem.query(
        'catalog',
        `INSERT INTO catalog.campaign (name) SELECT 'campaign ' || n FROM generate_series(2, $1::int) AS n`,
        [campaigns],
      );
      await benchSystem.query('catalog', 'UPDATE catalog.link SET campaign_id = 1 + id % $1::bigint', [campaigns]);
      record(`${campaigns} campaigns`, await costOf(benchSystem, shards, await batchesOf(log.path, benchSystem), 1));
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

async function withShards(
  directory: string,
  count: number,
  work: (benchSystem: BenchSystem, shards: readonly Shard[]) => Promise<void>,
): Promise<void> {
  await withBenchSystem({ directory, shards: count, members: ['postgres'] }, async (benchSystem) => {
    const { env } = benchSystem.system;
    const list = parseShards(env['SHARDS'] ?? '');
    const workerUrl = env['WORKER_URL'] ?? '';
    const keys = parseSlugKeys(env['SLUG_KEYS'] ?? '');
    const catalogPool = createPool(workerUrl, { max: 1, name: 'bench' });
    const shards = list.list.map((shard): Shard => {
      const pool = createPool(shardUrl(shard, workerUrl), { max: 2, name: 'bench' });
      const outside = createOutsideValues(pool, { referrer: 5000, 'user-agent': 5000 });
      const slugs = createSlugCodec(keys);
      const catalog = createCatalog(catalogPool, keys);
      return {
        name: shard.name,
        pool,
        committer: createCommitter({ pool, shard, shardsFingerprint: list.fingerprint, slugs, catalog, outside }),
      };
    });
    try {
      await work(benchSystem, shards);
    } finally {
      for (const { pool } of shards) await pool.end();
      await catalogPool.end();
    }
  });
}

/** Commits and judges all events once more, in turn on all shards, as those of another log and another day. Returns the CPU time in microseconds per event. */
async function costOf({ system }: BenchSystem, shards: readonly Shard[], payloads: readonly Buffer[], generation: number): Promise<number> {
  const postgres = system.member('postgres').running?.pid ?? 0;
  const postgresSeconds = async (): Promise<number> =>
    [...(await cpuSeconds({ postgres })).values()].reduce((sum, seconds) => sum + seconds, 0);
  const gen = String(generation).padStart(32, '0');
  const [startCpu, startPostgres] = [process.cpuUsage(), await postgresSeconds()];
  let groups = 0;
  for (let i = 0; i < payloads.length; i += GROUP_BATCHES) {
    const { name, committer } = shards[groups++ % shards.length] as Shard;
    const batches = payloads.slice(i, i + GROUP_BATCHES).map((payload): Batch => {
      const batch = decodeBatch(payload);
      return { ...batch, gen, shard: name, events: { ...batch.events, t: batch.events.t.map((t) => t - generation * DAY_MS) } };
    });
    await committer.commit(batches);
    if (groups % (GROUPS_BEFORE_JUDGE * shards.length) === 0) await judgeAll(shards);
  }
  await judgeAll(shards);
  const { user, system: kernel } = process.cpuUsage(startCpu);
  return (user + kernel + ((await postgresSeconds()) - startPostgres) * 1e6) / EVENTS;
}

async function judgeAll(shards: readonly Shard[]): Promise<void> {
  for (const { pool } of shards) while ((await judgeOnce(pool)) !== 0);
}
