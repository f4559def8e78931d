import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { BURST, MACHINE_SIGNALS } from '../core/rules.ts';
import { createDatabases, type Databases, MARK_ALL } from '../test/support/databases.ts';
import { runs } from '../test/support/runs.ts';
import { judgeOnce } from './judge.ts';

// Runs random sequences of commits, steps of the judge (parallel and aborted ones), reclassifications and changes of test recipients. After
// each step the views of the rollups must equal a recount of the events.

const START = Date.UTC(2026, 4, 1, 12);
const TABLES = 'shard.event, shard.mark, shard.clicked_link, shard.activity_15m, shard.engagement, shard.reach, shard.recipient';

interface Hit {
  afterMs: number;
  recipient: number;
  link: number;
  kind: 'click' | 'open';
  bot: boolean;
}

type Step = { commit: Hit[] } | { judge: number; abort: boolean } | { test: number; is: boolean } | { reclassify: number; links: number };

const anyHit = fc.record({
  // The times are close enough for bursts. Some are exactly at the limits of a burst or of a quarter of an hour.
  afterMs: fc.oneof(fc.nat(4000), fc.constantFrom(0, BURST.spanMs, 2 * BURST.spanMs, 900_000 - 1, 900_000)),
  recipient: fc.nat(3),
  link: fc.integer({ min: 1, max: 8 }),
  kind: fc.constantFrom('click' as const, 'click' as const, 'open' as const),
  bot: fc.boolean(),
});
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ commit: fc.array(anyHit, { minLength: 1, maxLength: 12 }) }) },
  { weight: 3, arbitrary: fc.record({ judge: fc.constantFrom(1, 3, 1000), abort: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ reclassify: fc.integer({ min: 1, max: 2 }), links: fc.integer({ min: 2, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ test: fc.integer({ min: 1, max: 3 }), is: fc.boolean() }) },
);

const campaignOf = ({ link }: Hit): number => 1 + (link % 2);
const clickOf = (link: number, afterMs: number): Hit => ({ afterMs, recipient: 1, link, kind: 'click', bot: false });
/** A burst whose first two clicks were judged as human before the last one was committed. */
const IN_THREE_COMMITS: Step[] = [1, 3, 5].flatMap((link) => [{ commit: [clickOf(link, link * 200)] }, { judge: 1000, abort: false }]);

let databases: Databases;
let pool: Pool;
let owner: Pool;
let off = 0;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.shardUrlAs('a', 'worker'), { max: 4, name: 'test' });
  owner = createPool(databases.shardUrlAs('a', 'owner'), { max: 2, name: 'test' });
  return () => Promise.all([pool.end(), owner.end()]);
});

/** Commits events and their marks in one transaction, as a worker does. */
async function commit(events: readonly Hit[]): Promise<void> {
  const columns = [
    events.map(({ afterMs }) => new Date(START + afterMs)),
    events.map(() => off++),
    events.map(({ recipient }) => recipient),
    events.map(({ link }) => link),
    events.map(({ kind }) => kind),
    events.map(({ bot }) => (bot ? 'bot-ua' : 'human')),
  ];
  await owner.query(
    `WITH hit AS (SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::bigint[], $5::shard.kind[], $6::shard.verdict[]) AS t (at, off, recipient, link, kind, verdict)),
          kept AS (INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict, signals)
                   SELECT at, off, gen_random_uuid(), gen_random_uuid(), recipient, link, 1 + link % 2, 0, 2, kind, verdict, CASE verdict WHEN 'human' THEN NULL ELSE ARRAY[verdict::text] END FROM hit)
     INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict) SELECT at, recipient, link, 1 + link % 2, kind, verdict FROM hit`,
    columns,
  );
}

/** Runs a step of the judge and rolls it back. */
async function abortedJudge(maxMarks: number): Promise<void> {
  const client = await pool.connect();
  await client.query('BEGIN');
  await client.query(`SELECT shard.judge($1, 2, '1 second', 3)`, [maxMarks]);
  await client.query('ROLLBACK');
  client.release();
}

async function reclassify(campaign: number, links: number): Promise<void> {
  await pool.query(`SELECT * FROM shard.reclassify($1, 2, $2, '{}', '1 second', $3, false)`, [campaign, MACHINE_SIGNALS, links]);
}

async function run(step: Step): Promise<void> {
  if ('commit' in step) await commit(step.commit);
  else if ('test' in step) await owner.query('SELECT shard.tell($1, $2, $3)', [[step.test], [step.is], [false]]);
  else if ('reclassify' in step) await reclassify(step.reclassify, step.links);
  else if (step.abort) await abortedJudge(step.judge);
  // Two judges at the same time: one of them does the work. It may also fail because of a judge that has just finished.
  else await Promise.allSettled([judgeOnce(pool, step.judge), judgeOnce(pool, step.judge)]);
}

const rowsOf = async (sql: string): Promise<unknown[]> => (await owner.query(sql)).rows;
const COUNTED = `shard.event e WHERE NOT EXISTS (SELECT FROM shard.recipient r WHERE r.is_test AND r.recipient_id = e.recipient_id)`;

