import { hash } from 'node:crypto';
import fc from 'fast-check';
import type { QueryResult, QueryResultRow } from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import {
  AFTER_HEAD_MS,
  BURST,
  ECHO,
  EVEN_STEPS,
  FOUND_SIGNALS,
  NEAR_HONEYPOT_MS,
  REACH_MS,
  type Signal,
  type Verdict,
  verdictOf,
  VISITED_MS,
} from '../core/rules.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { appendDeltas } from '../test/support/deltas.ts';
import { judgeAll } from '../test/support/merge.ts';
import { foundSignals, MIDNIGHT_MS } from '../test/support/found-signals.ts';
import { runs } from '../test/support/runs.ts';
import { Slab } from './slab.ts';
import { HitCollector, type Profile } from './hits.ts';
import { copyDeltas, insertNewVisits } from './insert-rows.ts';
import { judgeOnce, judgeStep } from './judge.ts';
import { reclassifyShard } from './reclassify-shard.ts';
import { inTransaction } from './transaction.ts';
import { reduceUserAgent } from './user-agent.ts';

// Runs random sequences of commits (also parallel and aborted ones), steps of the judge (parallel and aborted ones), reclassifications and
// changes of test recipients. After each step all counts and sets, and the views on them, must equal a recount of the events.

// A noon before a midnight at which a month, and so a partition, begins.
const START = Date.UTC(2026, 3, 30, 12);
const TABLES =
  'shard.event, shard.people, shard.hit_count, shard.activity_15m, shard.delta, shard.recipient, shard.thinned_campaign, shard.past_hits, shard.site_event, shard.new_visit';

interface Hit {
  afterMs: number;
  recipient: number;
  link: number;
  kind: 'click' | 'open';
  verdict: Verdict;
  country: string | null;
  net: string | null;
  referrer: string | null;
  agent: number;
  visitor: number | null;
}

/** A visit that names a click. */
interface Visit {
  afterMs: number;
  recipient: number;
  link: number;
  visitor: number | null;
  /** By the script, by a bot with the script, or by a server. */
  by: 'person' | 'bot' | 'server';
}

type Step =
  | { visit: Visit; abort: boolean }
  | { commit: Hit[][]; abort: boolean }
  | { judge: number; abort: boolean }
  | { test: number; is: boolean }
  | { reclassify: number; links: number };

// The recipients are in three chunks, at both ends of one of them. 0 is a shared link. The last number is near the greatest one.
const RECIPIENTS = [0, 1, 14_999, 15_000, 9_007_199_254_700_007];
const AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0',
  'Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36',
  // The same browser as the first user agent, in another version.
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0',
].map(reduceUserAgent);
const browserOf = (agent: number): number => agent % 3;

/** The own signals of a hit that is committed with a verdict. A machine's hit from a hosting network becomes unsure by a visit. */
const OWN_SIGNALS: Partial<Record<Verdict, readonly Signal[]>> = {
  human: [],
  unsure: ['hosting-net'],
  'hosting-net': ['hosting-net', 'old-browser', 'altered'],
  'bot-ua': ['bot-ua'],
  head: ['head'],
  honeypot: ['honeypot'],
};

/** The label of a network whose hits are unsure. */
const HOSTING = 'hetzner';

