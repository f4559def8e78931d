import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { batchesOf } from './batches.ts';
import { cpuSeconds } from './cpu.ts';
import type { Bench, Figure } from './figure.ts';
import { EVENTS, LINES } from './fixture.ts';
import { createLoad } from './load.ts';
import { type BenchSystem, committedBytes, isJudged, pidsOf, waitUntil, withBenchSystem } from './system.ts';

// Measures what one hit costs in each part: CPU time, and bytes in the log, in the stream, in the WAL and on the disk of Postgres. docs/scale.md computes hosts
// and disks from these figures. CPU time hardly depends on other programs on the machine, so the rates of these runs do not matter.

const SECONDS = 5;
const UNLIMITED = { RATE_LIMIT: '1000000', RATE_BURST: '1000000' };

export const costsBench: Bench = async ({ directory, fixture, progress }) => {
  const figures: Figure[] = [];
  const record = (what: string, unit: string, ours: number): void => {
    figures.push({ what, unit, ours });
    progress(`   ${what}: ${ours.toFixed(1)} ${unit}`);
  };
  const slugs = await fixture.slugs();
  const log = await fixture.log();
  await withBenchSystem(
    { directory: join(directory, 'answers'), members: ['postgres', 'backend-1', 'backend-2', 'nginx-1'], extra: UNLIMITED },
    async ({ system }) => {
      const load = await createLoad({ directory: join(directory, 'answers'), slugs, progress });
      const parts = ['nginx-1', 'backend-1', 'backend-2'];
      const pids = Object.fromEntries(parts.map((name) => [name, system.member(name).running?.pid ?? 0]));
      const port = system.ports.edges[0] as number;
      for (const [what, path, after] of [
        ['click', '/u/', ''],
        ['open', '/r/', '.gif'],
      ] as const) {
        await load.run({ path, after, port, first: 0, seconds: 2 });
        const before = await cpuSeconds(pids);
        const { requests } = await load.run({ path, after, port, first: 300_000, seconds: SECONDS });
        const spent = await difference(before, () => cpuSeconds(pids));
        const micros = (names: readonly string[]): number => (sumOf(spent, names) / requests) * 1e6;
        record(`nginx, CPU for a ${what}`, 'µs', micros(['nginx-1']));
        if (what === 'click') record('backend, CPU for a click', 'µs', micros(['backend-1', 'backend-2']));
      }
    },
  );
  record('bytes of a line of the log', 'bytes', log.size / LINES);
  await withBenchSystem(
    { directory: join(directory, 'counts'), shards: 2, members: ['postgres', 'nats', 'event-worker-1', 'log-agent-1'] },
    async (benchSystem) => {
      const { system } = benchSystem;
      const payloads = await batchesOf(log.path, benchSystem);
      record('bytes of a hit in the stream', 'bytes', payloads.reduce((sum, { length }) => sum + length, 0) / EVENTS);
      const staged = join(directory, 'counts', 'access.log.waiting');
      await copyFile(log.path, staged);
      const walBefore = await walBytes(benchSystem);
      const before = await cpuSeconds(pidsOf(benchSystem));
      await rename(staged, join(system.logDirs[0] as string, 'access.log.bench'));
      await waitUntil('both shards have committed the log', async () => (await committedBytes(benchSystem)) === 2 * log.size, 600);
      await waitUntil('the judge is ready', async () => (await isJudged(benchSystem, 'a')) && (await isJudged(benchSystem, 'b')), 600);
      const spent = await difference(before, () => cpuSeconds(pidsOf(benchSystem)));
      for (const [purpose, seconds] of spent)
        if (seconds / EVENTS > 1e-7) record(`${purpose}, CPU for a hit`, 'µs', (seconds / EVENTS) * 1e6);
      record('bytes of a hit in the WAL', 'bytes', ((await walBytes(benchSystem)) - walBefore) / EVENTS);
      for (const [what, tables] of Object.entries(TABLES))
        record(`bytes of a hit in ${what}`, 'bytes', (await sizeOf(benchSystem, tables)) / EVENTS);
    },
  );
  return figures;
};

const TABLES = { 'shard.event with its indexes': 'event%', 'sets and counts': '(people|hit_count|activity_15m)%' };

async function difference(before: ReadonlyMap<string, number>, read: () => Promise<Map<string, number>>): Promise<Map<string, number>> {
  return new Map(Array.from(await read(), ([name, seconds]) => [name, seconds - (before.get(name) ?? 0)]));
}

const sumOf = (spent: ReadonlyMap<string, number>, names: readonly string[]): number =>
  Array.from(spent, ([name, seconds]) => (names.some((one) => name.startsWith(one)) ? seconds : 0)).reduce(
    (sum, seconds) => sum + seconds,
    0,
  );

/** The position in the WAL, in bytes. */
async function walBytes({ query }: BenchSystem): Promise<number> {
  const [row] = await query<{ bytes: string }>('a', `SELECT (pg_current_wal_lsn() - '0/0')::text AS bytes`);
  return Number(row?.bytes);
}

async function sizeOf({ query }: BenchSystem, tables: string): Promise<number> {
  let bytes = 0;
  for (const shard of ['a', 'b']) {
    const [row] = await query<{ bytes: string }>(
      shard,
      `SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::text AS bytes FROM pg_class WHERE relnamespace = 'shard'::regnamespace AND relkind = 'r' AND relname SIMILAR TO $1`,
      [tables],
    );
    bytes += Number(row?.bytes);
  }
  return bytes;
}
