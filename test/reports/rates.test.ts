import fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import { beforeAll, expect, test } from 'vitest';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createDesk } from '../../desk/app.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { appendDeltas } from '../support/deltas.ts';
import { mergeAll } from '../support/merge.ts';
import { runs } from '../support/runs.ts';
import { DAY, HOUR, MINUTE } from '../traffic/figures.ts';

// Tests the numbers of people in reports, with generated hits.
//
// A recipient who clicked counts as a recipient who opened, even if the mail client showed no images. So no rate exceeds 100 %, and all
// reports and pages must show the same number of people for the same measure. The hits come from people, machines, test recipients,
// recipients who opted out and recipients for whom no mail was prepared.

const PEOPLE = 7;
const START = Date.UTC(2030, 4, 1, 8);

interface Hit {
  /** The index of the recipient. The index PEOPLE stands for the shared link. */
  who: number;
  kind: 'click' | 'open';
  isHuman: boolean;
  afterMs: number;
}

interface Person {
  isPrepared: boolean;
  isTest: boolean;
  /** Whether the recipient opted out of tracking before or after the letter was prepared, or never. */
  optedOut: 'never' | 'before' | 'after';
}

interface Plan {
  people: Person[];
  hits: Hit[];
  /** Whether the judge runs before the reports. Otherwise the marks still wait for the judge. */
  isJudged: boolean;
  /** The time at which the mail was sent. Undefined if the author has not recorded it. */
  sentAfterMs: number | undefined;
}

const anyMs = fc.oneof(fc.nat(10 * DAY), fc.nat(10 * MINUTE), fc.constantFrom(0, MINUTE, 5 * MINUTE, HOUR, 3 * HOUR, DAY));
const anyPlan: fc.Arbitrary<Plan> = fc.record({
  people: fc.array(
    fc.record({
      isPrepared: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      isTest: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
      optedOut: fc.constantFrom('never' as const, 'never' as const, 'before' as const, 'after' as const),
    }),
    { minLength: PEOPLE, maxLength: PEOPLE },
  ),
  hits: fc.array(
    fc.record({ who: fc.nat(PEOPLE), kind: fc.constantFrom('click' as const, 'open' as const), isHuman: fc.boolean(), afterMs: anyMs }),
    { maxLength: 20 },
  ),
  isJudged: fc.boolean(),
  sentAfterMs: fc.option(anyMs, { nil: undefined }),
});

const person: Person = { isPrepared: true, isTest: false, optedOut: 'never' };
const clickOf = (who: number): Hit => ({ who, kind: 'click', isHuman: true, afterMs: who * MINUTE });
/**
 * Six people clicked with images blocked, and one person opened. An earlier version reported a click-to-open rate of 600 % for this, and
 * listed the six clickers as non-openers.
 */
const IMAGES_BLOCKED: Plan = {
  people: Array.from({ length: PEOPLE }, () => person),
  hits: [...[0, 1, 2, 3, 4, 5].map(clickOf), { who: 6, kind: 'open', isHuman: true, afterMs: 0 }],
  isJudged: true,
  sentAfterMs: 0,
};
/** The number of people who clicked is larger than the number of people for whom mail was prepared. */
const WITHOUT_MAIL: Plan = {
  people: Array.from({ length: PEOPLE }, (_, i) => ({ ...person, isPrepared: i === 0 })),
  hits: [1, 2, 3].map(clickOf),
  isJudged: false,
  sentAfterMs: undefined,
};

type Row = Record<string, string | number | null>;

let databases: Databases;
let analyst: Pool;
let app: FastifyInstance;

beforeAll(async () => {
  databases = await createDatabases(2);
  analyst = createPool(databases.roleUrls.analyst, { max: 4, name: 'test' });
  app = createDesk({
    pool: analyst,
    host: '127.0.0.1',
    timeoutSeconds: 30,
    zone: 'UTC',
    refreshSeconds: 10,
    patienceMs: 10_000,
    onError: (error) => process.stderr.write(`${String((error as Error).stack)}\n`),
  });
  return async () => {
    await app.close();
    await analyst.end();
  };
});

