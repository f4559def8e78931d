import { createPool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { tagOf } from '../../core/slug.ts';
import { type Expected, type Issued, readLogs, withoutTail } from '../support/judge.ts';
import { sleep, type World } from './world.ts';

/** What the judge has to know of a system: where all of its logs and databases are. */
type Judged = Pick<World, 'system' | 'keepDirs' | 'shardsText'>;

/** What the logs say against what the databases have. */
export interface Verdict {
  hits: number;
  lost: number;
  doubled: number;
  misplaced: number;
  /** Events whose link, recipient, kind or place differs from the log. */
  altered: number;
  deadLetters: number;
  skipped: number;
  /** Everything that is not as it must be, in words. */
  problems: string[];
}

export async function judge(world: Judged, issued: ReadonlyMap<string, Issued>, patienceMs: number): Promise<Verdict> {
  const analyst = createPool(world.system.env['ANALYST_URL'] ?? '', { max: 2, name: 'judge' });
  try {
    const { expected, quiet } = await untilQuiet(world, issued, analyst, patienceMs);
    const verdict = await compare(expected, analyst);
    if (!quiet) verdict.problems.push(`not every byte was committed within ${patienceMs / 1000} s`);
    return verdict;
  } finally {
    await analyst.end();
  }
}

type Analyst = ReturnType<typeof createPool>;

async function expectation(world: Judged, issued: ReadonlyMap<string, Issued>): Promise<Expected> {
  // The hard links have every log; what happened to the names does not matter.
  return readLogs({
    directories: world.keepDirs,
    issued,
    tagOfLink: (link) => tagOf({ link, recipient: 0 }),
    shards: parseShards(world.shardsText).list,
  });
}

async function untilQuiet(
  world: Judged,
  issued: ReadonlyMap<string, Issued>,
  analyst: Analyst,
  patienceMs: number,
): Promise<{ expected: Expected; quiet: boolean }> {
  const deadline = performance.now() + patienceMs;
  const shardCount = parseShards(world.shardsText).list.length;
  for (;;) {
    // Read anew each time: nginx logs a request after its client has the answer.
    const expected = await expectation(world, issued);
    const found = await analyst
      .query<{ gen: string; committed_bytes: number; holes: number }>(
        "SELECT replace(gen::text, '-', '') AS gen, committed_bytes, holes FROM analytics.completeness",
      )
      .catch(() => ({ rows: [] }));
    for (const [gen, from] of expected.tails) {
      const rows = found.rows.filter((row) => row.gen === gen);
      if (rows.length > 0 && rows.every(({ committed_bytes }) => committed_bytes === from)) withoutTail(expected, gen);
    }
    const quiet =
      found.rows.length === expected.sizes.size * shardCount &&
      found.rows.every(({ gen, committed_bytes, holes }) => committed_bytes === expected.sizes.get(gen) && holes === 0);
    if (quiet || performance.now() > deadline) return { expected, quiet };
    await sleep(250);
  }
}

async function compare(expected: Expected, analyst: Analyst): Promise<Verdict> {
  const { rows } = await analyst.query<Record<string, string | number | null>>(`
    SELECT replace(request_id::text, '-', '') AS rid, replace(gen::text, '-', '') AS gen, off, kind, link_id, coalesce(recipient_id, 0) AS recipient_id,
           link_version, shard FROM analytics.events`);
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
    if (!event) verdict.problems.push(`event ${rid} stands in no log`);
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
