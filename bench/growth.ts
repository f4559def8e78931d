import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { decodeBatch } from '../core/batch.ts';
import type { Batch } from '../core/event.ts';
import { createPool, type Pool } from '../core/postgres.ts';
import { parseShards, shardUrl } from '../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { createDesk } from '../desk/app.ts';
import { readLedger } from '../event-worker/ledger.ts';
import { readShard as readShardForAudit } from '../operating/audit/read-shard.ts';
import { readCompleteGenerations, readShard as readShardForStatus } from '../operating/status/shards.ts';
import { judgeAll } from '../test/support/merge.ts';
import { batchesOf } from './batches.ts';
import { type ShardCommitter, withCommitters } from './committers.ts';
import { type Bench, expectEqual, type Figure, median } from './figure.ts';
import { SLUG_KEYS, slugIds, writeLog } from './fixture.ts';
import { fillCounts, fillLedger } from './growth-fill.ts';
import { type BenchSystem, shardNames, withBenchSystem } from './system.ts';

// Measures what grows with the age of a system. The same statements run in an empty database, and in one with the ledger, counts and events of five
// years (growth-model.ts computes the number of generations). The baseline of each figure is the empty database.

/** The generations of five years with 50 million and with 1,000 million mails a day; see docs/scale.md. */
const SIZES = [60_000, 1_000_000];
const ROUNDS = 3;
const HITS = 10_000;
const DAY_MS = 86_400_000;

interface Measured {
  what: string;
  ms: number;
}

export const growthBench: Bench = ({ directory, progress }) =>
  withBenchSystem({ directory, shards: 2, members: ['postgres'] }, (benchSystem) =>
    withCommitters(benchSystem, async (committers) => {
      const logPath = join(directory, 'growth.log');
      const ids = slugIds(HITS);
      const codec = createSlugCodec(parseSlugKeys(SLUG_KEYS));
      await writeLog(
        logPath,
        ids.map((id) => codec.encode(id)),
        ids,
        1,
      );
      const payloads = await batchesOf(logPath, benchSystem);
      const measureAll = (title: string): Promise<Measured[]> => measure({ benchSystem, committers, payloads, title, progress });

      const empty = new Map((await measureAll('empty')).map(({ what, ms }) => [what, ms]));
      progress('   filling counts and events of five years');
      await fillCounts(benchSystem, shardNames(benchSystem.system));
      const figures: Figure[] = [];
      for (const generations of SIZES) {
        progress(`   filling ${generations} generations`);
        await fillLedger(benchSystem, shardNames(benchSystem.system), generations);
        for (const { what, ms } of await measureAll(`${generations} generations`))
          figures.push({
            what: `${what}, ${generations.toLocaleString('en-US')} generations`,
            unit: 'ms',
            ours: ms,
            bare: { what: 'the empty database', value: empty.get(what) as number },
          });
        for (const size of await sizesOf(benchSystem)) figures.push(size);
      }
      return figures;
    }),
  );

interface Context {
  benchSystem: BenchSystem;
  committers: readonly ShardCommitter[];
  payloads: readonly Buffer[];
  title: string;
  progress: (text: string) => void;
}

let commits = 0;

