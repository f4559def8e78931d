import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { cpuSeconds } from './cpu.ts';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { EVENTS, LINES } from './fixture.ts';
import { recordPeak } from './memory.ts';
import { hasRsyslog, timeRsyslog } from './rsyslog.ts';
import { committedBytes, isJudged, pidsOf, withBenchSystem, type BenchSystem, waitUntil } from './system.ts';

// Measures all parts that process the log. A log of one million lines is moved into the directory of the agent. The first measured time
// ends when both shards have committed the whole log. The second one ends when the rollups also contain all events. If rsyslog is
// installed, it then inserts the same log as a baseline.

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
      const cpuBefore = await cpuSeconds(pidsOf(benchSystem));
      const startedMs = performance.now();
      await rename(stagedLog, join(logDir, 'access.log.bench'));
      await waitUntil('both shards have committed the log', async () => (await committedBytes(benchSystem)) === SHARDS.length * log.size);
      const seconds = (performance.now() - startedMs) / 1000;
      await waitUntil('the rollups have the log', async () =>
        (await Promise.all(SHARDS.map((shard) => isJudged(benchSystem, shard)))).every(Boolean),
      );
      const judgedSeconds = (performance.now() - startedMs) / 1000;
      const cpuAfter = await cpuSeconds(pidsOf(benchSystem));
      progress(`   ${LINES} lines in ${seconds.toFixed(1)} s, in the rollups after ${judgedSeconds.toFixed(1)} s`);
      for (const [part, name] of [
        ['log agent', 'log-agent-1'],
        ['event worker', 'event-worker-1'],
      ] as const) {
        const { running } = system.member(name);
        if (running) await recordPeak(part, running.pid);
      }
      await expectAllRows(benchSystem);
      const rsyslogSeconds = hasRsyslog() ? await timeRsyslog(benchSystem, log.path, join(directory, 'rsyslog')) : undefined;
      if (rsyslogSeconds === undefined) progress('   rsyslog is not compared: install rsyslog and rsyslog-pgsql');
      const rsyslog = rsyslogSeconds && { what: 'rsyslog, raw lines into one table', value: LINES / rsyslogSeconds };
      return [
        { what: 'whole pipe: log to committed rows, 2 shards', unit: 'rows/s', ours: EVENTS / seconds, target: { atLeast: 60_000 } },
        {
          what: 'whole pipe: log to rows and their rollups, 2 shards',
          unit: 'rows/s',
          ours: EVENTS / judgedSeconds,
          ...(rsyslog && { bare: rsyslog, target: { ratio: 3.5 } }),
        },
        ...cpuFigures(cpuBefore, cpuAfter),
      ];
    },
  );
};

/** Returns the CPU time per event, for all processes together and for each purpose. */
function cpuFigures(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Figure[] {
  const perEvent = Array.from(after, ([purpose, seconds]) => [purpose, ((seconds - (before.get(purpose) ?? 0)) / EVENTS) * 1e6] as const);
  const total = perEvent.reduce((sum, [, micros]) => sum + micros, 0);
  const shown = perEvent.filter(([, micros]) => micros >= 0.05).toSorted(([, a], [, b]) => b - a);
  return [['all processes', total] as const, ...shown].map(([purpose, micros]) => ({
    what: `CPU for an event: ${purpose}`,
    unit: 'µs',
    ours: micros,
  }));
}

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
