import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureLink } from '../../authoring/links.ts';
import { setTest, copyFlagsToShards } from '../../authoring/recipients.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { type Letter, makeLetter, type Setup, send, setting, startSetup } from '../reports/letters.ts';
import { expandMacros, isPrometheus, panelsOf, putIn, readBoard } from '../support/grafana.ts';
import { rawRequest } from '../support/raw-http.ts';
import { toRows } from '../support/results.ts';
import { eventually } from '../support/servers.ts';
import { DAY } from '../traffic/figures.ts';

// Letters with known traffic go through the whole system. Then every query of the analysts' dashboard runs as the role of the analyst, with the
// values that Grafana puts into it, and must return the same figures as the reports.

// In the 30 days after this time, the clocks in New York change. The salt of the day does not exist yet.
const SENT_AT = Date.UTC(new Date().getUTCFullYear() + 1, 9, 20, 7);
const ALWAYS = { from: new Date(0), to: new Date(SENT_AT + 1000 * DAY) };
const TARGETS = [
  { target: 'https://shop.example/sale?a=1&b=2' },
  { target: 'https://shop.example/news', label: 'The "news" | it\'s here' },
  { target: 'https://shop.example/imprint' },
] as const;
const ZONES = ['UTC', 'utc', 'Asia/Kolkata', 'America/New_York'] as const;

type Row = Record<string, unknown>;

const board = await readBoard('analysts');
const panels = panelsOf(board);
const sqlOf = (title: string): string => {
  const target = panels.find((panel) => panel.title === title)?.targets[0];
  if (!target || isPrometheus(target)) throw new Error(`the dashboard has no panel '${title}' with SQL`);
  return target.rawSql;
};
const variable = (name: string) => board.templating.list.find((one) => one.name === name);

let setup: Setup;
let letter: Letter;
let other: Letter;

beforeAll(async () => {
  setup = await startSetup(3);
  const options = { people: 'reader', links: TARGETS.length, recipients: 4000, set: 'ordinary', targets: TARGETS } as const;
  other = await makeLetter(setup, { ...options, name: "summer's <b>news</b>", seed: 7, sentAt: SENT_AT - 5 * DAY });
  letter = await makeLetter(setup, { ...options, name: 'autumn', seed: 107, sentAt: SENT_AT });
  await send(setup, [other, letter]);
  const ids = letter.people.slice(0, 4).map(({ id }) => id);
  await unsubscribe(ids.slice(0, 3));
  // One of the unsubscribed is a test recipient, and another one was subscribed again.
  await setTest(setup.author, ids.slice(0, 1), true);
  await copyFlagsToShards(setup.author, setup.shards, setting(setup.system, 'AUTHOR_URL'), ids.slice(0, 1));
  await setup.author.query('UPDATE catalog.recipient SET resubscribed_at = now() WHERE id = $1', [ids[1]]);
}, 180_000);

afterAll(() => setup?.stop());

/** Recipients unsubscribe by the letter, each of them twice. */
async function unsubscribe(ids: readonly number[]): Promise<void> {
  const link = await ensureLink(setup.author, letter.campaign, { kind: 'unsubscribe' });
  for (const id of [...ids, ...ids]) {
    const { pathname } = new URL(setup.urls.unsubscribe(link, id));
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const answer = await rawRequest(setup.system.ports.edges[0] as number, 'POST', pathname, headers, 'List-Unsubscribe=One-Click');
    expect(answer.status).toBe(200);
  }
  await eventually('the requests are counted', async () => {
    const counted = await setup.analyst.query('SELECT FROM analytics.unsubscribes');
    return counted.rowCount === 2 * ids.length;
  });
}

/** Runs SQL as Grafana does, and returns its rows. */
async function query(sql: string, { campaign = letter.campaign, step = 'hour', zone = 'UTC', range = ALWAYS } = {}): Promise<Row[]> {
  const variables = { campaign: String(campaign), step, __timezone: zone };
  const { rows } = await setup.analyst.query<Row>(expandMacros(putIn(sql, variables), range));
  return rows;
}

