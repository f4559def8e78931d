import type { ShardMap } from '../../core/shards.ts';
import { Follower, type Generation } from '../../log-agent/follow.ts';
import { splitLines } from '../../log-agent/lines.ts';
import { parseLine } from '../../log-agent/parse.ts';

/** What the logs of a directory hold, by generation. */
export interface LogAudit {
  generation: Generation;
  /** Up to the end of its last whole line. */
  end: number;
  /** Hits of each shard's slugs, forged ones included: that takes a key. */
  hits: Map<string, number>;
  skipped: Map<string, number>;
  dead: number;
}

export async function readLogDirectory(
  directory: string,
  shards: ShardMap,
): Promise<{ logs: Map<string, LogAudit>; close: () => Promise<void> }> {
  const follower = new Follower({ directory, quietMs: 0 });
  await follower.scan();
  const logs = new Map<string, LogAudit>();
  for (const generation of follower.generations) logs.set(generation.id, await readLog(generation, shards));
  return { logs, close: () => follower.close() };
}

async function readLog(generation: Generation, shards: ShardMap): Promise<LogAudit> {
  const audit: LogAudit = { generation, end: 0, hits: new Map(), skipped: new Map(), dead: 0 };
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  for (;;) {
    const chunk = await generation.source.read(audit.end, generation.size);
    if (chunk.kind === 'wait' || chunk.kind === 'gone') return audit;
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

/** The bytes at a place of a log, for showing a dead letter. */
export async function bytesAt(logs: ReadonlyMap<string, LogAudit>, gen: string, off: number, length: number): Promise<Buffer | undefined> {
  const log = logs.get(gen);
  const chunk = await log?.generation.source.read(off, off + length);
  return chunk && 'bytes' in chunk ? chunk.bytes : undefined;
}
