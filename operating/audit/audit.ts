import type { Config } from '../../core/config.ts';
import { createPool, explainErrors } from '../../core/postgres.ts';
import { shardUrl } from '../../core/shards.ts';
import { type Finding, findProblems } from './find-problems.ts';
import { bytesAt, type LogAudit, readLogDirectory } from './read-logs.ts';
import { readShard, type ShardAudit } from './read-shard.ts';

// Looks for everything that must not be: offsets that are stored twice, rows outside the ledger, holes that no log can fill, and, where
// the logs are at hand, counts that differ from what the logs say.

export const AUDIT_SETTINGS = ['ANALYST_URL', 'SHARDS'] as const;

/** A dead letter; `line` is the start of the unreadable line, null where its log is not at hand. */
export interface DeadLine {
  shard: string;
  gen: string;
  off: number;
  reason: string;
  line: string | null;
}

export interface Audit {
  findings: Finding[];
  dead: DeadLine[];
  shards: ShardAudit[];
}

/** Audits all shards; with `logs`, a directory, compares them with its logs line by line. */
export async function audit(config: Config<(typeof AUDIT_SETTINGS)[number]>, logs?: string): Promise<Audit> {
  // The logs are read first: what is committed afterwards can only be more.
  const directory = logs === undefined ? undefined : await readLogDirectory(logs, config.SHARDS);
  try {
    const shards: ShardAudit[] = [];
    for (const shard of config.SHARDS.list) {
      const pool = createPool(shardUrl(shard, config.ANALYST_URL), { max: 2, name: 'audit' });
      shards.push(await explainErrors(() => readShard(pool, shard)).finally(() => pool.end()));
    }
    const findings = findProblems(shards, directory?.logs, config.SHARDS.first.name);
    return { findings, dead: await deadLines(shards, directory?.logs), shards };
  } finally {
    await directory?.close();
  }
}

async function deadLines(shards: readonly ShardAudit[], logs: ReadonlyMap<string, LogAudit> | undefined): Promise<DeadLine[]> {
  const letters: DeadLine[] = [];
  for (const { shard, dead } of shards) {
    for (const { gen, off, reason, length } of dead) {
      const bytes = logs && length > 0 ? await bytesAt(logs, gen, off, length) : undefined;
      letters.push({ shard, gen, off, reason, line: bytes ? JSON.stringify(bytes.toString('latin1', 0, 80)).slice(1, -1) : null });
    }
  }
  return letters;
}
