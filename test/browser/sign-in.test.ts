import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findAxeViolations, startBrowser } from '../support/browser.ts';
import { addCampaign } from '../support/campaigns.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { addAccount, PASSWORD, startTestDesk, type TestDesk } from '../support/desk.ts';

// Tests the sign-in in a real browser, with and without JavaScript. Only a real browser sends Origin and Sec-Fetch-Site as the desk expects them.

const SHOTS = join(tmpdir(), 'clickledger-team');

const browser = await startBrowser();
const skipReason = typeof browser === 'string' ? browser : '';
if (skipReason !== '') process.stderr.write(`test/browser is skipped: ${skipReason}\n`);

describe.skipIf(skipReason !== '')('the sign-in', () => {
  let databases: Databases;
  let desk: TestDesk;
  let address: string;

  beforeAll(async () => {
    databases = await createDatabases(1);
    await addCampaign(databases, 'Spring sale', 1);
    await addAccount(databases, 'owner@example.org', 'owner');
    desk = await startTestDesk(databases);
    await desk.app.listen({ host: '127.0.0.1', port: 0 });
    address = `http://127.0.0.1:${(desk.app.server.address() as AddressInfo).port}`;
  }, 60_000);

  afterAll(async () => {
    await (browser as Browser).close();
    desk.app.server.closeAllConnections();
    await desk.app.close();
  });

  test.each([true, false])('works from the first page to the sign-out (JavaScript: %s)', async (javaScriptEnabled) => {
    const context = await (browser as Browser).newContext({ javaScriptEnabled });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
    });
    await page.goto(`${address}/campaign/1`);
    expect(new URL(page.url()).pathname).toBe('/sign-in');
    await page.getByLabel('Name').fill('owner@example.org');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Spring sale' }).waitFor();
    expect(new URL(page.url()).pathname).toBe('/campaign/1');
    await page.getByRole('link', { name: 'Share this campaign' }).click();
    await page.getByLabel('Valid for').selectOption('7');
    await page.getByRole('button', { name: 'Create a link' }).click();
    const link = (await page.getByRole('link', { name: '/shared/' }).getAttribute('href')) ?? '';
    await page.getByRole('link', { name: 'Team' }).click();
    await page.getByRole('heading', { name: 'Accounts' }).waitFor();
    await page.getByRole('link', { name: 'owner@example.org' }).click();
    await page.getByRole('heading', { name: 'Change the password' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.goto(`${address}/`);
    expect(new URL(page.url()).pathname).toBe('/sign-in');
    await page.goto(link);
    await page.getByRole('heading', { name: 'Spring sale' }).waitFor();
    expect(await page.getByRole('link').count()).toBeLessThanOrEqual(1);
    expect(problems).toEqual([]);
    await context.close();
  });

  test('axe finds nothing to mend on the pages of a team, and none is wider than a phone', async () => {
    const context = await (browser as Browser).newContext({ viewport: { width: 375, height: 800 } });
    const page = await context.newPage();
    const check = async (name: string): Promise<void> => {
      expect({ name, found: await findAxeViolations(page) }).toEqual({ name, found: [] });
      expect([name, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([name, 375]);
      await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
    };
    await mkdir(SHOTS, { recursive: true });
    await page.goto(`${address}/sign-in`);
    await check('sign-in');
    await page.getByLabel('Name').fill('owner@example.org');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Campaigns' }).waitFor();
    for (const path of ['team', 'team/keys', 'team/log', 'account', 'campaign/1/share']) {
      await page.goto(`${address}/${path}`);
      await check(path.replaceAll('/', '-'));
    }
    await page.getByRole('button', { name: 'Create a link' }).click();
    await page.goto((await page.getByRole('link', { name: '/shared/' }).getAttribute('href')) ?? '');
    await check('shared');
    await context.close();
  });

  test('a form of another site does nothing', async () => {
    const context = await (browser as Browser).newContext();
    const page = await context.newPage();
    await page.goto(`${address}/sign-in`);
    await page.getByLabel('Name').fill('owner@example.org');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Campaigns' }).waitFor();
    // The same machine by another name is another site for a browser.
    const foreign = address.replace('127.0.0.1', 'localhost');
    await page.route(`${foreign}/evil`, (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<form action="${address}/account/end-others" method="post"><button>Win</button></form>`,
      }),
    );
    await page.goto(`${foreign}/evil`);
    const [response] = await Promise.all([page.waitForResponse(`${address}/account/end-others`), page.getByRole('button').click()]);
    expect(response.status()).toBe(403);
    await context.close();
  });
});
