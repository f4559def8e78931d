import { KINDS, SKIP_REASONS } from '../../core/event.ts';
import { firstGap, type Range, sizeOf, subtract } from '../../core/ranges.ts';
import type { LogAudit } from './read-logs.ts';
import type { ShardAudit } from './read-shard.ts';

const REPORT_BUG = 'this must never happen: keep the database and the log, and report it as a bug';

/** One problem. `what` describes the problem, and `mend` says what to do about it. `gen` is the generation that has the problem. */
export interface Finding {
  shard: string;
  gen?: string;
  what: string;
  mend: string;
}

/**
 * A log that is not finished, and that is not among the logs that were given. nginx may still write to it, or its host is lost. `bytes` is how many
 * of its bytes are counted on all shards, from its start, and `until` is the time of the last commit.
 */
export interface Unfinished {
  gen: string;
  bytes: number;
  until: Date;
}

/** Finds the logs that are not finished, the one with the oldest commit first. No shard has the size of such a log. */
export function findUnfinished(shards: readonly ShardAudit[], logs: ReadonlyMap<string, LogAudit> | undefined): Unfinished[] {
  const rows = shards.flatMap(({ generations }) => generations);
  const unfinished: Unfinished[] = [];
  for (const gen of new Set(rows.map((row) => row.gen))) {
    const own = rows.filter((row) => row.gen === gen);
    if (logs?.has(gen) || own.some(({ size }) => size !== null)) continue;
    const ends = own.map(({ committed }) => firstGap(committed, 0, Number.MAX_SAFE_INTEGER)?.[0] ?? 0);
    // A shard without a row has none of the bytes.
    const bytes = own.length < shards.length ? 0 : Math.min(...ends);
    unfinished.push({ gen, bytes, until: new Date(Math.max(...own.map(({ last_at }) => last_at.getTime()))) });
  }
  return unfinished.sort((a, b) => a.until.getTime() - b.until.getTime());
}

/** Finds all problems. If `logs` is undefined, only the databases are checked. */
export function findProblems(
  shards: readonly ShardAudit[],
  logs: ReadonlyMap<string, LogAudit> | undefined,
  firstShard: string,
): Finding[] {
  const findings: Finding[] = [];
  // The highest known end of each generation, from all shards and logs. If a shard has no row for a generation, the whole generation is a
  // hole on this shard.
  const ends = new Map<string, number>();
  for (const { generations } of shards) {
    for (const { gen, size, committed } of generations) ends.set(gen, Math.max(ends.get(gen) ?? 0, size ?? 0, committed.at(-1)?.[1] ?? 0));
  }
  for (const [gen, { end }] of logs ?? []) ends.set(gen, Math.max(ends.get(gen) ?? 0, end));
  for (const shard of shards) {
    for (const { gen, off, times } of shard.duplicates) {
      findings.push({
        shard: shard.shard,
        gen,
        what: `offset ${off} is stored ${times} times`,
        mend: REPORT_BUG,
      });
    }
    for (const { gen, off } of shard.outsideLedger) {
      findings.push({
        shard: shard.shard,
        gen,
        what: `the row at offset ${off} is outside the ledger`,
        mend: 'another program than a worker inserted or deleted rows: restore the shard from a backup; agents fill the rest from the logs',
      });
    }
    for (const [gen, end] of ends) {
      const committed = shard.generations.find((generation) => generation.gen === gen)?.committed ?? [];
      const holes = subtract([[0, end]], committed);
      if (holes.length === 0) continue;
      const what = `${sizeOf(holes)} bytes are missing, first ${rangeText(firstGap(committed, 0, end) as Range)}`;
      findings.push({ shard: shard.shard, gen, what, mend: howToFill(gen, logs) });
    }
    for (const [gen, log] of logs ?? []) findings.push(...compareCounts(shard, gen, log, shard.shard === firstShard));
  }
  return findings;
}

function rangeText([from, to]: Range): string {
  return `${from}–${to}`;
}

/** Returns what to do about a hole. */
function howToFill(gen: string, logs: ReadonlyMap<string, LogAudit> | undefined): string {
  if (!logs) return 'the agent that has this log fills the hole; to see which log it is, give the log directory with --logs';
  const log = logs.get(gen);
  if (!log)
    return 'no log in this directory has these bytes: a restored backup is older than the logs that are kept; find the log in a backup, then run clickledger ship FILE';
  return `clickledger ship ${log.generation.paths[0] ?? 'FILE'}`;
}

/**
 * Compares the numbers of events, dead letters and skipped lines with the log. Returns no findings if the generation is not completely
 * committed.
 */
function compareCounts(shard: ShardAudit, gen: string, log: LogAudit, isFirst: boolean): Finding[] {
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
        mend: REPORT_BUG,
      });
  };
  expect('hits', sum(...KINDS, 'skipped forged', 'dead rejected'), log.hits.get(shard.shard) ?? 0);
  const deadHere = [...counts]
    .filter(([what]) => what.startsWith('dead ') && what !== 'dead rejected')
    .reduce((total, [, lines]) => total + lines, 0);
  expect('unreadable lines', deadHere, isFirst ? log.dead : 0);
  for (const reason of SKIP_REASONS.filter((reason) => reason !== 'forged'))
    expect(`lines skipped as ${reason}`, sum(`skipped ${reason}`), isFirst ? (log.skipped.get(reason) ?? 0) : 0);
  return findings;
}
