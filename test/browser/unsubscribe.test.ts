import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parseLine } from '../../log-agent/parse.ts';
import { startNginx } from '../../stack/nginx.ts';
import { freePort } from '../../stack/ports.ts';
import { startBrowser } from '../support/browser.ts';
import { eventually } from '../support/servers.ts';

// Unsubscribes in a real browser, with the mouse and with the keyboard.

const SLUG = '00abcdefghijklmnopq';
const browser = await startBrowser();
const skipReason = typeof browser === 'string' ? browser : '';
if (skipReason !== '') process.stderr.write(`test/browser is skipped: ${skipReason}\n`);

describe.skipIf(skipReason !== '')('in a browser', () => {
  let url: string;
  let log: string;
  let logged = 0;

  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'clickledger-unsubscribe-'));
    const port = await freePort();
    const logDir = join(directory, 'logs');
    const nginx = await startNginx({ logDir, runDir: join(directory, 'run'), port, backendPorts: [await freePort()], env: {} });
    url = `http://127.0.0.1:${port}/o/${SLUG}`;
    log = join(logDir, 'access.log');
    return async () => {
      await nginx.stop();
      await rm(directory, { recursive: true, force: true });
    };
  });

  afterAll(() => (browser as Browser).close());

  test.each([
    ['de-CH', 'ltr', 'Abmelden', 'Sie sind abgemeldet', 'mouse'],
    ['ar', 'rtl', 'إلغاء الاشتراك', 'تم إلغاء الاشتراك', 'keyboard'],
  ] as const)('the button unsubscribes (%s, %s)', async (locale, direction, name, confirmation, way) => {
    const context = await (browser as Browser).newContext({ locale, viewport: { width: 360, height: 640 }, javaScriptEnabled: false });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    await page.goto(url);
    expect(await page.locator('html').getAttribute('dir')).toBe(direction);
    const button = page.getByRole('button', { name });
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    // The text fits on a small screen.
    const { width = 0, x = -1 } = (await page.getByRole('heading', { level: 1 }).boundingBox()) ?? {};
    expect(x).toBeGreaterThanOrEqual(0);
    expect(x + width).toBeLessThanOrEqual(360);
    if (way === 'mouse') await button.click();
    else {
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
    }
    await page.getByRole('heading', { name: confirmation }).waitFor();
    expect(await page.getByRole('button').count()).toBe(0);
    expect(complaints).toEqual([]);
    logged++;
    await eventually('the request is logged', async () => {
      const lines = (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '');
      return lines.length === logged && lines.every((line) => 'hit' in parseLine(line));
    });
    // A GET of the URL to which the form was sent shows the button again, and unsubscribes nobody.
    await page.goto(page.url());
    await button.waitFor();
    expect((await readFile(log, 'utf8')).trimEnd().split('\n')).toHaveLength(logged);
  });
});
