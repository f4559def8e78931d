import { copyFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bench, expectEqual, type Figure } from './figure.ts';
import { EVENTS, LINES } from './fixture.ts';
import { notePeak } from './memory.ts';
import { committedBytes, onStand, type Stand, until } from './stand.ts';

// Everything behind nginx: a log of a million lines appears in the agent's directory, the clock stops when both shards have all of it
// committed.

const SHARDS = ['a', 'b'];

export const pipeBench: Bench = async ({ directory, fixture, say }) => {
  const log = await fixture.log();
  return onStand(
    { directory, shards: 2, members: ['postgres', 'nats', 'event-worker-1', 'log-agent-1'] },
    async (stand): Promise<Figure[]> => {
      const { system } = stand;
      const logDir = system.logDirs[0] as string;
      const waiting = join(directory, 'access.log.waiting');
      await copyFile(log.path, waiting);
      const startedMs = performance.now();
      await rename(waiting, join(logDir, 'access.log.bench'));
      await until('both shards have the log', async () => (await committedBytes(stand)) === SHARDS.length * log.size);
      const seconds = (performance.now() - startedMs) / 1000;
      say(`   ${LINES} lines in ${seconds.toFixed(1)} s`);
      for (const [part, name] of [
        ['log agent', 'log-agent-1'],
        ['event worker', 'event-worker-1'],
      ] as const) {
        const { running } = system.member(name);
        if (running) await notePeak(part, running.pid);
      }
      await expectAllRows(stand);
      return [{ what: 'whole pipe: log to committed rows, 2 shards', unit: 'rows/s', ours: EVENTS / seconds, target: { atLeast: 60_000 } }];
    },
  );
};

async function expectAllRows(stand: Stand): Promise<void> {
  const sums = { rows: 0, different: 0, skipped: 0, dead: 0 };
  for (const shard of SHARDS) {
    const [row] = await stand.query<{ rows: number; different: number; skipped: number; dead: number }>(
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