/** Returns the rows of a panel as lists of texts. Numbers of all types are compared as texts of JavaScript numbers. */
async function panel(title: string, options?: Parameters<typeof query>[1]): Promise<unknown[][]> {
  return (await query(sqlOf(title), options)).map((row) => Object.values(row).map(plain));
}

/** Returns columns of a report about the letter. With `values`, the report gets these values and no campaign. */
async function report(name: string, columns: readonly string[], values?: Record<string, string>): Promise<unknown[][]> {
  const given = values ?? { campaign: String(letter.campaign) };
  const rows = toRows(await runReport(setup.analyst, await readReport(name), given, { timeoutSeconds: 60, zone: 'UTC' })) as Row[];
  return rows.map((row) => columns.map((column) => plain(row[column])));
}

/** A value as it can be compared: a number if it is one, a time as its ISO text. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value)) return Number(value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.test(value)) return new Date(value).toISOString();
  return value;
}

const sum = (rows: readonly unknown[][], column: number): number => rows.reduce((total, row) => total + Number(row[column]), 0);

describe('the variables', () => {
  test('campaign: the latest comes first, and a name may have any character', async () => {
    const { query: sql, refresh } = variable('campaign') ?? {};
    if (typeof sql !== 'string') throw new Error('the variable has no SQL');
    // Grafana runs it when the dashboard is opened.
    expect(refresh).toBe(1);
    expect(await query(sql)).toEqual([
      { __text: `autumn (${letter.campaign})`, __value: String(letter.campaign) },
      { __text: `summer's <b>news</b> (${other.campaign})`, __value: String(other.campaign) },
    ]);
  });

  test('each step is one of Postgres', async () => {
    for (const { value } of variable('step')?.options ?? [])
      expect((await panel('Clicks over time', { step: String(value) })).length).toBeGreaterThan(0);
  });
});

describe('every query', () => {
  test('runs, and has rows', async () => {
    expect(panels.length).toBeGreaterThan(20);
    for (const { title = '' } of panels) expect((await panel(title)).length, title).toBeGreaterThan(0);
  });

  test('runs without campaigns, and with a campaign that does not exist', async () => {
    for (const { title = '' } of panels) {
      for (const campaign of ['', '999999']) {
        const sql = putIn(sqlOf(title), { campaign, step: 'day', __timezone: 'UTC' });
        await expect(setup.analyst.query(expandMacros(sql, ALWAYS)), title).resolves.toBeDefined();
      }
    }
  });

  test('does not run a value of an address as SQL', async () => {
    for (const { title = '' } of panels) {
      const attack = "1'; SELECT pg_sleep(9); --";
      const sql = expandMacros(putIn(sqlOf(title), { campaign: attack, step: 'day', __timezone: 'UTC' }), ALWAYS);
      if (sqlOf(title).includes('${campaign}')) await expect(setup.analyst.query(sql), title).rejects.toMatchObject({ code: '22P02' });
    }
  });

  test('reads counts, not single hits', async () => {
    const page = await readFile(new URL('../../docs/analysts.md', import.meta.url), 'utf8');
    const viewsOf = (from: string, to: string): string[] =>
      Array.from((page.split(from)[1]?.split(to)[0] ?? '').matchAll(/^\| `(\w+)` \|/gm), ([, view]) => view as string);
    const allowed = [
      ...viewsOf('**Counts that are never deleted**', '**Single hits'),
      ...viewsOf('**Data of authors**', '### Fast queries'),
    ];
    expect(allowed.length).toBeGreaterThan(15);
    for (const { title = '' } of panels) {
      const read = Array.from(sqlOf(title).matchAll(/(?:FROM|JOIN) analytics\.(\w+)/g), ([, view]) => view as string);
      expect(read.length, title).toBeGreaterThan(0);
      for (const view of read) expect(allowed, title).toContain(view);
      expect(sqlOf(title), title).not.toMatch(/analytics\.(?:events|activity|engagement|openers)\b/);
    }
  });

  test('has the columns that the panel names', async () => {
    for (const { title = '', fieldConfig, type, options } of panels) {
      const [row = {}] = await query(sqlOf(title));
      for (const { matcher } of fieldConfig.overrides) expect(Object.keys(row), title).toContain(matcher.options);
      if (type === 'barchart') expect(Object.keys(row), title).toContain(options.xField);
      for (const [, field] of JSON.stringify(fieldConfig).matchAll(/\$\{__data\.fields\.(\w+)\}/g))
        expect(Object.keys(row), title).toContain(field);
    }
  });
});

describe('the figures are those of the reports', () => {
  test('people, shares, and hits by who made them: campaign-summary', async () => {
    const [click, open] = await report('campaign-summary', [
      'prepared_for',
      'human_recipients',
      'human_percent',
      'human_click_to_open_percent',
      'hits',
      'human_hits',
      'machine_hits',
      'unsure_hits',
    ]);
    expect(Number(click?.[1])).toBeGreaterThan(10);
    for (const column of [5, 6, 7]) expect(Number(click?.[column])).toBeGreaterThan(0);
    expect(await panel('People')).toEqual([[click?.[0], open?.[1], click?.[1]]]);
    expect(await panel('Shares of people')).toEqual([[open?.[2], click?.[2], click?.[3]]]);
    expect(await panel('Clicks, by who made them')).toEqual([click?.slice(4)]);
    expect(await panel('Opens, by who made them')).toEqual([open?.slice(4)]);
  });

  test('clicks and opens over time: clicks-by-hour and opens-by-hour, in each time zone', async () => {
    const campaign = String(letter.campaign);
    for (const [title, name] of [
      ['Clicks over time', 'clicks-by-hour'],
      ['Opens over time', 'opens-by-hour'],
    ] as const) {
      for (const zone of ZONES) {
        const rows = await report(name, ['hits', 'human_hits', 'machine_hits'], { campaign, timezone: zone === 'utc' ? 'UTC' : zone });
        const bars = await panel(title, { zone });
        expect(bars.length).toBeGreaterThan(24);
        expect(bars.map(([, people, machines, unsure]) => [people, Number(machines) + Number(unsure)])).toEqual(
          // The report has a row for each hour, and the panel has none for an hour without hits.
          rows.filter(([hits]) => hits !== 0).map(([, people, machines]) => [people, machines]),
        );
        const minutes = new Set(bars.map(([time]) => new Date(String(time)).getUTCMinutes()));
        expect([...minutes]).toEqual([zone === 'Asia/Kolkata' ? 30 : 0]);
      }
    }
  });

  test('the time range selects hits by their quarter of an hour', async () => {
    const range = { from: new Date(SENT_AT), to: new Date(SENT_AT + DAY - 1) };
    const from = range.from.toISOString();
    const inside = await report('clicks-by-hour', ['human_hits', 'machine_hits'], {
      campaign: String(letter.campaign),
      from,
      to: new Date(SENT_AT + DAY).toISOString(),
    });
    const bars = await panel('Clicks over time', { range });
    expect([sum(bars, 1), sum(bars, 2) + sum(bars, 3)]).toEqual([sum(inside, 0), sum(inside, 1)]);
    expect(sum(bars, 1)).toBeLessThan(sum(await panel('Clicks over time'), 1));
    expect(await panel('Clicks over time', { range: { from: new Date(0), to: new Date(1) } })).toEqual([]);
  });

  test('a day begins at midnight of the time zone, also when clocks change', async () => {
    const bars = await panel('Opens over time', { zone: 'America/New_York', step: 'day' });
    const local = new Intl.DateTimeFormat('en-GB', { timeZone: 'America/New_York', hour: '2-digit', minute: '2-digit' });
    expect(new Set(bars.map(([time]) => local.format(new Date(String(time)))))).toEqual(new Set(['00:00']));
    expect(sum(bars, 1)).toBe(sum(await report('opens-by-hour', ['human_hits']), 0));
  });

  test('links: clicks-by-link', async () => {
    const columns = ['position', 'link', 'target', 'human_hits', 'machine_hits', 'human_recipients', 'recipients'];
    const links = await report('clicks-by-link', columns);
    expect(links).toHaveLength(TARGETS.length);
    expect(await panel('Clicks by link')).toEqual(links);
  });

  test.each([
    ['Mail clients', 'mail-clients', 'mail_client'],
    ['Devices', 'devices', 'device'],
    ['Countries', 'countries', 'country'],
    ['Referrers', 'referrers', 'referrer'],
  ])('%s: %s', async (title, name, column) => {
    const rows = await report(name, [column, 'human_hits', 'machine_hits']);
    expect(rows.length).toBeGreaterThan(0);
    expect(await panel(title)).toEqual(rows.slice(0, 15));
  });

  test('unsubscribes', async () => {
    const [row] = await report('unsubscribes', ['unsubscribed', 'still_unsubscribed', 'unsubscribed_percent']);
    expect(row?.slice(0, 2)).toEqual([2, 1]);
    expect(await panel('Unsubscribed')).toEqual([row?.slice(0, 2)]);
    expect(await panel('Unsubscribed, share')).toEqual([[row?.[2]]]);
    expect(sum(await panel('Unsubscribes over time', { step: 'day' }), 1)).toBe(2);
    // Nobody unsubscribed by the other letter.
    expect(await panel('Unsubscribed', { campaign: other.campaign })).toEqual([[0, 0]]);
    expect(await panel('Unsubscribed, share', { campaign: other.campaign })).toEqual([[0]]);
  });

  test('machine traffic', async () => {
    const rows = await report('machine-traffic', ['kind', 'verdict', 'network', 'hits', 'recipients']);
    expect(rows.length).toBeGreaterThan(3);
    expect(await panel('Machine traffic')).toEqual(rows);
  });

  test('all campaigns: compare-campaigns; a name leads to its campaign', async () => {
    const rows = await report(
      'compare-campaigns',
      [
        'campaign_id',
        'campaign',
        'sent_at',
        'prepared_for',
        'human_recipients_opened',
        'human_recipients_clicked',
        'human_open_percent',
        'human_click_percent',
        'human_click_to_open_percent',
        'human_opens',
        'human_clicks',
        'machine_opens',
        'machine_clicks',
      ],
      {},
    );
    const shown = await panel('Campaigns');
    expect(shown.map((row) => row.slice(0, 13))).toEqual(rows);
    expect(shown.map((row) => row.slice(13))).toEqual([letter, other].map(({ sentAt }) => [sentAt, sentAt + 14 * DAY]));
  });

  test('completeness: the line below every report, and the report completeness', async () => {
    const [reach] = (await setup.analyst.query<Row>('SELECT last_at, missing_bytes, holes FROM analytics.reach')).rows.map((row) =>
      Object.values(row).map(plain),
    );
    expect(await panel('Counted until')).toEqual([[reach?.[0]]]);
    expect(await panel('Missing in finished logs')).toEqual([[reach?.[1]]]);
    expect(await panel('Holes in finished logs')).toEqual([[reach?.[2]]]);
    expect(await panel('Time of sending')).toEqual([[new Date(SENT_AT).toISOString()]]);
    const columns = ['generation', 'shard', 'size', 'committed_bytes', 'missing_bytes', 'holes', 'first_commit_at', 'last_commit_at'];
    expect(await panel('Completeness of the logs')).toEqual(await report('completeness', columns, {}));
  });
});

test('the example in docs/analysts.md runs', async () => {
  const page = await readFile(new URL('../../docs/analysts.md', import.meta.url), 'utf8');
  const section = page.split('\n## Dashboards in Grafana\n')[1]?.split('\n## ')[0] ?? '';
  const sql = /```text\n([^`]+)```/.exec(section)?.[1] ?? '';
  const days = (await query(sql)).map((row) => Object.values(row).map(plain));
  expect(sum(days, 1)).toBe(sum(await report('clicks-by-hour', ['human_hits']), 0));
});