const anyVerdictHit = fc.record({
  // The times are close enough for bursts. Some are exactly at the limits of a burst or of a quarter of an hour.
  afterMs: fc.oneof(
    fc.nat(4000),
    fc.constantFrom(
      0,
      BURST.spanMs,
      2 * BURST.spanMs,
      NEAR_HONEYPOT_MS,
      AFTER_HEAD_MS + 1,
      ECHO.spanMs,
      ECHO.spanMs + 1,
      900_000 - 1,
      900_000,
    ),
    fc.integer({ min: -3, max: 3 }).map((n) => MIDNIGHT_MS + n * 500),
  ),
  recipient: fc.constantFrom(...RECIPIENTS),
  link: fc.integer({ min: 1, max: 14 }),
  kind: fc.constantFrom('click' as const, 'click' as const, 'open' as const),
  verdict: fc.constantFrom<Verdict>('human', 'human', 'human', 'human', 'unsure', 'hosting-net', 'bot-ua', 'head', 'honeypot'),
  country: fc.constantFrom('DE', 'FR', null),
  net: fc.constantFrom('cloudflare', null),
  referrer: fc.constantFrom('mail.example', '(other)', null),
  agent: fc.nat(AGENTS.length - 1),
  visitor: fc.constantFrom(1, 2, 3, null),
});
/** The hidden links of both campaigns. Only clicks on them have the sign `honeypot`. */
const HIDDEN = [21, 22];
const anyHit = anyVerdictHit.map((hit): Hit => {
  if (hit.verdict === 'unsure' || hit.verdict === 'hosting-net') return { ...hit, net: HOSTING };
  if (hit.verdict === 'honeypot') return { ...hit, kind: 'click', link: HIDDEN[hit.link % 2] as number };
  return hit;
});
/** The clicks of a user agent that follows the links of one letter, in steps that are equal or almost equal. */
const anySweep = fc
  .record({
    hit: anyHit,
    links: fc.integer({ min: 4, max: 7 }),
    stepMs: fc.constantFrom(0, 300, 5000, EVEN_STEPS.longestMs, EVEN_STEPS.longestMs + 1),
    unevenMs: fc.constantFrom(0, 0, EVEN_STEPS.toleranceMs, EVEN_STEPS.toleranceMs + 1, 600),
  })
  .map(({ hit, links, stepMs, unevenMs }): Hit[] =>
    Array.from({ length: links }, (_, i) => ({
      ...hit,
      kind: 'click',
      verdict: hit.verdict === 'honeypot' ? 'human' : hit.verdict,
      link: (hit.link % 2) + 2 * (i + 1),
      afterMs: hit.afterMs + i * stepMs + (i > 2 ? unevenMs : 0),
    })),
  );
const anyHits = fc.oneof({ weight: 4, arbitrary: anyHit.map((hit) => [hit]) }, { weight: 1, arbitrary: anySweep });
const anyEvents = fc.array(anyHits, { minLength: 1, maxLength: 12 }).map((groups) => groups.flat());
const anyVisit: fc.Arbitrary<Visit> = fc
  .tuple(
    anyHit,
    fc.constantFrom(0, 0, 1, 1000, VISITED_MS, VISITED_MS + 1, -1),
    fc.constantFrom('person', 'person', 'person', 'bot', 'server'),
  )
  .map(([{ afterMs, recipient, link, visitor }, laterMs, by]) => ({ afterMs: afterMs + laterMs, recipient, link, visitor, by }));
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ visit: anyVisit, abort: fc.nat(9).map((n) => n === 0) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      commit: fc.array(anyEvents, { minLength: 1, maxLength: 2 }),
      abort: fc.nat(9).map((n) => n === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ judge: fc.constantFrom(1, 8, 1000), abort: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ reclassify: fc.integer({ min: 1, max: 2 }), links: fc.integer({ min: 2, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ test: fc.constantFrom(...RECIPIENTS.slice(1)), is: fc.boolean() }) },
);

const campaignOf = ({ link }: Hit): number => 1 + (link % 2);
const clickOf = (link: number, afterMs: number): Hit => ({
  afterMs,
  recipient: 1,
  link,
  kind: 'click',
  verdict: 'human',
  country: null,
  net: null,
  referrer: null,
  agent: 0,
  visitor: null,
});
/** A burst whose first clicks were judged as human, and then as a short burst, before the last one was committed. */
const IN_FIVE_COMMITS: Step[] = [1, 3, 5, 7, 9].flatMap((link) => [
  { commit: [[clickOf(link, link * 100)]], abort: false },
  { judge: 1000, abort: false },
]);

/** A burst of a merged click and two that wait, of which the first step takes only one. */
const WITH_ONE_WAITING: Step[] = [
  { commit: [[clickOf(1, 200)]], abort: false },
  { judge: 1000, abort: false },
  { commit: [[clickOf(3, 400)]], abort: false },
  { commit: [[clickOf(5, 600)]], abort: false },
  { judge: 1, abort: false },
  { judge: 1, abort: false },
];

/** An echo, and a later click. Because of it the judge reads the echo again, but not the earlier click that makes it an echo. */
const WITH_A_LATER_CLICK: Step[] = [
  clickOf(1, 0),
  { ...clickOf(1, ECHO.spanMs), agent: 1 },
  clickOf(3, ECHO.spanMs + 2 * REACH_MS),
].flatMap((click) => [
  { commit: [[click]], abort: false },
  { judge: 1000, abort: false },
]);

