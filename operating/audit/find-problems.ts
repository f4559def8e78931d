import { firstGap, type Range, sizeOf, subtract } from '../../core/ranges.ts';
import type { LogAudit } from './read-logs.ts';
import type { ShardAudit } from './read-shard.ts';

/** One thing that is wrong, and what mends it. */
export interface Finding {
  shard: string;
  gen?: string;
  what: string;
  mend: string;
}

/** Everything that is wrong. `logs` undefined: judged by the databases alone. */
export function findProblems(
  shards: readonly ShardAudit[],
  logs: ReadonlyMap<string, LogAudit> | undefined,
  firstShard: string,
): Finding[] {
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
