import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { EVENTS, LINES } from './fixture.ts';
import { recordPeak } from './memory.ts';
import { committedBytes, withBenchSystem, type BenchSystem, waitUntil } from './system.ts';

// Measures everything behind nginx. A log of one million lines is moved into the agent's directory; the clock stops when both shards have
// committed all of it.

const SHARDS = ['a', 'b'];

export const pipeBench: Bench = async ({ directory, fixture, progress }) => {
  const log = await fixture.log();
  return withBenchSystem(
    { directory, shards: 2, members: ['postgres', 'nats', 'event-worker-1', 'log-agent-1'] },
    async (benchSystem): Promise<Figure[]> => {
      const { system } = benchSystem;
      const logDir = system.logDirs[0] as string;
      const stagedLog = join(directory, 'access.log.waiting');
      await copyFile(log.path, stagedLog);
      const startedMs = performance.now();
      await rename(stagedLog, join(logDir, 'access.log.bench'));
      await waitUntil('both shards have committed the log', async () => (await committedBytes(benchSystem)) === SHARDS.length * log.size);
      const seconds = (performance.now() - startedMs) / 1000;
      progress(`   ${LINES} lines in ${seconds.toFixed(1)} s`);
      for (const [part, name] of [
        ['log agent', 'log-agent-1'],
        ['event worker', 'event-worker-1'],
      ] as const) {
        const { running } = system.member(name);
        if (running) await recordPeak(part, running.pid);
      }
      await expectAllRows(benchSystem);
      return [{ what: 'whole pipe: log to committed rows, 2 shards', unit: 'rows/s', ours: EVENTS / seconds, target: { atLeast: 60_000 } }];
    },
  );
};

async function expectAllRows(benchSystem: BenchSystem): Promise<void> {
  const sums = { rows: 0, different: 0, skipped: 0, dead: 0 };
  for (const shard of SHARDS) {
    const [row] = await benchSystem.query<{ rows: number; different: number; skipped: number; dead: number }>(
      shard,
      `SELECT (SELECT count(*)::int FROM shard.event) AS rows, (SELECT count(*)::int FROM (SELECT DISTINCT gen, off FROM shard.event) d) AS different,
              (SELECT coalesce(sum(lines), 0)::int FROM shard.skipped) AS skipped, (SELECT count(*)::int FROM shard.dead_letter) AS dead`,
    );
    if (row) for (const key of ['rows', 'different', 'skipped', 'dead'] as const) sums[key] += row[key];
  }
  expectEqual('rows', sums.rows, EVENTS);
  expectEqual('different rows', sums.different, EVENTS);
  expectEqual('skipped lines', sums.skipped, LINES - EVENTS);
  expectEqual('dead letters', sums.dead, 0);
}