/** A click that was judged before the HEAD request that precedes it arrived. */
const AFTER_HEAD: Step[] = [clickOf(1, AFTER_HEAD_MS), { ...clickOf(1, 0), verdict: 'head' as const }].flatMap((click) => [
  { commit: [[click]], abort: false },
  { judge: 1000, abort: false },
]);

/** A click from a hosting network, and the visit that makes it a person's: before the click was judged, after it, and before it came. */
const VISITED: Step[][] = (() => {
  const click: Step = { commit: [[{ ...clickOf(1, 0), verdict: 'unsure', net: HOSTING, visitor: 1 }]], abort: false };
  const visit: Step = { visit: { afterMs: 2000, recipient: 1, link: 1, visitor: 1, by: 'person' }, abort: false };
  const judge: Step = { judge: 1000, abort: false };
  return [
    [click, visit, judge],
    [click, judge, visit, judge],
    [visit, judge, click, { reclassify: 2, links: BURST.fewLinks }],
    [{ commit: [[{ ...clickOf(1, 0), verdict: 'hosting-net', net: HOSTING, visitor: 1 }]], abort: false }, judge, visit, judge],
  ];
})();

let databases: Databases;
let pool: Pool;
let owner: Pool;
let off = 0;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.shardUrlAs('a', 'worker'), { max: 4, name: 'test' });
  owner = createPool(databases.shardUrlAs('a', 'owner'), { max: 4, name: 'test' });
  await owner.query('INSERT INTO shard.user_agent SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])', [
    AGENTS.map(({ id }) => id),
    AGENTS.map(({ client }) => client),
    AGENTS.map(({ version }) => version),
    AGENTS.map(({ system }) => system),
    AGENTS.map(({ device }) => device),
  ]);
  for (const afterMs of [0, MIDNIGHT_MS]) await owner.query('SELECT shard.ensure_month($1)', [new Date(START + afterMs)]);
  return () => Promise.all([pool.end(), owner.end()]);
});