/** Returns the rows of a report. Texts that look like numbers become numbers. */
async function report(name: string, values: Record<string, string>): Promise<Row[]> {
  const { columns, rows } = await runReport(analyst, await readReport(name), values, { timeoutSeconds: 30, zone: 'UTC' });
  const valueOf = (text: string | null): string | number | null => (text !== null && /^-?[\d.]+$/.test(text) ? Number(text) : text);
  return rows.map((row) => Object.fromEntries(columns.map(({ name: column }, i) => [column, valueOf(row[i] ?? null)])));
}

let campaigns = 0;
let off = 0;

const compareIds = (a: unknown, b: unknown): number => Number(a) - Number(b);

/** Inserts a campaign with its recipients and hits, as authors and workers do. Returns the ids. */
async function insert({ people, hits, isJudged, sentAfterMs }: Plan): Promise<{ campaign: number; ids: number[] }> {
  const n = ++campaigns;
  const [made] = await databases.query<{ campaign: number; link: number; pixel: number }>(
    'catalog',
    `WITH c AS (INSERT INTO catalog.campaign (name, sent_at) VALUES ($1, $2) RETURNING id),
          l AS (INSERT INTO catalog.link (campaign_id, kind, original) SELECT id, kind, original FROM c, (VALUES ('url', 'https://shop.example/'), ('pixel', '')) AS t (kind, original) RETURNING id, kind)
     SELECT (SELECT id FROM c)::int AS campaign, (SELECT id FROM l WHERE kind = 'url')::int AS link, (SELECT id FROM l WHERE kind = 'pixel')::int AS pixel`,
    [`campaign ${n}`, sentAfterMs === undefined ? null : new Date(START + sentAfterMs)],
  );
  const { campaign, link, pixel } = made as { campaign: number; link: number; pixel: number };
  const inserted = await databases.query<{ id: number }>(
    'catalog',
    `INSERT INTO catalog.recipient (email, is_test, opted_out_at)
     SELECT email, is_test, CASE opted_out WHEN 'before' THEN now() - interval '1 day' WHEN 'after' THEN now() + interval '1 day' END
     FROM unnest($1::text[], $2::boolean[], $3::text[]) WITH ORDINALITY AS t (email, is_test, opted_out, i) ORDER BY i RETURNING id::int`,
    [people.map((_, i) => `reader-${n}-${i}@example.com`), people.map(({ isTest }) => isTest), people.map(({ optedOut }) => optedOut)],
  );
  const ids = inserted.map(({ id }) => id);
  await databases.query('catalog', 'INSERT INTO catalog.mailing (campaign_id, recipient_id) SELECT $1, unnest($2::bigint[])', [
    campaign,
    ids.filter((_, i) => people[i]?.isPrepared),
  ]);
  for (const [i, { name: shard }] of databases.shards.list.entries()) {
    await databases.query(shard, 'SELECT shard.tell($1, $2, $3)', [ids, people.map(({ isTest }) => isTest), people.map(() => false)]);
    const own = hits.map((hit) => ({ ...hit, recipient: ids[hit.who] ?? 0 })).filter(({ recipient }) => recipient % 2 === i);
    await databases.query(
      shard,
      `WITH hit AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::shard.kind[], $5::shard.verdict[], $7::timestamptz[]) AS t (off, recipient, link, kind, verdict, at)),
            kept AS (INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
                     SELECT at, off, gen_random_uuid(), gen_random_uuid(), recipient, link, $6, 0, 2, kind, verdict FROM hit RETURNING *)
       ${appendDeltas('kept')}`,
      [
        own.map(() => off++),
        own.map(({ recipient }) => recipient),
        own.map(({ kind }) => (kind === 'click' ? link : pixel)),
        own.map(({ kind }) => kind),
        own.map(({ isHuman }) => (isHuman ? 'human' : 'scanner-net')),
        campaign,
        own.map(({ afterMs }) => new Date(START + afterMs)),
      ],
    );
  }
  for (const { name } of isJudged ? databases.shards.list : []) await mergeAll(databases.shardUrlAs(name, 'worker'));
  return { campaign, ids };
}

