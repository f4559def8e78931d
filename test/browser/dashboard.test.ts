import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDesk } from '../../desk/app.ts';
import { toHtml } from '../../reporting/format/html.ts';
import { asStream, textOf } from '../support/results.ts';
import { readReport } from '../../reporting/report-file.ts';
import { readReach, runReport } from '../../reporting/run-report.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { findAxeViolations, startBrowser } from '../support/browser.ts';
import { addHits } from '../support/campaigns.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { authorOptionsFor } from '../support/desk.ts';
import { type Added, addDeskData, addLetter, addPictureData } from '../support/desk-data.ts';

// Tests the dashboard in a real browser: with the keyboard, on a desktop and on a phone. The tests store screenshots in SHOTS.
// SCREENSHOTS=docs writes the pictures of the documentation.

const SHOTS = join(tmpdir(), 'clickledger-dashboard');
const REFRESH_SECONDS = 1;

// The browser is started before the tests are defined. Without a browser, the tests are skipped and the reason is printed.
const browser = await startBrowser();
const skipReason = typeof browser === 'string' ? browser : '';
if (skipReason !== '') process.stderr.write(`test/browser is skipped: ${skipReason}\n`);

let databases: Databases;
let pool: Pool;
let url: string;
let spring: Added;

describe.skipIf(skipReason !== '')('in a browser', () => {
  beforeAll(async () => {
    databases = await createDatabases(2);
    spring = await addDeskData(databases, 60);
    pool = createPool(databases.roleUrls.analyst, { max: 4, name: 'test' });
    const author = createPool(databases.roleUrls.author, { max: 2, name: 'test' });
    const app = createDesk({
      pool,
      author: authorOptionsFor(databases, author),
      zone: 'UTC',
      host: '127.0.0.1',
      timeoutSeconds: 30,
      refreshSeconds: REFRESH_SECONDS,
      onError: (error) => process.stderr.write(`${String(error)}\n`),
    });
    url = await app.listen({ port: 0, host: '127.0.0.1' });
    await mkdir(SHOTS, { recursive: true });
    return async () => {
      await app.close();
      await pool.end();
      await author.end();
    };
  });

  afterAll(async () => {
    await (browser as Browser).close();
  });

  /** Opens a page and collects all errors and warnings of the browser. */
  async function open(
    options: Parameters<Browser['newContext']>[0] = {},
  ): Promise<{ context: BrowserContext; page: Page; complaints: string[] }> {
    const context = await (browser as Browser).newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      // The policy of a letter blocks its scripts and images. The browser reports each of them as an error, which is expected.
      if (['error', 'warning'].includes(message.type()) && !message.location().url.includes('/letter/')) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) complaints.push(`asked ${request.url()}`);
    });
    // A request that the policy refuses is not sent.
    page.on('requestfailed', (request) => {
      if (request.failure()?.errorText === 'csp') complaints.splice(complaints.indexOf(`asked ${request.url()}`), 1);
    });
    return { context, page, complaints };
  }

  /** Presses Tab until the focused element has this text. */
  async function tabTo(page: Page, text: string | RegExp): Promise<void> {
    for (let i = 0; i < 150; i++) {
      await page.keyboard.press('Tab');
      // While a link in a frame has the focus, the frame is the active element.
      const focused = String(await page.evaluate('document.activeElement.textContent')).trim();
      if (typeof text === 'string' ? focused === text : text.test(focused)) return;
    }
    throw new Error(`the Tab key reaches no element with the text '${text}'`);
  }

  test('from the overview to a report and its parameters by keyboard alone', async () => {
    const { context, page, complaints } = await open();
    await page.goto(url);
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').textContent()).toBe('Skip to the content');
    expect((await page.locator(':focus').boundingBox())?.x).toBeGreaterThanOrEqual(0);
    await page.keyboard.press('Enter');
    await tabTo(page, 'Spring sale');
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).toBe('solid');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${url}/campaign/${spring.campaign}`);
    expect(await page.locator('h1').textContent()).toBe('Spring sale');
    await tabTo(page, /^\d+ reports about this campaign/);
    await page.keyboard.press('Enter');
    await tabTo(page, 'Clicks by hour');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/report\/clicks-by-hour\?campaign=/);
    await page.getByLabel('timezone').focus();
    await page.keyboard.type('Asia/Kolkata');
    // The page refreshes itself while the user types. The typed text must stay.
    await page.waitForResponse((response) => response.url().includes('/report/'));
    await page.waitForTimeout(200);
    expect(await page.getByLabel('timezone').inputValue()).toBe('Asia/Kolkata');
    await page.keyboard.press('Enter');
    await page.waitForURL(/timezone=Asia%2FKolkata/);
    expect(await page.locator('tbody td').first().textContent()).toBe('2030-05-01 13:00');
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('CSV comes as a file', async () => {
    const { context, page } = await open({ acceptDownloads: true });
    await page.goto(`${url}/campaign/${spring.campaign}`);
    await page.getByText(/reports about this campaign/).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Clicks by link as CSV' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe(`clicks-by-link-${spring.campaign}.csv`);
    const rows = parse(await readFile(await download.path(), 'utf8'), { columns: true });
    expect(rows.slice(0, 2)).toMatchObject([{ human_hits: '80' }, { human_hits: '30', machine_hits: '45' }]);
    await context.close();
  });

  test('a page shows what has come, and keeps focus and the place one was at', async () => {
    const { context, page, complaints } = await open({ viewport: { width: 700, height: 700 } });
    await page.goto(url);
    const row = page.locator('tr', { hasText: 'Welcome' });
    expect(await row.locator('td').allTextContents()).toEqual(['–', '120', '0 0.0%', '0 0.0%', '0', '–']);
    await row.getByRole('link').focus();
    await page.evaluate(`document.querySelector('.table').scrollLeft = 40`);
    await page.evaluate('window.scrollTo(0, 100)');
    await page.evaluate('window.sameDocument = true');
    const { campaign, links } = await welcome();
    await addHits(databases, { campaign, link: links[0] as number, kind: 'click', people: 7 });
    await expect.poll(() => row.locator('td').nth(3).textContent(), { timeout: 10_000 }).toBe('7 5.8%');
    expect(await page.evaluate('window.sameDocument')).toBe(true);
    expect(await page.locator(':focus').textContent()).toBe('Welcome');
    expect(await page.evaluate(`document.querySelector('.table').scrollLeft`)).toBe(40);
    expect(await page.evaluate('window.scrollY')).toBe(100);
    expect(complaints).toEqual([]);
    await context.close();
  });

  async function firstRecipient(): Promise<string> {
    const [row] = await databases.query<{ id: string }>(
      'catalog',
      'SELECT min(recipient_id) AS id FROM catalog.mailing WHERE campaign_id = $1',
      [spring.campaign],
    );
    return row?.id ?? '';
  }

  async function welcome(): Promise<{ campaign: number; links: number[] }> {
    const [row] = await databases.query<{ campaign: string; link: string }>(
      'catalog',
      `SELECT c.id AS campaign, min(l.id) AS link FROM catalog.campaign c JOIN catalog.link l ON l.campaign_id = c.id WHERE c.name = 'Welcome' GROUP BY c.id`,
    );
    return { campaign: Number(row?.campaign), links: [Number(row?.link)] };
  }

  test('where nothing is new, nothing is touched', async () => {
    const { context, page } = await open();
    await page.goto(`${url}/report/day-of-week-heatmap`);
    await page.evaluate(
      `new MutationObserver(() => { window.touched = true; }).observe(document.querySelector('[data-live]'), { childList: true, subtree: true })`,
    );
    for (let i = 0; i < 2; i++) await page.waitForResponse((response) => response.url().includes('/report/'));
    await page.waitForTimeout(200);
    expect(await page.evaluate('window.touched')).toBeUndefined();
    await context.close();
  });

  test('a dashboard that is gone is told of, and what was there stays', async () => {
    const { context, page } = await open();
    await page.goto(url);
    await page.route('**/*', (route) => route.abort());
    await expect.poll(() => page.locator('#status').textContent(), { timeout: 10_000 }).toMatch(/^Not updated since .* does not answer\.$/);
    expect(await page.locator('h1').textContent()).toBe('Campaigns');
    await context.close();
  });

  test('a page that could not be shown is shown once the database answers', async () => {
    const down = createPool('postgres://x:y@127.0.0.1:1/x', { max: 1, name: 'test' });
    let isDown = true;
    const flaky = Object.assign(Object.create(pool) as Pool, { connect: () => (isDown ? down : pool).connect() });
    const app = createDesk({
      pool: flaky,
      host: '127.0.0.1',
      timeoutSeconds: 30,
      zone: 'UTC',
      refreshSeconds: REFRESH_SECONDS,
      onError: () => {},
    });
    const { context, page } = await open();
    await page.goto(`${await app.listen({ port: 0, host: '127.0.0.1' })}/campaign/${spring.campaign}`);
    expect(await page.locator('h1').textContent()).toBe('Not available now');
    isDown = false;
    await expect.poll(() => page.locator('h1').textContent(), { timeout: 10_000 }).toBe('Spring sale');
    await context.close();
    await app.close();
    await down.end();
  });

  test('without script, forms and choices work', async () => {
    const { context, page, complaints } = await open({ javaScriptEnabled: false });
    await page.goto(url);
    await page.getByLabel('Search').fill('spring');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByRole('link', { name: 'Spring sale' }).click();
    await page.getByRole('link', { name: 'Machines', exact: true }).first().click();
    await page.waitForURL(/who=machines/);
    await page.getByLabel('From', { exact: true }).fill('2030-05-01T08:00');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.waitForURL(/who=machines&range=custom/);
    await page.goto(`${url}/report/clicks-by-hour`);
    await page.getByLabel('campaign').selectOption('Spring sale');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.waitForURL(new RegExp(`campaign=${spring.campaign}`));
    expect(complaints).toEqual([]);
    await context.close();
  });

  describe.each([1280, 375, 320])('%d pixels wide', (width) => {
    test.each(['light', 'dark'] as const)('in %s, no page is wider than the screen', async (colorScheme) => {
      const { context, page, complaints } = await open({ viewport: { width, height: 900 }, colorScheme });
      for (const [name, path] of [
        ['overview', '/'],
        ['campaign', `/campaign/${spring.campaign}`],
        ['report', `/report/campaign-summary?campaign=${spring.campaign}`],
        ['all', '/report/clicks-of-url'],
        ['heatmap', `/report/day-of-week-heatmap?campaign=${spring.campaign}`],
        ['link', `/campaign/${spring.campaign}/link/${spring.links[0]}`],
        ['people', `/campaign/${spring.campaign}/people/clicked?mailable=only`],
        ['person', `/person/${await firstRecipient()}`],
        ['property', `/campaign/${spring.campaign}/by/country?value=DE`],
        ['new campaign', '/new-campaign'],
        ['manage', `/campaign/${spring.campaign}/manage`],
        ['manage link', `/campaign/${spring.campaign}/link/${spring.links[0]}/manage`],
        ['preview', '/preview'],
        ['forget', `/person/${await firstRecipient()}/forget`],
        ['machines', `/campaign/${spring.campaign}?who=machines&range=day&facet=country`],
      ] as const) {
        await page.goto(`${url}${path}`);
        expect([name, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([name, width]);
        if (width > 320) await page.screenshot({ path: join(SHOTS, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
      expect(complaints).toEqual([]);
      await context.close();
    });
  });

  test('the letter is shown with its clicks, runs no script, loads nothing, and each link leads to those who clicked it', async () => {
    const { context, page, complaints } = await open();
    await page.goto(`${url}/campaign/${spring.campaign}`);
    const letter = page.frameLocator('iframe');
    await letter.getByText('spring is here').waitFor();
    expect(await letter.getByText('in the spring sale').textContent()).toBe('100.0% · 80in the spring sale');
    expect(await letter.getByText('To the offers').textContent()).toBe('37.5% · 30To the offers');
    expect(complaints).toEqual([]);
    await letter.getByText('To the offers').click();
    await page.waitForURL(`${url}/campaign/${spring.campaign}/link/${spring.links[1]}`);
    await page.goto(`${url}/campaign/${spring.campaign}?part=text`);
    expect(await page.frameLocator('iframe').locator('pre').textContent()).toContain('potatoes: 0.0% · 0https://shop.example/sale');
    await context.close();
  });

  test('a letter with a script, a form, frames and another base address is only shown', async () => {
    const { context, page, complaints } = await open();
    const { campaign } = await welcome();
    const hostile = `<base href="https://elsewhere.example/"><meta http-equiv="refresh" content="0;url=https://elsewhere.example/"><script>top.location = 'https://elsewhere.example/'</script>
<a href="https://shop.example/sale?from=letter&amp;page=1" onclick="top.location='https://elsewhere.example/'">Offer</a> <a href=https://shop.example/unquoted target=_blank>Unquoted</a>
<form action="https://elsewhere.example/"><button>Send</button></form><iframe src="https://elsewhere.example/"></iframe><object data="https://elsewhere.example/"></object><img src=x onerror="top.location='https://elsewhere.example/'">`;
    await addLetter(databases, campaign, hostile, 'Text');
    await page.goto(`${url}/campaign/${campaign}`);
    const letter = page.frameLocator('iframe').first();
    await letter.getByRole('button', { name: 'Send' }).click();
    await page.waitForTimeout(300);
    expect(page.url()).toBe(`${url}/campaign/${campaign}`);
    // The browser also reports the frame, which the policy refuses.
    expect(complaints.filter((text) => !text.startsWith('Framing'))).toEqual([]);
    await letter.getByText('Unquoted').click();
    await page.waitForURL(/\/link\/\d+$/);
    await context.close();
  });

  test('who clicked the second link and can be mailed is found from the overview', async () => {
    const { context, page } = await open({ acceptDownloads: true });
    await page.goto(url);
    await page.getByRole('link', { name: 'Spring sale' }).click();
    await page.locator('#links tbody tr').nth(1).getByRole('link').click();
    await page.getByRole('link', { name: 'Who clicked and can be mailed' }).click();
    // 30 people clicked this link, and six of them have unsubscribed.
    expect(await page.locator('main p', { hasText: 'left out' }).textContent()).toContain('24 of 30 recipients. 6 left out');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'These recipients as CSV' }).click(),
    ]);
    const people = parse(await readFile(await download.path(), 'utf8'), { columns: true });
    expect(people).toHaveLength(24);
    expect(Object.keys(people[0] as object)).toEqual(['recipient_id', 'email', 'external_id']);
    await context.close();
  });

  test.each([true, false])(
    'an author creates a campaign with a link, and previews a letter (JavaScript: %s)',
    async (javaScriptEnabled) => {
      const { context, page, complaints } = await open({ javaScriptEnabled });
      const expectNoViolations = async (): Promise<void> => {
        if (javaScriptEnabled) expect(await findAxeViolations(page)).toEqual([]);
      };
      const name = `By hand ${javaScriptEnabled}`;
      await page.goto(url);
      await page.getByRole('link', { name: 'New campaign' }).click();
      await page.getByLabel('Name').fill('Spring sale');
      await page.getByRole('button', { name: 'Create the campaign' }).click();
      expect(await page.getByRole('alert').textContent()).toContain('There is already a campaign');
      expect(await page.getByLabel('Name').inputValue()).toBe('Spring sale');
      await expectNoViolations();
      await page.getByLabel('Name').fill(name);
      await page.getByRole('button', { name: 'Create the campaign' }).click();
      await page.waitForURL(/\/campaign\/\d+$/);
      await page.getByRole('link', { name: 'Manage this campaign' }).click();
      await page.getByLabel('Target').fill('https://shop.example/by-hand');
      await page.getByRole('button', { name: 'Add the link' }).click();
      await page.getByLabel('Sent at (UTC)').fill('2030-05-01T08:00');
      await page.getByRole('button', { name: 'Record this time' }).click();
      expect(await page.locator('main').textContent()).toContain('Sent 2030-05-01 08:00 UTC');
      await page.getByRole('link', { name: /^Link \d+$/ }).click();
      expect((await page.getByRole('img', { name: /^QR code of https/ }).boundingBox())?.width).toBe(192);
      await page.getByRole('button', { name: 'Disable the link' }).click();
      expect(await page.locator('main').textContent()).toContain('State: disabled');

      await page.goto(`${url}/preview`);
      const html = Buffer.from('<p><a href="https://shop.example/ä">Sale</a> <a href="mailto:us@shop.example">Us</a></p>');
      await page.getByLabel('HTML of the letter').setInputFiles({ name: 'letter.html', mimeType: 'text/html', buffer: html });
      await page.getByRole('button', { name: 'Preview' }).click();
      expect(await page.locator('.card b').allTextContents()).toEqual(['1', '1']);
      expect(await page.locator('tbody').textContent()).toContain('https://shop.example/ä');
      await page.getByLabel('Or paste the HTML').fill('<p><a href="www.shop.example">Sale</a></p>');
      await page.getByRole('button', { name: 'Preview' }).click();
      expect(await page.locator('.warning').textContent()).toContain('html, line 1: www.shop.example');
      await expectNoViolations();
      // The browser reports the status of the name that exists.
      expect(complaints.filter((text) => !text.includes('409'))).toEqual([]);
      await context.close();
    },
  );

  test('axe finds nothing to mend on any page, in both schemes', async () => {
    const empty = await createDatabases(1);
    const emptyPool = createPool(empty.roleUrls.analyst, { max: 2, name: 'test' });
    const emptyApp = createDesk({
      pool: emptyPool,
      zone: 'UTC',
      host: '127.0.0.1',
      timeoutSeconds: 30,
      refreshSeconds: 60,
      onError: () => {},
    });
    const emptyUrl = await emptyApp.listen({ port: 0, host: '127.0.0.1' });
    const campaign = `${url}/campaign/${spring.campaign}`;
    const addresses = [
      url,
      emptyUrl,
      campaign,
      `${campaign}?who=both&range=day&facet=country&part=text`,
      `${campaign}/link/${spring.links[0]}?who=machines`,
      `${campaign}/people/clicked?mailable=only`,
      `${campaign}/people/not-opened`,
      `${campaign}/by/country?value=DE`,
      `${url}/person/${await firstRecipient()}`,
      `${url}/report/clicks-by-link?campaign=${spring.campaign}`,
      `${url}/new-campaign`,
      `${campaign}/manage`,
      `${campaign}/link/${spring.links[0]}/manage`,
      `${url}/preview`,
      `${url}/person/${await firstRecipient()}/forget`,
      `${url}/nope`,
    ];
    const { context, page } = await open();
    for (const address of addresses) {
      await page.goto(address);
      expect({ address, found: await findAxeViolations(page) }).toEqual({ address, found: [] });
    }
    await context.close();
    await emptyApp.close();
    await emptyPool.end();
  }, 120_000);

  test('a report as a file is shown as it is on the dashboard, and asks nothing of anybody', async () => {
    const report = await readReport('clicks-by-hour');
    const limits = { timeoutSeconds: 30, zone: 'UTC' };
    const result = await runReport(pool, report, { campaign: String(spring.campaign) }, limits);
    const file = await textOf(toHtml(asStream(result), await readReach(pool, limits)));
    for (const width of [1280, 375]) {
      const { context, page, complaints } = await open({ viewport: { width, height: 900 }, offline: true });
      await page.setContent(file);
      expect(await page.locator('svg:visible').count()).toBe(1);
      const colours = await page.evaluate(`[...document.querySelectorAll('svg path')].map((path) => getComputedStyle(path).fill)`);
      expect(colours).toEqual(expect.arrayContaining(['rgb(11, 98, 168)', 'rgb(184, 92, 0)']));
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      await page.screenshot({ path: join(SHOTS, `file-${width}.png`) });
      expect(complaints).toEqual([]);
      await context.close();
    }
  });

  test('the pictures of the documentation are taken', async () => {
    const directory = process.env['SCREENSHOTS'] ?? SHOTS;
    const own = await createDatabases(1);
    const { campaign } = await addPictureData(own);
    const ownPool = createPool(own.roleUrls.analyst, { max: 4, name: 'test' });
    const app = createDesk({ pool: ownPool, zone: 'UTC', host: '127.0.0.1', timeoutSeconds: 30, refreshSeconds: 60, onError: () => {} });
    const address = await app.listen({ port: 0, host: '127.0.0.1' });
    const { context, page } = await open({ viewport: { width: 1200, height: 800 } });
    await page.goto(address);
    await page.screenshot({ path: join(directory, 'desk-overview.png') });
    await page.goto(`${address}/campaign/${campaign}`);
    await page.screenshot({ path: join(directory, 'desk-campaign.png') });
    await page.locator('#letter').scrollIntoViewIfNeeded();
    await page.frameLocator('iframe').getByText('spring is here').waitFor();
    await page.locator('#letter').screenshot({ path: join(directory, 'desk-letter.png') });
    await context.close();
    await app.close();
    await ownPool.end();
  });
});
