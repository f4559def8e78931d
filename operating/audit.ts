import { Follower, type Generation } from '../log-agent/follow.ts';
import { splitLines } from '../log-agent/lines.ts';
import { parseLine } from '../log-agent/parse.ts';
import type { Pool } from '../core/postgres.ts';
import { firstGap, parseMultirange, type Range, type Ranges, sizeOf, subtract } from '../core/ranges.ts';
import type { Shard, ShardMap } from '../core/shards.ts';

// Looks for everything that must not be: identities that stand twice, rows without a ledger range, holes that no log can fill, and,
// where the logs are at hand, counts that differ from what the logs say.

/** One thing that is wrong, and what mends it. */
export interface Finding {
  shard: string;
  gen?: string;
  what: string;
  mend: string;
}

export interface ShardAudit {
  shard: string;
  generations: { gen: string; size: number | null; committed: Ranges }[];
  doubled: { gen: string; off: number; times: number }[];
  outside: { gen: string; off: number }[];
  dead: { gen: string; off: number; reason: string; length: number }[];
  counts: Map<string, Map<string, number>>;
}

/** Reads one shard as the analyst. */
export async function readShard(pool: Pool, shard: Shard): Promise<ShardAudit> {
  const hex = (column: string) => `replace(${column}::text, '-', '') AS gen`;
  const ranges = await pool.query<{ gen: string; committed: string; size: number | null }>(
    `SELECT ${hex('gen')}, committed, size FROM shard_analytics.ranges ORDER BY first_at`,
  );
  const doubled = await pool.query<{ gen: string; off: number; times: number }>(
    `SELECT ${hex('gen')}, off, times FROM shard_analytics.doubled LIMIT 1000`,
  );
  const outside = await pool.query<{ gen: string; off: number }>(
    `SELECT ${hex('gen')}, off FROM shard_analytics.outside_ledger LIMIT 1000`,
  );
  const dead = await pool.query<{ gen: string; off: number; reason: string; length: number }>(
    `SELECT ${hex('gen')}, off, reason, length FROM shard_analytics.dead_letters ORDER BY at LIMIT 1000`,
  );
  const lines = await pool.query<{ gen: string; what: string; lines: number }>(
    `SELECT ${hex('gen')}, what, lines FROM shard_analytics.counts`,
  );
  const counts = new Map<string, Map<string, number>>();
  for (const { gen, what, lines: number } of lines.rows) counts.set(gen, (counts.get(gen) ?? new Map<string, number>()).set(what, number));
  return {
    shard: shard.name,
    generations: ranges.rows.map(({ gen, committed, size }) => ({ gen, size, committed: parseMultirange(committed) })),
    doubled: doubled.rows,
    outside: outside.rows,
    dead: dead.rows,
    counts,
  };
}

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

/** Everything that is wrong. `logs` undefined: judged by the databases alone. */
export function judge(shards: readonly ShardAudit[], logs: ReadonlyMap<string, LogAudit> | undefined, firstShard: string): Finding[] {
  const findings: Finding[] = [];
  // A generation that one shard has never heard of is a hole there as well.
  const known = new Map<string, number>();
  for (const { generations } of shards) {
    for (const { gen, size, committed } of generations)
      known.set(gen, Math.max(known.get(gen) ?? 0, size ?? 0, committed.at(-1)?.[1] ?? 0));
  }
  for (const [gen, { end }] of logs ?? []) known.set(gen, Math.max(known.get(gen) ?? 0, end));
  for (const shard of shards) {
    for (const { gen, off, times } of shard.doubled) {
      findings.push({
        shard: shard.shard,
        gen,
        what: `offset ${off} stands ${times} times`,
        mend: 'this must never happen: keep the database and the log, and report it',
      });
    }
    for (const { gen, off } of shard.outside) {
      findings.push({
        shard: shard.shard,
        gen,
        what: `the row at offset ${off} is outside the ledger`,
        mend: 'something other than a worker wrote or removed rows: restore the shard from a backup, the logs fill the rest',
      });
    }
    for (const [gen, end] of known) {
      const committed = shard.generations.find((generation) => generation.gen === gen)?.committed ?? [];
      const holes = subtract([[0, end]], committed);
      if (holes.length === 0) continue;
      const what = `${sizeOf(holes)} bytes are missing, first ${rangeText(firstGap(committed, 0, end) as Range)}`;
      findings.push({ shard: shard.shard, gen, what, mend: mendOf(gen, logs) });
    }
    for (const [gen, log] of logs ?? []) findings.push(...compare(shard, gen, log, shard.shard === firstShard));
  }
  return findings;
}

function rangeText([from, to]: Range): string {
  return `${from}–${to}`;
}

function mendOf(gen: string, logs: ReadonlyMap<string, LogAudit> | undefined): string {
  if (!logs) return 'the agent that has this log fills it; say where the logs are with --logs to know more';
  const log = logs.get(gen);
  if (!log)
    return 'no log here has it: what was restored is older than the logs that are kept; look for the log in backups, then clickledger ship FILE';
  return `clickledger ship ${log.generation.paths[0] ?? 'FILE'}`;
}

/** A generation that is all in must have as many events, dead letters and skipped lines as its log says. */
function compare(shard: ShardAudit, gen: string, log: LogAudit, isFirst: boolean): Finding[] {
  const committed = shard.generations.find((generation) => generation.gen === gen)?.committed ?? [];
  if (subtract([[0, log.end]], committed).length > 0 || (committed.at(-1)?.[1] ?? 0) > log.end) return [];
  const counts = shard.counts.get(gen) ?? new Map<string, number>();
  const sum = (...names: string[]) => names.reduce((total, name) => total + (counts.get(name) ?? 0), 0);
  const findings: Finding[] = [];
  const expect = (what: string, found: number, wanted: number) => {
    if (found !== wanted)
      findings.push({
        shard: shard.shard,
        gen,
        what: `${found} ${what}, but the log has ${wanted}`,
        mend: 'this must never happen: keep the database and the log, and report it',
      });
  };
  expect('hits', sum('click', 'open', 'skipped forged', 'dead rejected'), log.hits.get(shard.shard) ?? 0);
  const deadHere = [...counts]
    .filter(([what]) => what.startsWith('dead ') && what !== 'dead rejected')
    .reduce((total, [, lines]) => total + lines, 0);
  expect('unreadable lines', deadHere, isFirst ? log.dead : 0);
  for (const reason of ['not-tracking', 'not-served', 'malformed-slug'])
    expect(`lines skipped as ${reason}`, sum(`skipped ${reason}`), isFirst ? (log.skipped.get(reason) ?? 0) : 0);
  return findings;
}