/** Returns the rows of the table campaign-summary on its page of the dashboard, as objects by column name. */
async function summaryOn(url: string): Promise<Record<string, string>[]> {
  const { body } = await app.inject(url);
  const rows = Array.from(body.matchAll(/<tr>[^]*?<\/tr>/g), ([row]) =>
    Array.from(row.matchAll(/<t[hd][^>]*>([^]*?)<\/t[hd]>/g), ([, cell = '']) =>
      cell
        .replaceAll(/<[^>]*>/g, '')
        .trim()
        .replaceAll(' ', '_'),
    ),
  );
  const [head = [], ...cells] = rows;
  return cells.map((row) => Object.fromEntries(head.map((column, i) => [column, row[i] ?? ''])));
}

const PERCENT = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** The cards of the page of a campaign. Of two with the same name, the first. */
async function figuresOn(url: string): Promise<Record<string, string>> {
  const { body, statusCode } = await app.inject(url);
  if (statusCode !== 200) throw new Error(body.slice(-800));
  const cards = Array.from(body.matchAll(/<li class="card"[^>]*><span>(?:<a[^>]*>)?([^<]*)(?:<\/a>)?<\/span><b>([^<]*)<\/b>/g));
  return Object.fromEntries(cards.toReversed().map(([, name, value]) => [name, value]));
}

/** The ends of the time ranges in the report first-click-delay. */
const ENDS = [0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY, 2 * DAY, 7 * DAY, Number.POSITIVE_INFINITY];

/**
 * Returns the expected rows of the report first-click-delay for these hits. If the time of sending is not recorded, the first hit counts as
 * the time of sending.
 */
function delaysOf(counted: readonly Hit[], sentAfterMs: number | undefined): Row[] {
  const startMs = sentAfterMs ?? Math.min(...counted.map(({ afterMs }) => afterMs));
  const clicks = counted.filter(({ kind, isHuman }) => kind === 'click' && isHuman);
  const first = Map.groupBy(clicks, ({ who }) => who)
    .values()
    .map((own) => Math.min(...own.map(({ afterMs }) => afterMs)) - startMs)
    .toArray();
  const rows = ENDS.map((end, i) => ({
    since: sentAfterMs === undefined ? 'first hit' : 'sent',
    human_recipients: first.filter((delay) => delay < end && delay >= (ENDS[i - 1] ?? Number.NEGATIVE_INFINITY)).length,
    percent_until_then: percentOf(first.filter((delay) => delay < end).length, first.length),
  }));
  return sentAfterMs === undefined ? rows.slice(1) : rows;
}

const percentOf = (part: number, whole: number): number | null => (whole === 0 ? null : Math.round((10_000 * part) / whole) / 100);

