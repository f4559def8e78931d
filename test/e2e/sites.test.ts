import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTracker, type Tracker } from '../../authoring/tracker.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { clickledger } from '../support/commands.ts';
import { toRows } from '../support/results.ts';
import { eventually } from '../support/servers.ts';

// Visits and goals through the whole system on two shards, from the command that adds a site to the reports.

const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

let system: System;
let dataDir: string;
let analyst: Pool;
let tracker: Tracker;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-sites-'));
  system = await startSystem({ dataDir, shards: 2, durable: false, extra: { LOG_LEVEL: 'warn' } });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  tracker = await createTracker({ settings: system.env as Record<string, string> });
}, 120_000);

afterAll(async () => {
  await tracker?.close();
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const command = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await clickledger(args, { env: system.env as Record<string, string> });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};
const report = async (name: string, values: Record<string, string> = {}): Promise<Record<string, unknown>[]> =>
  toRows(await runReport(analyst, await readReport(name), values, { timeoutSeconds: 30, zone: 'UTC' }));
const logSize = async (): Promise<number> => (await stat(join(system.logDirs[0] as string, 'access.log'))).size;
/**
 * Requests a path at an edge, with the user agent of a browser, and waits for its line. nginx logs a request after the answer, with the time of
 * that moment. Without waiting, the next request could have an earlier time.
 */
async function get(path: string, init: RequestInit = {}): Promise<Response> {
  const before = await logSize();
  const answer = await fetch(`http://127.0.0.1:${system.ports.edges[0]}${path}`, {
    redirect: 'manual',
    ...init,
    headers: { 'User-Agent': BROWSER, ...(init.headers as Record<string, string>) },
  });
  await eventually('the request is logged', async () => (await logSize()) > before);
  return answer;
}
const pathOf = (url: string): string => new URL(url).pathname;

test('a goal counts for the last click of its recipient, whatever arrives first, and visits for what they name', {
  timeout: 120_000,
}, async () => {
  const site = JSON.parse(await command('site', 'add', 'https://Shop.example/', '--json')) as { url: string; host: string; tag: string };
  expect(site).toMatchObject({ host: 'shop.example', created: true });
  expect(site.tag).toContain(site.url);
  expect(JSON.parse(await command('site', 'list', '--json'))).toMatchObject([{ host: 'shop.example', url: site.url }]);
  await command('campaign', 'create', 'sale', '--follow');
  const url = (target: string, to?: string) => tracker.url(target, { campaign: 'sale', ...(to === undefined ? {} : { to }) });
  // One after the other, because reports list links without a position by their numbers.
  const first = await url('https://www.shop.example/a?x=1#top', 'ann@example.com');
  const second = await url('https://shop.example/b', 'ann@example.com');
  const shared = await url('https://shop.example/c');
  const elsewhere = await url('https://other.example/', 'bob@example.com');
  const click = async (tracked: string): Promise<string> => (await get(pathOf(tracked))).headers.get('location') as string;
  const slug = (tracked: string): string => pathOf(tracked).slice(3);
  expect(await click(first)).toBe(`https://www.shop.example/a?x=1&cl=${slug(first)}#top`);
  expect(await click(shared)).toBe(`https://shop.example/c?cl=${slug(shared)}`);
  expect(await click(elsewhere)).toBe('https://other.example/');

  const to = pathOf(site.url);
  const send = (query: string, init?: RequestInit) => get(`${to}?${query}`, init);
  // The goal names the first link. Later, a click on the second link counts for a later goal.
  expect((await send(`n=visit&s=abc&c=${slug(first)}&u=https%3A%2F%2Fshop.example%2Fa%3Fsecret%3D1`)).status).toBe(204);
  await send(`n=buy&s=abc&c=${slug(first)}&v=10.50&k=eur&x.plan=pro&x.=no&u=ftp%3A%2F%2Fx`);
  await click(second);
  await send(`n=buy&s=abc&c=${slug(first)}&v=5&k=EUR`, { method: 'POST' });
  await send(`n=visit&s=def&r=https%3A%2F%2Fsearch.example%2F%3Fq%3Dx&u=https%3A%2F%2Fshop.example%2Fb`);
  await send(`n=buy&c=${slug(shared)}&v=1&k=USD`, { headers: { 'User-Agent': 'curl/8.1' } });
  await send('n=signup&s=bot', { headers: { 'User-Agent': 'Googlebot/2.1' } });
  // One character is changed, so the signature of this slug is wrong.
  const forged = slug(first).replace(/(?<=^.{5})./, (character) => (character === 'a' ? 'b' : 'a'));
  await send(`n=signup&c=${forged}`);
  // These requests are not counted. They have no name, the id of an unknown site, or the slug of a link as the id of the site.
  await send('v=1');
  await get(`/e/00abcdefghijklmnopq?n=visit`);
  await get(`/e/${slug(shared)}?n=visit`);

  await eventually('all is counted', async () => {
    const { rows } = await analyst.query<{ n: number }>(
      'SELECT sum(n)::int AS n FROM (SELECT count(*) AS n FROM analytics.visits UNION ALL SELECT count(*) FROM analytics.goals) AS each',
    );
    const skipped = await analyst.query<{ reason: string; lines: number }>('SELECT reason, lines FROM analytics.skipped ORDER BY reason');
    return rows[0]?.n === 7 && JSON.stringify(skipped.rows) === '[{"reason":"forged","lines":2},{"reason":"malformed-name","lines":1}]';
  });

  const links = await analyst.query<{ id: number; target: string }>('SELECT link_id AS id, target FROM analytics.links ORDER BY link_id');
  const idOf = (target: string) => links.rows.find((row) => row.target === target)?.id;
  const goals = await analyst.query(
    `SELECT name, value::text, currency, link_id, recipient_id IS NOT NULL AS known, click_at <= at AS later, verdict, properties, dropped FROM analytics.goals ORDER BY at, off`,
  );
  expect(goals.rows).toEqual([
    {
      name: 'buy',
      value: '10.50',
      currency: 'EUR',
      link_id: idOf('https://www.shop.example/a?x=1#top'),
      known: true,
      later: true,
      verdict: 'human',
      properties: { plan: 'pro' },
      dropped: 2,
    },
    {
      name: 'buy',
      value: '5',
      currency: 'EUR',
      link_id: idOf('https://shop.example/b'),
      known: true,
      later: true,
      verdict: 'human',
      properties: null,
      dropped: 0,
    },
    {
      name: 'buy',
      value: '1',
      currency: 'USD',
      link_id: idOf('https://shop.example/c'),
      known: false,
      later: null,
      verdict: 'human',
      properties: null,
      dropped: 0,
    },
    {
      name: 'signup',
      value: null,
      currency: null,
      link_id: null,
      known: false,
      later: null,
      verdict: 'bot-ua',
      properties: null,
      dropped: 0,
    },
    {
      name: 'signup',
      value: null,
      currency: null,
      link_id: null,
      known: false,
      later: null,
      verdict: 'human',
      properties: null,
      dropped: 1,
    },
  ]);
  const visits = await analyst.query('SELECT page, referrer, link_id, campaign_id, verdict FROM analytics.visits ORDER BY at, off');
  expect(visits.rows).toEqual([
    { page: 'shop.example/a', referrer: null, link_id: idOf('https://www.shop.example/a?x=1#top'), campaign_id: 1, verdict: 'human' },
    { page: 'shop.example/b', referrer: 'search.example', link_id: null, campaign_id: null, verdict: 'human' },
  ]);

  expect(await report('goals-by-campaign')).toMatchObject([
    { campaign: 'sale', goal: 'buy', goals: 2, human_goals: 2, recipients: 1, human_value: 15.5, currency: 'EUR' },
    { campaign: 'sale', goal: 'buy', goals: 1, human_goals: 1, recipients: 0, human_value: 1, currency: 'USD' },
    { campaign: 'none', goal: 'signup', goals: 2, human_goals: 1, machine_goals: 1 },
  ]);
  expect(await report('goals-by-link', { campaign: 'sale', goal: 'buy' })).toMatchObject([
    {
      url: 'https://www.shop.example/a?x=1#top',
      goals: 1,
      human_recipients: 1,
      human_clickers: 1,
      goal_percent: 100,
      human_value: 10.5,
    },
    { url: 'https://shop.example/b', goals: 1, human_recipients: 1, human_clickers: 1, goal_percent: 100, human_value: 5 },
    { url: 'https://shop.example/c', goals: 1, human_recipients: 0, human_value: 1, currency: 'USD' },
  ]);
  expect(await report('revenue')).toMatchObject([
    { campaign: 'sale', human_goals: 2, human_value: 15.5, per_goal: 7.75, currency: 'EUR' },
    { campaign: 'sale', human_goals: 1, human_value: 1, currency: 'USD' },
  ]);
  expect(await report('goals-by-day', { site: 'SHOP.example' })).toMatchObject([
    { goal: 'buy', goals: 2 },
    { goal: 'buy', goals: 1 },
    { goal: 'signup', goals: 2 },
  ]);
  expect(await report('goals-by-day', { site: 'other.example' })).toEqual([]);
  expect(await report('pages')).toMatchObject([
    { page: 'shop.example/a', visits: 1, sessions: 1 },
    { page: 'shop.example/b', visits: 1 },
  ]);
  expect(await report('visits-by-day')).toMatchObject([{ site: 'shop.example', visits: 2, visitors: 1, sessions: 2 }]);
  expect(await report('visit-referrers', { limit: '1' })).toMatchObject([{ referrer: 'search.example', visits: 1 }]);
  expect(await report('bounces')).toMatchObject([
    { page: 'shop.example/a', sessions: 1, bounced: 0, bounce_percent: 0 },
    { page: 'shop.example/b', sessions: 1, bounced: 1, bounce_percent: 100 },
  ]);
  expect((await report('time-to-goal'))[0]).toMatchObject({ delay: 'up to 1 min', human_goals: 2, percent: 100 });

  // A recipient who becomes a test recipient leaves the counts, and the audit finds nothing.
  await command('recipient', 'test', 'ann@example.com');
  expect((await report('goals-by-campaign', { campaign: 'sale' })).map(({ goals: n }) => n)).toEqual([1]);
  await command('recipient', 'test', 'ann@example.com', '--undo');
  for (const logs of system.logDirs) await command('audit', '--logs', logs);
});
