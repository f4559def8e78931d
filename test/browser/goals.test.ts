import { createServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createTracker, type Tracker } from '../../authoring/tracker.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { startBrowser } from '../support/browser.ts';
import { clickledger } from '../support/commands.ts';
import { toRows } from '../support/results.ts';
import { eventually } from '../support/servers.ts';

// From a letter to a goal in a real browser: a rendered letter, a click, a page of another server with the script, and a goal there.

const browser = await startBrowser();
const skipReason = typeof browser === 'string' ? browser : '';
if (skipReason !== '') process.stderr.write(`test/browser is skipped: ${skipReason}\n`);

describe.skipIf(skipReason !== '')('the script', () => {
  let system: System;
  let dataDir: string;
  let analyst: Pool;
  let tracker: Tracker;
  let shop: Server;
  /** The address of the author's own site. */
  let site: string;
  /** The element that `clickledger site add` prints. */
  let tag: string;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'clickledger-goals-'));
    system = await startSystem({ dataDir, shards: 2, durable: false, extra: { LOG_LEVEL: 'warn' } });
    analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
    tracker = await createTracker({ settings: system.env as Record<string, string> });
    const added = await clickledger(['site', 'add', 'localhost', '--json'], { env: system.env as Record<string, string> });
    ({ tag } = JSON.parse(added.stdout) as { tag: string });
    const base = new URL(/src="([^"]+)"/.exec(tag)?.[1] as string).origin;
    shop = createServer((request, response) => {
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.setHeader(
        'Content-Security-Policy',
        `default-src 'self' 'unsafe-inline'; script-src 'unsafe-inline' ${base}; connect-src ${base}`,
      );
      response.end(`<!doctype html><title>${request.url}</title><head>${tag}</head><body>
        <button data-goal="signup" data-goal-value="9.50" data-goal-currency="EUR" data-goal-plan="pro"><b>Sign up</b></button>
        <form data-goal="order" action="/thanks"><input name="q"><button id="order">Order</button></form>
        <button id="own" onclick="clickledger('own', { value: 2, currency: 'USD', color: 'blue' })">Own</button>
        <a id="next" href="/next?q=1">next</a></body>`);
    });
    await new Promise<void>((done) => shop.listen(0, '127.0.0.1', done));
    site = `http://localhost:${(shop.address() as AddressInfo).port}`;
    const created = await clickledger(['campaign', 'create', 'sale', '--follow'], { env: system.env as Record<string, string> });
    expect(created.code).toBe(0);
  }, 120_000);

  afterAll(async () => {
    await (browser as Browser).close();
    await tracker?.close();
    await analyst?.end();
    shop?.close();
    await system?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  interface Tab {
    page: Page;
    /** The parameters of the requests that the script has sent. */
    sent: Record<string, string>[];
    complaints: string[];
  }

  async function open(
    options: Parameters<Browser['newContext']>[0] = {},
    prepare?: (context: BrowserContext) => Promise<unknown>,
  ): Promise<Tab> {
    const context = await (browser as Browser).newContext(options);
    onTestFinished(() => context.close());
    await prepare?.(context);
    const page = await context.newPage();
    const tab: Tab = { page, sent: [], complaints: [] };
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.pathname.startsWith('/e/')) tab.sent.push(Object.fromEntries(url.searchParams));
    });
    page.on('console', (message) => tab.complaints.push(message.text()));
    page.on('pageerror', (error) => tab.complaints.push(String(error)));
    return tab;
  }

  test('sends the visit and the goals of a reader who clicked, and the report shows them', { timeout: 60_000 }, async () => {
    const target = `${site}/landing?a=1&b=2#top`;
    const letter = await tracker.prepare({
      campaign: 'sale',
      html: `<a href="${target.replaceAll('&', '&amp;')}">the sale</a>`,
      pixel: 'none',
    });
    const { html = '' } = await letter.for({ email: 'ann@example.com' });
    // The user agent of a headless browser is recognised as a bot, so the test sends that of a usual browser.
    const { page, sent, complaints } = await open({ userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' });
    await page.setContent(html);
    await page.getByRole('link').click();
    await page.waitForURL(`${site}/landing?a=1&b=2#top`);
    await eventually('the visit is sent', () => sent.length === 1);
    const slug = /\/u\/([0-9A-Za-z]+)/.exec(html)?.[1];
    expect(sent[0]).toEqual({ n: 'visit', s: expect.stringMatching(/^[0-9a-z]{1,10}$/), c: slug, u: `${site}/landing` });
    const session = sent[0]?.['s'];

    await page.getByText('Sign up').click();
    await page.locator('#own').click();
    await page.locator('#next').click();
    await page.waitForURL(`${site}/next?q=1`);
    await page.locator('#order').click();
    await page.waitForURL(`${site}/thanks?q=`);
    await eventually('all is sent', () => sent.length === 6);
    expect(sent.slice(1).map(({ s, c, ...rest }) => ({ isSame: s === session && c === slug, ...rest, u: '' }))).toEqual([
      { isSame: true, n: 'signup', v: '9.50', k: 'EUR', 'x.plan': 'pro', u: '' },
      { isSame: true, n: 'own', v: '2', k: 'USD', 'x.color': 'blue', u: '' },
      { isSame: true, n: 'visit', u: '' },
      { isSame: true, n: 'order', u: '' },
      { isSame: true, n: 'visit', u: '' },
    ]);
    expect(complaints).toEqual([]);

    await eventually('the goals are counted', async () => {
      const { rows } = await analyst.query<{ n: number }>('SELECT count(*)::int AS n FROM analytics.goals');
      return rows[0]?.n === 3;
    });
    const report = await runReport(analyst, await readReport('goals-by-link'), { campaign: 'sale' }, { timeoutSeconds: 30, zone: 'UTC' });
    expect(toRows(report)).toMatchObject([
      { url: target, goal: 'order', human_goals: 1, human_value: null },
      { url: target, goal: 'own', human_goals: 1, human_value: 2, currency: 'USD' },
      { url: target, goal: 'signup', human_goals: 1, human_recipients: 1, goal_percent: 100, human_value: 9.5, currency: 'EUR' },
    ]);
  });

  test('sends a visit for each page of a single-page application, and for a page that the browser kept', async () => {
    const { page, sent } = await open();
    await page.goto(`${site}/app`);
    await page.evaluate(
      `history.pushState({}, '', '/app/one'); history.replaceState({}, '', '/app/one?x=1'); history.pushState({}, '', '/app/two#a')`,
    );
    await page.goBack();
    await eventually('the visits are sent', () => sent.length === 4);
    expect(sent.map(({ u = '' }) => new URL(u).pathname)).toEqual(['/app', '/app/one', '/app/two', '/app/one']);
    // The event of a page that the browser shows again from memory. The headless browser keeps no pages, so the test sends the event.
    await page.evaluate(`dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`);
    await eventually('it is sent', () => sent.length === 5);
    expect(new Set(sent.map(({ s }) => s)).size).toBe(1);
  });

  test('names the page before of another site, and none of its own', async () => {
    const { page, sent } = await open({ extraHTTPHeaders: {} });
    await page.goto(`${site}/one`, { referer: 'https://search.example/find?q=secret' });
    await page.locator('#next').click();
    await page.waitForURL(/next/);
    await eventually('the visits are sent', () => sent.length === 2);
    expect(sent.map(({ r }) => r)).toEqual([expect.stringMatching(/^https:\/\/search\.example\/(?:find)?$/), undefined]);
  });

  test.each<[string, string]>([
    ['Global Privacy Control', `Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })`],
    ['Do Not Track', `Object.defineProperty(Navigator.prototype, 'doNotTrack', { get: () => '1' })`],
  ])('sends nothing and stores nothing with %s', async (_, script) => {
    const { page, sent, complaints } = await open({}, (context) => context.addInitScript(script));
    await page.goto(`${site}/landing?cl=00abcdefghijklmnopq`);
    await page.getByText('Sign up').click();
    await page.locator('#own').click();
    await page.locator('#next').click();
    await page.waitForURL(/next/);
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(sent).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('works without storage', async () => {
    const { page, sent, complaints } = await open({}, (context) =>
      context.addInitScript(`Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('no') } })`),
    );
    await page.goto(`${site}/landing`);
    await page.locator('#own').click();
    await eventually('the visit and the goal are sent', () => sent.length === 2);
    expect(sent[0]).toMatchObject({ n: 'visit', s: expect.stringMatching(/^[0-9a-z]+$/) });
    expect(sent[1]?.['s']).toBe(sent[0]?.['s']);
    expect(complaints).toEqual([]);
  });

  test('breaks no page: without sendBeacon, with odd addresses, and with any values', async () => {
    const without = await open({}, (context) => context.addInitScript('delete Navigator.prototype.sendBeacon'));
    await without.page.goto(`${site}//landing?cl=00abcdefghijklmnopq`);
    await without.page.evaluate(`history.pushState({}, '', '/other'); clickledger('a')`);
    expect(without.page.url()).toBe(`${site}/other`);
    expect(without.complaints).toEqual([]);
    const { page, sent, complaints } = await open();
    await page.goto(`${site}//landing?cl=00abcdefghijklmnopq&b=1`);
    expect(page.url()).toBe(`${site}//landing?b=1`);
    await page.goto(`${site}/landing?color=red&cl=de&x=1`);
    expect(page.url()).toBe(`${site}/landing?color=red&cl=de&x=1`);
    await page.evaluate(
      `clickledger('a', null); clickledger('b', { value: 0.1 + 0.2 }); clickledger('c', { value: '7', a: undefined, b: '' })`,
    );
    await eventually('all is sent', () => sent.length === 5);
    expect(sent.map(({ n, v, c }) => [n, v, c])).toEqual([
      ['visit', undefined, '00abcdefghijklmnopq'],
      ['visit', undefined, '00abcdefghijklmnopq'],
      ['a', undefined, '00abcdefghijklmnopq'],
      ['b', '0.3', '00abcdefghijklmnopq'],
      ['c', '7', '00abcdefghijklmnopq'],
    ]);
    expect(complaints).toEqual([]);
  });

  test('sends the visit of a prepared page when the reader sees it', async () => {
    const { page, sent } = await open({}, (context) =>
      context.addInitScript(`let prepared = true; Object.defineProperty(Document.prototype, 'prerendering', { get: () => prepared });
        globalThis.activate = () => { prepared = false; document.dispatchEvent(new Event('prerenderingchange')); }`),
    );
    await page.goto(`${site}/landing`);
    await page.evaluate(`history.replaceState({}, '', '/landing?a')`);
    expect(sent).toEqual([]);
    await page.evaluate('activate()');
    await eventually('the visit is sent', () => sent.length === 1);
  });
});