async function measure({ benchSystem, committers, payloads, title, progress }: Context): Promise<Measured[]> {
  const { env } = benchSystem.system;
  const shards = parseShards(env['SHARDS'] ?? '');
  const { pool, committer, name } = committers[0] as ShardCommitter;
  const pools = {
    analyst: createPool(env['ANALYST_URL'] ?? '', { max: 1, name: 'bench' }),
    analystOfShard: createPool(shardUrl(shards.first, env['ANALYST_URL'] ?? ''), { max: 1, name: 'bench' }),
    forwarder: createPool(shardUrl(shards.first, env['FORWARDER_URL'] ?? ''), { max: 1, name: 'bench' }),
  };
  const { rows: known } = await benchSystem
    .query<{ gen: string }>(name, 'SELECT gen FROM shard.ledger ORDER BY first_at DESC LIMIT 200')
    .then((rows) => ({ rows }));
  const gens = known.length > 0 ? known.map(({ gen }) => gen.replaceAll('-', '')) : Array.from({ length: 200 }, (_, i) => hex(i));
  const ask = (count: number) => () => readLedger(pool, shards.first, shards.fingerprint, gens.slice(0, count), 0);
  const batches = (): Batch[] => {
    commits++;
    return payloads.map((payload) => {
      const batch = decodeBatch(payload);
      return {
        ...batch,
        gen: hex(1e9 + commits),
        shard: name,
        events: { ...batch.events, t: batch.events.t.map((t) => t - commits * DAY_MS) },
      };
    });
  };
  const desk = createDesk({
    pool: pools.analyst,
    host: '127.0.0.1',
    timeoutSeconds: 600,
    zone: 'UTC',
    refreshSeconds: 10,
    onError: (error) => progress(String(error)),
  });
  const measured: Measured[] = [];
  const time = async (what: string, work: () => Promise<unknown>, rounds = ROUNDS): Promise<void> => {
    const durationsMs: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const startedMs = performance.now();
      await work();
      // The first round reads pages from disk and compiles code.
      if (round > 0) durationsMs.push(performance.now() - startedMs);
    }
    measured.push({ what, ms: median(durationsMs) });
    progress(`   ${title}: ${what}: ${median(durationsMs).toFixed(1)} ms`);
  };
  try {
    await time('question of an agent for 8 generations', ask(8));
    await time('question of an agent for 200 generations', ask(200));
    await timeCommits(measured, { commit: () => committer.commit(batches()), judge: () => judgeAll(pool) });
    for (const { what, ms } of measured.slice(-2)) progress(`   ${title}: ${what}: ${ms.toFixed(1)} ms`);
    await time('forwarder: what changed lately (twice a second)', feedState(pools.forwarder, '5 minutes'));
    await time('forwarder: the whole ledger (each 30 s)', feedState(pools.forwarder, '100 years'));
    await time('analytics.completeness', () => pools.analyst.query('SELECT count(*), sum(missing_bytes) FROM analytics.completeness'));
    await time('analytics.reach (each page and report)', () => pools.analyst.query('SELECT * FROM analytics.reach'));
    await time('clickledger status: one shard', () => readShardForStatus(pools.analystOfShard));
    await time('clickledger status: one shard, if the shards differ', () => readCompleteGenerations(pools.analystOfShard));
    // An audit reads all events, so it takes long in any case.
    await time('clickledger audit: one shard', () => readShardForAudit(pools.analystOfShard, shards.first), 1);
    await time('desk: overview', async () => expectEqual('/', (await desk.inject({ url: '/' })).statusCode, 200));
    return measured;
  } finally {
    await desk.close();
    for (const each of Object.values(pools)) await each.end();
  }
}

/** Measures commits and steps of the judge in turn, because each commit gives the judge new hits. */
async function timeCommits(
  measured: Measured[],
  { commit, judge }: { commit: () => Promise<unknown>; judge: () => Promise<unknown> },
): Promise<void> {
  const durationsMs: { commit: number[]; judge: number[] } = { commit: [], judge: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    const startedMs = performance.now();
    await commit();
    const committedMs = performance.now();
    await judge();
    if (round === 0) continue;
    durationsMs.commit.push(committedMs - startedMs);
    durationsMs.judge.push(performance.now() - committedMs);
  }
  measured.push({ what: `commit of ${HITS.toLocaleString('en-US')} hits`, ms: median(durationsMs.commit) });
  measured.push({ what: `judge of ${HITS.toLocaleString('en-US')} hits`, ms: median(durationsMs.judge) });
}

const feedState = (pool: Pool, age: string) => () => pool.query('SELECT * FROM shard.feed_state(now() - $1::interval)', [age]);

async function sizesOf({ query }: BenchSystem): Promise<Figure[]> {
  const rows = await query<{ name: string; rows: string; bytes: string }>(
    'a',
    `SELECT c.relname AS name, greatest(c.reltuples, 1)::bigint::text AS rows, pg_total_relation_size(c.oid)::text AS bytes
     FROM pg_class c WHERE c.relnamespace = 'shard'::regnamespace AND c.relname IN ('ledger', 'skipped', 'people', 'hit_count', 'activity_15m') ORDER BY 1`,
  );
  return rows.map(({ name, rows: count, bytes }) => ({
    what: `bytes of a row of shard.${name} (${count} rows)`,
    unit: 'bytes',
    ours: Number(bytes) / Number(count),
  }));
}

const hex = (n: number): string => n.toString(16).padStart(32, '0');