/** Commits events and counts them in one transaction, as a worker does. */
async function commit(events: readonly Hit[], abort = false): Promise<void> {
  const columns = [
    events.map(({ afterMs }) => new Date(START + afterMs)),
    events.map(() => off++),
    events.map(({ recipient }) => recipient),
    events.map(({ link }) => link),
    events.map(campaignOf),
    events.map(({ kind }) => kind),
    events.map(({ verdict }) => verdict),
    events.map(({ country }) => country),
    events.map(({ net }) => net),
    events.map(({ referrer }) => referrer),
    events.map(({ agent }) => AGENTS[agent]?.id),
    events.map(({ visitor }) => visitor),
  ];
  const collector = new HitCollector(events.length, new Slab());
  const profiles: Profile[] = [];
  for (const event of events) {
    const { afterMs, recipient, link, kind, verdict, country, net, referrer } = event;
    const agent = AGENTS[event.agent] as (typeof AGENTS)[number];
    const profile = { kind, verdict, agent, country, net, referrer };
    collector.add(campaignOf(event), START + afterMs, recipient, link, profiles.push(profile) - 1);
  }
  await inTransaction(owner, async (client) => {
    await client.query(
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, visitor, rules, kind, verdict, signals, country, net, referrer)
       SELECT at, off, gen_random_uuid(), gen_random_uuid(), recipient, link, campaign, agent, visitor, 2, kind, verdict,
              CASE verdict WHEN 'human' THEN NULL WHEN 'unsure' THEN '{hosting-net}' WHEN 'hosting-net' THEN '{hosting-net,old-browser,altered}' ELSE ARRAY[verdict::text] END, country, net, referrer
       FROM unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::shard.kind[], $7::shard.verdict[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[])
         AS t (at, off, recipient, link, campaign, kind, verdict, country, net, referrer, agent, visitor)`,
      columns,
    );
    await copyDeltas(client, [collector.hits(profiles)]);
    return !abort;
  });
}

/** Commits a visit, as a worker does. */
async function commitVisit({ afterMs, recipient, link, visitor, by }: Visit, abort: boolean): Promise<void> {
  const t = START + afterMs;
  await inTransaction(owner, async (client) => {
    await client.query(
      `INSERT INTO shard.site_event (at, off, gen, rid, kind, site_id, name, session, recipient_id, link_id, campaign_id, visitor, agent_id, rules, verdict, dropped)
       VALUES ($1, $2, gen_random_uuid(), gen_random_uuid(), 'visit', 99, '', $3, $4, $5, $6, $7, 1, 1, $8, 0)`,
      [new Date(t), off++, by === 'server' ? null : 1, recipient, link, 1 + (link % 2), visitor, by === 'bot' ? 'bot-ua' : 'human'],
    );
    const visits = by === 'person' && recipient !== 0 ? [{ t, recipient, campaign: 1 + (link % 2) }] : [];
    await insertNewVisits(client, [{ visits }]);
    return !abort;
  });
}

/** Runs a step of the judge and rolls it back. */
const abortedJudge = (mostHits: number): Promise<boolean> =>
  inTransaction(pool, async (client) => {
    await judgeStep(client, mostHits);
    return false;
  });

async function reclassify(campaign: number, links: number): Promise<void> {
  const burst = { ...BURST, fewLinks: links, manyLinks: links + BURST.manyLinks - BURST.fewLinks };
  await reclassifyShard(pool, { id: campaign, sentAt: undefined, honeypots: new Set(HIDDEN) }, false, burst);
}

async function run(step: Step): Promise<void> {
  // Two commits at the same time are those of two workers.
  if ('commit' in step) await Promise.all(step.commit.map((events, i) => commit(events, step.abort && i === 0)));
  else if ('visit' in step) await commitVisit(step.visit, step.abort);
  else if ('test' in step) await owner.query('SELECT shard.tell($1, $2, $3)', [[step.test], [step.is], [false]]);
  else if ('reclassify' in step) await reclassify(step.reclassify, step.links);
  else if (step.abort) await abortedJudge(step.judge);
  // Two judges at the same time: one of them does the work. It may also fail because of a judge that has just finished.
  else await Promise.allSettled([judgeOnce(pool, step.judge), judgeOnce(pool, step.judge)]);
}

/** Runs a statement that is run again and again. Postgres plans it once, because planning it takes longer than running it. */
const runPrepared = <Row extends QueryResultRow>(text: string): Promise<QueryResult<Row>> =>
  owner.query<Row>({ name: hash('sha1', text), text });
const rowsOf = async (sql: string): Promise<unknown[]> => (await runPrepared(sql)).rows;
const COUNTED = `shard.event e WHERE NOT EXISTS (SELECT FROM shard.recipient r WHERE r.is_test AND r.recipient_id = e.recipient_id)`;

/** What is known of one value of a facet. */
interface Counted {
  hits: number;
  humanHits: number;
  recipients: number[];
  humanRecipients: number[];
}

/** All counts and sets, by campaign, kind, facet, link and value, as the events give them. */
async function recountEvents(): Promise<Record<string, Counted>> {
  const { rows } = await runPrepared<
    Record<'campaign' | 'recipient' | 'link' | 'quarter', number> &
      Record<'kind' | 'verdict', string> &
      Record<'country' | 'net' | 'referrer' | 'client' | 'system' | 'device', string | null>
  >(
    `SELECT campaign_id AS campaign, recipient_id AS recipient, link_id AS link, floor(extract(epoch FROM at) / 900)::bigint * 900 AS quarter, kind::text, verdict::text, country, net, referrer,
            client, system, device
     FROM (SELECT * FROM ${COUNTED}) e LEFT JOIN shard.user_agent a ON a.id = e.agent_id`,
  );
  const counts = new Map<string, Counted>();
  for (const hit of rows) {
    const isHuman = hit.verdict === 'human';
    const facts: [facet: string, value: string | null, link?: number][] = [
      ['all', ''],
      ['country', hit.country],
      ['referrer', hit.referrer],
      ['network', hit.net],
      ['client', hit.client],
      ['system', hit.system],
      ['device', hit.device],
    ];
    if (hit.kind === 'click') facts.push(['link', '', hit.link], ['quarter', String(hit.quarter), hit.link]);
    if (!isHuman) facts.push(['verdict', hit.verdict], ['machine', `${hit.verdict} ${hit.net ?? ''}`]);
    for (const [facet, value, link] of facts) {
      const key = `${hit.campaign} ${hit.kind} ${facet} ${link ?? 0} ${value ?? ''}`;
      const counted = counts.get(key) ?? { hits: 0, humanHits: 0, recipients: [], humanRecipients: [] };
      counts.set(key, counted);
      counted.hits++;
      if (isHuman) counted.humanHits++;
      if (hit.recipient === 0) continue;
      counted.recipients.push(hit.recipient);
      if (isHuman) counted.humanRecipients.push(hit.recipient);
    }
  }
  const distinct = (list: readonly number[]): number[] => [...new Set(list)].sort((a, b) => a - b);
  return Object.fromEntries(
    Array.from(counts, ([key, { recipients, humanRecipients, ...hits }]) => [
      key,
      { ...hits, recipients: distinct(recipients), humanRecipients: distinct(humanRecipients) },
    ]),
  );
}

/** The same as it is stored. */
async function storedCounts(): Promise<Record<string, Counted>> {
  const { rows } = await runPrepared<Counted & { key: string; size: number; human_size: number }>(
    `SELECT campaign_id || ' ' || kind || ' ' || facet || ' ' || link_id || ' ' || value AS key, sum(hits)::bigint AS hits, sum(human_hits)::bigint AS "humanHits",
            sum(shard.size(few, bits))::bigint AS size, sum(shard.size(human_few, human_bits))::bigint AS human_size,
            array_agg(everyone.id ORDER BY everyone.id) FILTER (WHERE everyone.id IS NOT NULL) AS recipients
     FROM shard.people_now, LATERAL (SELECT NULL::bigint AS id) everyone GROUP BY 1 HAVING sum(hits) <> 0`,
  );
  const members = await runPrepared<{ key: string; recipient: number; human: boolean }>(
    `SELECT campaign_id || ' ' || kind || ' ' || facet || ' ' || link_id || ' ' || value AS key, member.recipient, member.human
     FROM shard.people_now CROSS JOIN LATERAL (
       SELECT recipient, false AS human FROM shard.members(chunk, few, bits) AS recipient
       UNION ALL SELECT recipient, true FROM shard.members(chunk, human_few, human_bits) AS recipient) AS member ORDER BY member.recipient`,
  );
  const counts: Record<string, Counted> = {};
  for (const { key, hits, humanHits } of rows) counts[key] = { hits, humanHits, recipients: [], humanRecipients: [] };
  for (const { key, recipient, human } of members.rows) counts[key]?.[human ? 'humanRecipients' : 'recipients'].push(recipient);
  for (const { key, size, human_size } of rows) {
    expect(counts[key]?.recipients).toHaveLength(size);
    expect(counts[key]?.humanRecipients).toHaveLength(human_size);
  }
  return counts;
}

/** Checks that the stored counts and sets, and the views on them, equal a recount of the events. */
async function expectCountsRight(): Promise<void> {
  expect(await storedCounts()).toEqual(await recountEvents());
  expect(
    await rowsOf('SELECT campaign_id, link_id, quarter, kind, verdict, hits FROM shard_analytics.activity_15m ORDER BY 1, 2, 3, 4, 5'),
  ).toEqual(
    await rowsOf(
      `SELECT campaign_id, link_id, to_timestamp(floor(extract(epoch FROM at) / 900) * 900) AS quarter, kind::text, verdict::text, count(*) AS hits
       FROM ${COUNTED} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`,
    ),
  );
  expect(await rowsOf('SELECT * FROM shard_analytics.engagement ORDER BY campaign_id, recipient_id')).toEqual(
    await rowsOf(
      `SELECT (SELECT name FROM shard.identity) AS shard, campaign_id, recipient_id, count(*) FILTER (WHERE kind = 'click' AND verdict = 'human') AS human_clicks,
              count(*) FILTER (WHERE kind = 'click' AND verdict <> 'human') AS machine_clicks,
              count(DISTINCT link_id) FILTER (WHERE kind = 'click' AND verdict = 'human') AS human_clicked_links, max(at) FILTER (WHERE kind = 'click') AS last_click_at,
              count(*) FILTER (WHERE kind = 'open' AND verdict = 'human') AS human_opens, count(*) FILTER (WHERE kind = 'open' AND verdict <> 'human') AS machine_opens,
              min(at) FILTER (WHERE kind = 'open') AS first_open_at, max(at) FILTER (WHERE kind = 'open') AS last_open_at, true AS opened, bool_or(verdict = 'human') AS human_opened
       FROM ${COUNTED} AND recipient_id <> 0 GROUP BY campaign_id, recipient_id ORDER BY campaign_id, recipient_id`,
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
  const { rows } = await runPrepared<{ key: string; n: number }>(
    `SELECT recipient_id || ' ' || link_id || ' ' || verdict AS key, count(*) AS n FROM shard.event WHERE kind = 'click' AND recipient_id <> 0 GROUP BY 1`,
  );
  return new Map(rows.map(({ key, n }) => [key, n]));
}

/** How often each signal was found in all runs. */
const foundIn: Partial<Record<Signal, number>> = {};

/** The numbers of verdictsOfClicks, computed from the steps. */
function expectedVerdicts(steps: readonly Step[]): Map<string, number> {
  const visits = steps.flatMap((step) => ('visit' in step && !step.abort ? [step.visit] : []));
  const isVisitOf = (visit: Visit, { afterMs, recipient, link, visitor }: Hit): boolean =>
    visit.by === 'person' &&
    visit.recipient === recipient &&
    visit.link === link &&
    visitor !== null &&
    visit.visitor === visitor &&
    visit.afterMs >= afterMs &&
    visit.afterMs <= afterMs + VISITED_MS;
  const clicks = steps
    .flatMap((step) => ('commit' in step ? step.commit.slice(step.abort ? 1 : 0).flat() : []))
    .filter(({ kind, recipient }) => kind === 'click' && recipient !== 0)
    .map((click) => {
      const isVisited = visits.some((visit) => isVisitOf(visit, click));
      const own: Signal[] = [...(OWN_SIGNALS[click.verdict] ?? []), ...(isVisited ? ['visited' as const] : [])];
      const verdict = verdictOf(own);
      return { ...click, browser: browserOf(click.agent), verdict, own };
    });
  const verdicts = new Map<string, number>();
  for (const click of clicks) {
    const letter = clicks.filter((other) => other.recipient === click.recipient && campaignOf(other) === campaignOf(click));
    const mayChange = click.verdict === 'human' || click.verdict === 'unsure';
    const found = mayChange ? foundSignals(click, letter) : [];
    for (const signal of found) foundIn[signal] = (foundIn[signal] ?? 0) + 1;
    const key = `${click.recipient} ${click.link} ${mayChange ? verdictOf([...click.own, ...found]) : click.verdict}`;
    verdicts.set(key, (verdicts.get(key) ?? 0) + 1);
  }
  return verdicts;
}

describe('the judge', () => {
  test('keeps every count and set equal to a recount, whatever the order of commits, judges and test recipients', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 1, maxLength: 14 }), async (steps) => {
        await owner.query(`TRUNCATE ${TABLES}`);
        for (const step of steps) {
          await run(step);
          await expectCountsRight();
        }
        await judgeAll(pool);
        await expectCountsRight();
        if (!steps.some((step) => 'reclassify' in step)) expect(await verdictsOfClicks()).toEqual(expectedVerdicts(steps));
        // The reclassifications above may have used other rules. After one with the current rules, all verdicts must be those of the
        // current rules.
        for (const campaign of [1, 2]) await reclassify(campaign, BURST.fewLinks);
        await expectCountsRight();
        await judgeAll(pool);
        await expectCountsRight();
        expect(
          await rowsOf(
            'SELECT FROM shard.delta UNION ALL SELECT FROM shard.hit_change UNION ALL SELECT FROM shard.judged_hit UNION ALL SELECT FROM shard.new_visit',
          ),
        ).toEqual([]);
        expect(await verdictsOfClicks()).toEqual(expectedVerdicts(steps));
      }),
      {
        ...runs(60),
        endOnFailure: true,
        examples: [
          [IN_FIVE_COMMITS],
          [WITH_ONE_WAITING],
          [WITH_A_LATER_CLICK],
          [AFTER_HEAD],
          ...VISITED.map((steps) => [steps] as [Step[]]),
        ],
      },
    );
    // Each signal was found in some run.
    expect(Object.keys(foundIn).toSorted()).toEqual(FOUND_SIGNALS.toSorted());
  }, 300_000);
});

test('a step that leaves deltas says so', async () => {
  await owner.query(`TRUNCATE ${TABLES}`);
  for (const afterMs of [1, 2, 3]) await commit([clickOf(1, afterMs)]);
  expect(await judgeOnce(pool, 2)).toEqual({ hits: 2, isMoreLeft: true, divided: 0 });
  expect(await judgeOnce(pool, 2)).toEqual({ hits: 1, isMoreLeft: false, divided: 0 });
  expect(await judgeOnce(pool, 2)).toEqual({ hits: 0, isMoreLeft: false, divided: 0 });
  // Empty deltas have no hits, so they do not fill a step.
  await owner.query(
    `INSERT INTO shard.delta (campaign_id, hits, times, recipient_ids, link_ids, profiles, kinds, verdicts, countries, nets, referrers, agent_ids)
     SELECT 1, 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}' FROM generate_series(1, 10001)`,
  );
  expect(await judgeOnce(pool)).toEqual({ hits: 0, isMoreLeft: true, divided: 0 });
  expect(await judgeOnce(pool)).toEqual({ hits: 0, isMoreLeft: false, divided: 0 });
});