/** Checks that the views, which add the remaining marks to the rollups, equal a recount of the events. */
async function expectViewsRight(): Promise<void> {
  expect(
    await rowsOf('SELECT campaign_id, link_id, quarter, kind, verdict, hits FROM shard_analytics.activity_15m ORDER BY 1, 2, 3, 4, 5'),
  ).toEqual(
    await rowsOf(
      `SELECT campaign_id, link_id, to_timestamp(floor(extract(epoch FROM at) / 900) * 900) AS quarter, kind::text, verdict::text, count(*) AS hits
       FROM ${COUNTED} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`,
    ),
  );
  expect(
    await rowsOf(
      'SELECT campaign_id, link_id, recipient_id, first_at, last_at, human_hits, machine_hits FROM shard_analytics.clicked_links ORDER BY 1, 2, 3',
    ),
  ).toEqual(
    await rowsOf(
      `SELECT campaign_id, link_id, recipient_id, min(at) AS first_at, max(at) AS last_at,
              count(*) FILTER (WHERE verdict = 'human') AS human_hits, count(*) FILTER (WHERE verdict <> 'human') AS machine_hits
       FROM ${COUNTED} AND recipient_id <> 0 AND kind = 'click' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
    ),
  );
  const hits = (kind: string, verdict: string): string => `count(*) FILTER (WHERE kind = '${kind}' AND verdict ${verdict})`;
  expect(
    await rowsOf(
      'SELECT campaign_id, recipient_id, human_clicks, machine_clicks, human_opens, machine_opens, human_clicked_links, last_click_at, first_open_at, last_open_at FROM shard_analytics.engagement ORDER BY 1, 2',
    ),
  ).toEqual(
    await rowsOf(
      `SELECT campaign_id, recipient_id, ${hits('click', "= 'human'")} AS human_clicks, ${hits('click', "<> 'human'")} AS machine_clicks,
              ${hits('open', "= 'human'")} AS human_opens, ${hits('open', "<> 'human'")} AS machine_opens,
              count(DISTINCT link_id) FILTER (WHERE kind = 'click' AND verdict = 'human') AS human_clicked_links,
              max(at) FILTER (WHERE kind = 'click') AS last_click_at,
              min(at) FILTER (WHERE kind = 'open') AS first_open_at, max(at) FILTER (WHERE kind = 'open') AS last_open_at
       FROM ${COUNTED} AND recipient_id <> 0 GROUP BY 1, 2 ORDER BY 1, 2`,
    ),
  );
  expect(
    await rowsOf('SELECT campaign_id, is_human, unnest(recipient_ids) AS recipient_id FROM shard_analytics.openers ORDER BY 1, 2, 3'),
  ).toEqual(
    await rowsOf(
      // Who clicked has opened.
      `SELECT campaign_id, bool_or(verdict = 'human') AS is_human, recipient_id FROM ${COUNTED} AND recipient_id <> 0 GROUP BY 1, 3 ORDER BY 1, 2, 3`,
    ),
  );
  expect(
    await rowsOf(
      'SELECT campaign_id, link_id, hits, human_hits, recipients, human_recipients FROM shard_analytics.link_totals ORDER BY 1, 2',
    ),
  ).toEqual(
    await rowsOf(
      `SELECT campaign_id, link_id, count(*) AS hits, count(*) FILTER (WHERE verdict = 'human') AS human_hits,
              count(DISTINCT nullif(recipient_id, 0)) AS recipients, count(DISTINCT nullif(recipient_id, 0)) FILTER (WHERE verdict = 'human') AS human_recipients
       FROM ${COUNTED} AND kind = 'click' GROUP BY 1, 2 ORDER BY 1, 2`,
    ),
  );
  expect(
    await rowsOf(
      'SELECT campaign_id, kind, hits, human_hits, recipients, human_recipients FROM shard_analytics.campaign_totals ORDER BY 1, 2',
    ),
  ).toEqual(
    await rowsOf(
      // Every hit of a recipient shows that the letter was opened, a click also that there was a click.
      `SELECT campaign_id, shown.kind, count(*) FILTER (WHERE e.kind::text = shown.kind) AS hits,
              count(*) FILTER (WHERE e.kind::text = shown.kind AND verdict = 'human') AS human_hits,
              count(DISTINCT nullif(recipient_id, 0)) AS recipients, count(DISTINCT nullif(recipient_id, 0)) FILTER (WHERE verdict = 'human') AS human_recipients
       FROM (SELECT * FROM ${COUNTED}) e JOIN (VALUES ('click'), ('open')) AS shown (kind) ON shown.kind IN (e.kind::text, 'open') GROUP BY 1, 2
       HAVING count(*) FILTER (WHERE e.kind::text = shown.kind) > 0 OR count(nullif(recipient_id, 0)) > 0 ORDER BY 1, 2`,
    ),
  );
}

/** The number of clicks of recipients by recipient, link and verdict. */
async function verdictsOfClicks(): Promise<Map<string, number>> {
  const { rows } = await owner.query<{ key: string; n: number }>(
    `SELECT recipient_id || ' ' || link_id || ' ' || verdict AS key, count(*) AS n FROM shard.event WHERE kind = 'click' AND recipient_id <> 0 GROUP BY 1`,
  );
  return new Map(rows.map(({ key, n }) => [key, n]));
}

/** The same numbers, computed from the steps: tries every click as the first one of a burst. */
function burstsIn(steps: readonly Step[]): Map<string, number> {
  const clicks = steps
    .flatMap((step) => ('commit' in step ? step.commit : []))
    .filter(({ kind, recipient }) => kind === 'click' && recipient !== 0);
  const verdicts = new Map<string, number>();
  for (const click of clicks) {
    const inBurst = clicks.some((first) => {
      const sameLetter = (other: Hit) => other.recipient === click.recipient && campaignOf(other) === campaignOf(click);
      const within = (other: Hit) => sameLetter(other) && other.afterMs >= first.afterMs && other.afterMs <= first.afterMs + BURST.spanMs;
      return sameLetter(first) && within(click) && new Set(clicks.filter(within).map(({ link }) => link)).size >= BURST.differentLinks;
    });
    const verdict = click.bot ? 'bot-ua' : inBurst ? 'burst' : 'human';
    const key = `${click.recipient} ${click.link} ${verdict}`;
    verdicts.set(key, (verdicts.get(key) ?? 0) + 1);
  }
  return verdicts;
}

describe('the judge', () => {
  test('keeps every rollup equal to a recount, whatever the order of commits, judges and test marks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 14 }), async (steps) => {
        await owner.query(`TRUNCATE ${TABLES}`);
        for (const step of steps) {
          await run(step);
          await expectViewsRight();
        }
        while (((await judgeOnce(pool)) ?? 1) > 0);
        await expectViewsRight();
        if (!steps.some((step) => 'reclassify' in step)) expect(await verdictsOfClicks()).toEqual(burstsIn(steps));
        // The reclassifications above may have used other rules. After one with the current rules, all verdicts must be those of the
        // current rules.
        for (const campaign of [1, 2]) await reclassify(campaign, BURST.differentLinks);
        await expectViewsRight();
        while (((await judgeOnce(pool)) ?? 1) > 0);
        await expectViewsRight();
        expect(await rowsOf('SELECT FROM shard.mark')).toEqual([]);
        expect(await verdictsOfClicks()).toEqual(burstsIn(steps));
      }),
      { ...runs(60), examples: [[IN_THREE_COMMITS]] },
    );
  }, 300_000);
});

test('much at once is judged in time that grows with it, also where the statistics know of nothing', async () => {
  await owner.query(`TRUNCATE ${TABLES}`);
  await owner.query('ANALYZE shard.mark, shard.clicked_link, shard.engagement, shard.event');
  // One third of 40,000 recipients clicks like a scanner. An implementation that compares all clicks with each other would take minutes.
  await owner.query(
    `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
     SELECT to_timestamp($1 / 1000.0) + CASE WHEN person % 3 = 0 THEN interval '100 ms' ELSE interval '1 hour' END * link, person * 10 + link, gen_random_uuid(), gen_random_uuid(), person, link, 1, 0, 2, 'click', 'human'
     FROM generate_series(1, 40000) person, generate_series(1, 3) link`,
    [START],
  );
  await owner.query(MARK_ALL);
  while (((await judgeOnce(pool)) ?? 1) > 0);
  await expectViewsRight();
  expect(await rowsOf(`SELECT verdict, count(*)::int AS n FROM shard.event GROUP BY 1 ORDER BY 1`)).toEqual([
    { verdict: 'human', n: 3 * 26_667 },
    { verdict: 'burst', n: 3 * 13_333 },
  ]);
}, 60_000);

describe('months that are dropped', () => {
  const OLD = START - 200 * 86_400_000;

  test('go once the judge has taken all of them, and their counts stay', async () => {
    await owner.query(`TRUNCATE ${TABLES}`);
    for (const at of [OLD, START]) await owner.query('SELECT shard.ensure_month($1)', [new Date(at)]);
    const clickAt = (atMs: number): Hit => ({ afterMs: atMs - START, recipient: 1, link: 1, kind: 'click', bot: false });
    const now = Date.now();
    await commit([clickAt(OLD), clickAt(OLD), clickAt(now)]);
    const dropped = async () =>
      (await pool.query<{ month: string }>('SELECT shard.drop_months(1) AS month')).rows.map(({ month }) => month);
    const counts = () => rowsOf('SELECT link_id, kind, sum(hits) AS hits FROM shard_analytics.activity_15m GROUP BY 1, 2');
    const before = await counts();
    expect(await dropped()).toEqual([]);
    while (((await judgeOnce(pool)) ?? 1) > 0);
    expect(await dropped()).toContain(`event_${new Date(OLD).toISOString().slice(0, 7).replace('-', '_')}`);
    expect(await rowsOf('SELECT count(*)::int AS n FROM shard.event')).toEqual([{ n: 1 }]);
    expect(await counts()).toEqual(before);
    expect(await dropped()).toEqual([]);
  });
});
