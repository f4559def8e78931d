import { unlink } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Logger } from '../core/log.ts';
import { covers } from '../core/ranges.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { Generation } from './follow.ts';
import { scanCompressed } from './compressed-file.ts';
import { kindOf } from './file-kind.ts';
import { openPlainFile, PlainFile, readHead } from './plain-file.ts';
import type { AgentMetrics } from './metrics.ts';
import type { Shipper } from './ship.ts';

/**
 * Deletes the log files of generations that are final, were last changed at least `keepLogsMs` ago, and are completely committed on every
 * shard. Just before the deletion, the ledger of every shard is asked again whether it has the whole log. No other code deletes logs.
 */
export async function deleteCommitted(deps: {
  generations: readonly Generation[];
  shards: readonly string[];
  shipper: Shipper;
  ledgers: LedgerClient;
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
      try {
        if (!(await stillHolds(path, generation))) continue;
        await unlink(path);
        metrics.deletedLogs.inc();
        log.info({ gen: id, file: basename(path), size }, 'deleted a log that every shard has committed');
      } catch (error) {
        log.warn(
          { err: error, gen: id, file: basename(path) },
          'cannot delete a log that every shard has committed; check the permissions of LOG_DIR',
        );
      }
    }
  }
}

/** Whether the path still has the content of this generation: numbered logs may have been renamed since the last scan. */
async function stillHolds(path: string, { id, size }: Generation): Promise<boolean> {
  const head = await readHead(path);
  const kind = head && kindOf(head);
  if (kind === 'gzip' || kind === 'zstd') {
    const result = await scanCompressed(path, kind);
    return 'log' in result && result.log.identity.gen === id;
  }
  if (kind !== 'plain') return false;
  const opened = await openPlainFile(path);
  if (!opened) return false;
  const file = new PlainFile(opened.file, path);
  try {
    await file.refresh();
    await file.identify(Number.POSITIVE_INFINITY);
    file.markFinal();
    return file.identity?.gen === id && file.size <= size;
  } finally {
    await file.close();
  }
}

async function committedEverywhere({ id, size }: Generation, shards: readonly string[], ledgers: LedgerClient): Promise<boolean> {
  for (const shard of shards) {
    const answer = (await ledgers.ask(shard, [id]))?.generations[id];
    if (!answer || answer.size !== size || !covers(answer.committed, 0, size)) return false;
  }
  return true;
}