test('much at once is judged in time that grows with it, also where the statistics know of nothing', async () => {
  await owner.query(`TRUNCATE ${TABLES}`);
  await owner.query('ANALYZE shard.delta, shard.people, shard.event');
  // The connections of the judge have plans from a time when the partition was nearly empty.
  for (let n = 0; n < 7; n++) {
    await commit(Array.from({ length: BURST.manyLinks }, (_, i) => ({ ...clickOf(1 + 2 * i, n * 10_000 + i), recipient: 30_000 + n })));
    await judgeAll(pool);
  }
  // One third of 24,000 recipients clicks like a scanner. An implementation that compares all clicks with each other would take minutes.
  await owner.query(
    `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
     SELECT to_timestamp($1 / 1000.0) + CASE WHEN person % 3 = 0 THEN interval '100 ms' ELSE interval '1 hour' END * link, person * 10 + link, gen_random_uuid(), gen_random_uuid(), person, link, 1, 0, 2, 'click', 'human'
     FROM generate_series(1, 24000) person, generate_series(1, 5) link`,
    [START],
  );
  // The clicks of a recipient are in several deltas, so that many of them are merged before their signals are found.
  await owner.query(appendDeltas('(SELECT * FROM shard.event WHERE recipient_id <= 24000 ORDER BY md5(off::text))'));
  await judgeAll(pool);
  await expectCountsRight();
  expect(await rowsOf(`SELECT verdict, count(*)::int AS n FROM shard.event GROUP BY 1 ORDER BY 1`)).toEqual([
    { verdict: 'human', n: 5 * 16_000 },
    { verdict: 'burst', n: 5 * 8_000 + 7 * BURST.manyLinks },
  ]);
  // The rows have an older version of the rules, so each of them changes.
  await reclassify(1, BURST.fewLinks);
  await expectCountsRight();
}, 60_000);