test('who clicked has opened: no rate exceeds 100 %, and every report and page has the same numbers', async () => {
  const firstClicks = new Map<unknown, number>();
  await fc.assert(
    fc.asyncProperty(anyPlan, async (plan) => {
      const { campaign, ids } = await insert(plan);
      const counted = plan.hits.filter(({ who }) => who < PEOPLE && !plan.people[who]?.isTest);
      const peopleWith = (wanted: (hit: Hit) => boolean): number[] => [...new Set(counted.filter(wanted).map(({ who }) => who))];
      const opened = { any: peopleWith(() => true), human: peopleWith(({ isHuman }) => isHuman) };
      const clicked = {
        any: peopleWith(({ kind }) => kind === 'click'),
        human: peopleWith(({ kind, isHuman }) => kind === 'click' && isHuman),
      };
      const prepared = plan.people.flatMap(({ isPrepared, isTest, optedOut }, i) =>
        isPrepared && !isTest && optedOut !== 'before' ? [i] : [],
      );
      const base = prepared.length === 0 ? 0 : Math.max(prepared.length, opened.any.length);

      const values = { campaign: String(campaign) };
      const [clicks, opens] = (await report('campaign-summary', values)) as [Row, Row];
      for (const [row, people] of [
        [clicks, clicked],
        [opens, opened],
      ] as const)
        expect(row).toMatchObject({
          recipients: people.any.length,
          human_recipients: people.human.length,
          machine_only_recipients: people.any.length - people.human.length,
          prepared_for: prepared.length,
          percent: percentOf(people.any.length, base),
          human_percent: percentOf(people.human.length, base),
        });
      expect(clicks).toMatchObject({
        click_to_open_percent: percentOf(clicked.any.length, opened.any.length),
        human_click_to_open_percent: percentOf(clicked.human.length, opened.human.length),
      });

      const compared = await report('compare-campaigns', { campaigns: String(campaign) });
      expect(compared).toMatchObject([
        {
          prepared_for: prepared.length,
          human_recipients_opened: opened.human.length,
          human_recipients_clicked: clicked.human.length,
          human_open_percent: opens['human_percent'],
          human_click_percent: clicks['human_percent'],
          human_click_to_open_percent: clicks['human_click_to_open_percent'],
          human_opens: opens['human_hits'],
          human_clicks: clicks['human_hits'],
        },
      ]);
      expect((await report('compare-campaigns', {})).find((row) => row['campaign_id'] === campaign)).toEqual(compared[0]);

      for (const [opened_by, people] of [
        ['person', opened.human],
        ['anyone', opened.any],
      ] as const) {
        const rest = await report('non-openers', { ...values, opened_by });
        expect(rest.map(({ recipient_id }) => recipient_id)).toEqual(prepared.filter((i) => !people.includes(i)).map((i) => ids[i]));
      }
      const engaged = await report('most-engaged', values);
      expect(engaged.map(({ recipient_id }) => recipient_id).toSorted(compareIds)).toEqual(
        opened.human.map((i) => ids[i]).toSorted(compareIds),
      );

      const delays = await report('first-click-delay', values);
      expect(delays).toMatchObject(delaysOf(counted, plan.sentAfterMs));
      for (const row of delays) firstClicks.set(row['since'], (firstClicks.get(row['since']) ?? 0) + Number(row['human_recipients']));

      for (const row of [clicks, opens, ...compared, ...delays])
        for (const [column, value] of Object.entries(row)) if (column.includes('percent')) expect(Number(value)).toBeLessThanOrEqual(100);

      const shown = await summaryOn(`/report/campaign-summary?campaign=${campaign}`);
      const text = (value: string | number | null | undefined): string => (value == null ? '–' : String(value));
      expect(shown).toHaveLength(2);
      for (const [i, row] of [clicks, opens].entries())
        for (const column of ['recipients', 'human_recipients', 'percent', 'human_percent', 'human_click_to_open_percent'])
          expect({ [column]: shown[i]?.[column] }).toEqual({ [column]: text(row[column]) });

      const figures = await figuresOn(`/campaign/${campaign}`);
      const percent = (row: Row, column: string, count?: string): string =>
        row[column] == null ? (count === undefined ? '–' : text(row[count])) : PERCENT.format(Number(row[column]) / 100);
      expect(figures).toMatchObject({
        'Prepared for': String(prepared.length),
        Opened: percent(opens, 'human_percent', 'human_recipients'),
        Clicked: percent(clicks, 'human_percent', 'human_recipients'),
        'Clicked of opened': percent(clicks, 'human_click_to_open_percent'),
        'Opened, not clicked': String(opened.human.length - clicked.human.length),
        'Not opened': String(prepared.filter((i) => !opened.human.includes(i)).length),
        'Only machines': String(opened.any.length - opened.human.length),
      });
    }),
    { ...runs(25), examples: [[IMAGES_BLOCKED], [WITHOUT_MAIL]] },
  );
  // In a report over all campaigns, campaigns with a time of sending and campaigns without one have separate rows.
  const ofAll = Map.groupBy(await report('first-click-delay', {}), ({ since }) => since);
  for (const [since, clicks] of firstClicks)
    expect({ since, clicks: (ofAll.get(since as string) ?? []).reduce((n, row) => n + Number(row['human_recipients']), 0) }).toEqual({
      since,
      clicks,
    });
}, 240_000);
