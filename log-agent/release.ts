import { unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Logger } from '../core/log.ts';
import { covers } from '../core/ranges.ts';
import type { Ledgers } from './confirm.ts';
import type { Generation } from './follow.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Shipper } from './ship.ts';

/**
 * Deletes the files of generations that are final, finished longer than `keepLogsMs` ago, and committed from end to end on every
 * shard, which is asked once more just before. Nothing else deletes logs.
 */
export async function deleteReleased(deps: {
  generations: readonly Generation[];
  shards: readonly string[];
  shipper: Shipper;
  ledgers: Ledgers;
  keepLogsMs: number;
  log: Logger;
  metrics: AgentMetrics;
  now?: () => number;
}): Promise<void> {
  const { generations, shards, shipper, ledgers, keepLogsMs, log, metrics, now = Date.now } = deps;
  for (const generation of generations) {
    const { id, size, final, mtimeMs, paths } = generation;
    if (!final || now() - mtimeMs < keepLogsMs || !shards.every((shard) => shipper.coverage(id, shard).settled(size))) continue;
    if (!(await committedEverywhere(generation, shards, ledgers))) continue;
    for (const path of paths) {
      await unlink(path);
      metrics.deletedLogs.inc();
      log.info({ gen: id, file: basename(path), size }, 'deleted a log that every shard has committed');
    }
  }
}

async function committedEverywhere({ id, size }: Generation, shards: readonly string[], ledgers: Ledgers): Promise<boolean> {
  for (const shard of shards) {
    const answer = (await ledgers.ask(shard, [id]))?.generations[id];
    if (!answer || answer.size !== size || !covers(answer.committed, 0, size)) return false;
  }
  return true;
}
