import type { Config } from '../../core/config.ts';
import { createPool, explainErrors } from '../../core/postgres.ts';
import { shardUrl } from '../../core/shards.ts';
import { type Finding, findProblems, findUnfinished, type Unfinished } from './find-problems.ts';
import { type LogAudit, readBytes, readLogDirectories } from './read-logs.ts';
import { readShard, type ShardAudit } from './read-shard.ts';

// Checks the shards for violations of the guarantees: offsets that are stored twice, rows outside the ledger, and holes. If the logs are
// given, it also compares the counts of the shards with the counts of the logs.

export const AUDIT_SETTINGS = ['ANALYST_URL', 'SHARDS'] as const;

/** The number of bytes of an unreadable line that are shown. The line may have gigabytes. */
const SHOWN_BYTES = 80;

/** A dead letter. `line` is the beginning of the unreadable line; null if its log was not given. */
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
  unfinished: Unfinished[];
  shards: ShardAudit[];
}

/** Audits all shards. `logs` are directories; if they are given, the shards are compared with their logs line by line. */
export async function audit(config: Config<(typeof AUDIT_SETTINGS)[number]>, logs?: readonly string[]): Promise<Audit> {
  // The logs are read before the shards. A shard may then have newer lines than the log that was read, and this is not reported. In the
  // other order, new lines of a log would be reported as a hole.
  const directory = logs === undefined ? undefined : await readLogDirectories(logs, config.SHARDS);
  try {
    const shards: ShardAudit[] = [];
    for (const shard of config.SHARDS.list) {
      const pool = createPool(shardUrl(shard, config.ANALYST_URL), { max: 2, name: 'audit' });
      shards.push(await explainErrors(() => readShard(pool, shard)).finally(() => pool.end()));
    }
    const findings = findProblems(shards, directory?.logs, config.SHARDS.first.name);
    return { findings, dead: await deadLines(shards, directory?.logs), unfinished: findUnfinished(shards, directory?.logs), shards };
  } finally {
    await directory?.close();
  }
}

async function deadLines(shards: readonly ShardAudit[], logs: ReadonlyMap<string, LogAudit> | undefined): Promise<DeadLine[]> {
  const lines: DeadLine[] = [];
  for (const { shard, dead } of shards) {
    for (const { gen, off, reason, length } of dead) {
      const bytes = logs && length > 0 ? await readBytes(logs, gen, off, Math.min(length, SHOWN_BYTES)) : undefined;
      lines.push({ shard, gen, off, reason, line: bytes ? JSON.stringify(bytes.toString('latin1', 0, SHOWN_BYTES)).slice(1, -1) : null });
    }
  }
  return lines;
}