describe('months that are dropped', () => {
  const OLD = START - 200 * 86_400_000;

  test('go once the judge has taken all of them, and their counts stay', async () => {
    await owner.query(`TRUNCATE ${TABLES}`);
    for (const at of [OLD, START]) await owner.query('SELECT shard.ensure_month($1)', [new Date(at)]);
    const clickAt = (atMs: number): Hit => clickOf(1, atMs - START);
    const now = Date.now();
    await commit([clickAt(OLD), clickAt(OLD), clickAt(now)]);
    const dropped = async () =>
      (await pool.query<{ month: string }>('SELECT shard.drop_months(1) AS month')).rows.map(({ month }) => month);
    const counts = async () =>
      Promise.all(
        [
          'SELECT link_id, kind, sum(hits) AS hits FROM shard_analytics.activity_15m GROUP BY 1, 2',
          'SELECT * FROM shard_analytics.campaign_totals ORDER BY campaign_id, kind',
          'SELECT * FROM shard_analytics.engagement',
          'SELECT * FROM shard_analytics.activity ORDER BY link_id, kind',
          'SELECT * FROM shard_analytics.first_hits',
          'SELECT * FROM shard_analytics.facets ORDER BY facet, kind, value',
        ].map(rowsOf),
      );
    const before = await counts();
    expect(await dropped()).toEqual([]);
    await judgeAll(pool);
    expect(await dropped()).toContain(`event_${new Date(OLD).toISOString().slice(0, 7).replace('-', '_')}`);
    expect(await rowsOf('SELECT count(*)::int AS n FROM shard.event')).toEqual([{ n: 1 }]);
    expect(await counts()).toEqual(before);
    expect(await dropped()).toEqual([]);
  });
});
