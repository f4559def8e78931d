import type { ShardMap } from '../../core/shards.ts';
import { Follower, type Generation } from '../../log-agent/follow.ts';
import { splitLines } from '../../log-agent/lines.ts';
import { parseLine } from '../../log-agent/parse.ts';

/** The counts of one log. */
export interface LogAudit {
  generation: Generation;
  /** The offset of the end of the last whole line. */
  end: number;
  /** The number of hits of each shard. It includes hits with forged slugs, because a forged slug can be recognised only with a key. */
  hits: Map<string, number>;
  /** The number of skipped lines by reason. */
  skipped: Map<string, number>;
  /** The number of lines that cannot be read. */
  dead: number;
}

/**
 * Reads all logs of some directories and counts their lines. The keys of `logs` are ids of generations. If several directories have the
 * same generation (a log and its copy), the longer one is used. The logs stay open for readBytes until `close` is called.
 */
export async function readLogDirectories(
  directories: readonly string[],
  shards: ShardMap,
): Promise<{ logs: Map<string, LogAudit>; close: () => Promise<void> }> {
  const logs = new Map<string, LogAudit>();
  const followers: Follower[] = [];
  for (const directory of directories) {
    const follower = new Follower({ directory, quietMs: 0 });
    followers.push(follower);
    await follower.scan();
    // If the first lines of a log are damaged, several calls are needed until its id is known.
    while (await follower.identify());
    for (const generation of follower.generations) {
      const log = await readLog(generation, shards);
      if (log.end > (logs.get(generation.id)?.end ?? -1)) logs.set(generation.id, log);
    }
  }
  return {
    logs,
    async close() {
      for (const follower of followers) await follower.close();
    },
  };
}

async function readLog(generation: Generation, shards: ShardMap): Promise<LogAudit> {
  const audit: LogAudit = { generation, end: 0, hits: new Map(), skipped: new Map(), dead: 0 };
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  for (;;) {
    const chunk = await generation.source.read(audit.end, generation.size);
    if (chunk.kind === 'wait' || chunk.kind === 'unavailable') return audit;
    if (chunk.kind === 'more') continue;
    if (chunk.kind !== 'lines') audit.dead++;
    else {
      const onLine = ({ text }: { text: string }) => {
        const parsed = parseLine(text);
        if ('hit' in parsed) count(audit.hits, shards.of(parsed.hit.tag).name);
        else if ('skip' in parsed) count(audit.skipped, parsed.skip);
        else audit.dead++;
      };
      splitLines(chunk.bytes, chunk.from, onLine, () => audit.dead++);
    }
    audit.end = chunk.to;
  }
}

/** Reads the beginning of a dead letter, at most `length` bytes. Returns undefined if the directory has no log of this generation. */
export async function readBytes(
  logs: ReadonlyMap<string, LogAudit>,
  gen: string,
  off: number,
  length: number,
): Promise<Buffer | undefined> {
  const log = logs.get(gen);
  for (;;) {
    const chunk = await log?.generation.source.read(off, off + length);
    if (chunk?.kind !== 'more') return chunk && 'bytes' in chunk ? chunk.bytes : undefined;
  }
}
