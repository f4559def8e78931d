import { createPool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { tagOf } from '../../core/slug.ts';
import { type Expected, type Issued, readLogs, dropTail } from '../support/judge.ts';
import { sleep } from '../../core/time.ts';
import type { System } from '../../stack/system.ts';

/** The parts of a system that the comparison needs: the directories of all logs, and the databases. */
interface JudgedSystem {
  readonly system: Pick<System, 'env'>;
  readonly keepDirs: readonly string[];
  readonly shardsText: string;
}

/** The differences between the logs and the databases. */
export interface Verdict {
  hits: number;
  lost: number;
  doubled: number;
  misplaced: number;
  /** Events whose link, recipient, kind or offset differs from the log. */
  altered: number;
  deadLetters: number;
  skipped: number;
  /** Descriptions of all other differences. */
  problems: string[];
}

export async function judge(world: JudgedSystem, issued: ReadonlyMap<string, Issued>, timeoutMs: number): Promise<Verdict> {
  const analyst = createPool(world.system.env['ANALYST_URL'] ?? '', { max: 2, name: 'judge' });
  try {
    const { expected, committed } = await untilCommitted(world, issued, analyst, timeoutMs);
    const verdict = await compare(expected, analyst);
    if (!committed) verdict.problems.push(`not every byte was committed within ${timeoutMs / 1000} s`);
    return verdict;
  } finally {
    await analyst.end();
  }
}

type Analyst = ReturnType<typeof createPool>;

async function readExpected(world: JudgedSystem, issued: ReadonlyMap<string, Issued>): Promise<Expected> {
  // Reads the hard links, because they include every log, even if it was renamed or deleted.
  return readLogs({
    directories: world.keepDirs,
    issued,
    tagOfLink: (link) => tagOf({ link, recipient: 0 }),
    shards: parseShards(world.shardsText).list,
  });
}

async function untilCommitted(
  world: JudgedSystem,
  issued: ReadonlyMap<string, Issued>,
  analyst: Analyst,
  timeoutMs: number,
): Promise<{ expected: Expected; committed: boolean }> {
  const deadline = performance.now() + timeoutMs;
  const shardCount = parseShards(world.shardsText).list.length;
  for (;;) {
    // Reads the logs again in each round, because nginx logs a request after it has answered the client.
    const expected = await readExpected(world, issued);
    const found = await analyst
      .query<{ gen: string; committed_bytes: number; holes: number }>(
        "SELECT replace(gen::text, '-', '') AS gen, committed_bytes, holes FROM analytics.completeness",
      )
      .catch(() => ({ rows: [] }));
    for (const [gen, from] of expected.tails) {
      const rows = found.rows.filter((row) => row.gen === gen);
      if (rows.length > 0 && rows.every(({ committed_bytes }) => committed_bytes === from)) dropTail(expected, gen);
    }
    const committed =
      found.rows.length === expected.sizes.size * shardCount &&
      found.rows.every(({ gen, committed_bytes, holes }) => committed_bytes === expected.sizes.get(gen) && holes === 0);
    if (committed || performance.now() > deadline) return { expected, committed };
    await sleep(250);
  }
}

async function compare(expected: Expected, analyst: Analyst): Promise<Verdict> {
  const { rows } = await analyst.query<Record<string, string | number | null>>(`
    SELECT replace(request_id::text, '-', '') AS rid, replace(gen::text, '-', '') AS gen, off, kind, link_id, coalesce(recipient_id, 0) AS recipient_id,
           link_version, shard FROM analytics.events
    UNION ALL
    SELECT replace(request_id::text, '-', ''), replace(gen::text, '-', ''), off, 'unsubscribe', link_id, recipient_id, NULL, shard FROM analytics.unsubscribes
    UNION ALL
    SELECT replace(request_id::text, '-', ''), replace(gen::text, '-', ''), off, 'visit', site_id, coalesce(recipient_id, 0), NULL, shard FROM analytics.visits
    UNION ALL
    SELECT replace(request_id::text, '-', ''), replace(gen::text, '-', ''), off, 'goal', site_id, coalesce(recipient_id, 0), NULL, shard FROM analytics.goals`);
  const verdict: Verdict = {
    hits: expected.events.size,
    lost: 0,
    doubled: 0,
    misplaced: 0,
    altered: 0,
    deadLetters: expected.dead.size,
    skipped: 0,
    problems: [],
  };
  const seen = new Set<string>();
  for (const row of rows) {
    const rid = String(row['rid']);
    const event = expected.events.get(rid);
    if (!event) verdict.problems.push(`event ${rid} is in no log`);
    else if (seen.has(rid)) verdict.doubled++;
    else if (row['shard'] !== event.shard) verdict.misplaced++;
    else if (
      row['gen'] !== event.gen ||
      row['off'] !== event.off ||
      row['kind'] !== event.kind ||
      row['link_id'] !== event.link ||
      row['recipient_id'] !== event.recipient ||
      row['link_version'] !== event.version
    )
      verdict.altered++;
    seen.add(rid);
  }
  verdict.lost = [...expected.events.keys()].filter((rid) => !seen.has(rid)).length;

  const dead = await analyst.query<{ place: string; reason: string }>(
    "SELECT replace(gen::text, '-', '') || ' ' || off AS place, reason FROM analytics.dead_letters",
  );
  const places = new Map(dead.rows.map(({ place, reason }) => [place, reason]));
  if (dead.rows.length !== expected.dead.size || [...expected.dead.keys()].some((place) => !places.has(place))) {
    verdict.problems.push(`dead letters: ${dead.rows.length} found, ${expected.dead.size} expected`);
  }
  const skipped = await analyst.query<{ reason: string; lines: number }>('SELECT reason, lines FROM analytics.skipped');
  for (const reason of new Set([...expected.skipped.keys(), ...skipped.rows.map((row) => row.reason)])) {
    const found = skipped.rows.find((row) => row.reason === reason)?.lines ?? 0;
    const wanted = expected.skipped.get(reason) ?? 0;
    verdict.skipped += wanted;
    if (found !== wanted) verdict.problems.push(`skipped as ${reason}: ${found} found, ${wanted} expected`);
  }
  return verdict;
}
