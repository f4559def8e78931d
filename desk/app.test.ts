import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { env, execPath } from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import type { FastifyInstance } from 'fastify';
import { parse as parseHtml } from 'parse5';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { createPool } from '../core/postgres.ts';
import { addCampaign, addHits, addLog, HOSTILE } from '../test/support/campaigns.ts';
import { clickledger, createDataDirectory } from '../test/support/commands.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { listReports } from '../reporting/report-file.ts';
import { readXlsx } from '../test/support/xlsx.ts';
import { createDesk } from './app.ts';
import { mapConcurrently } from '../core/gate.ts';
import { isOwnHost } from './guard.ts';

let databases: Databases;
let app: FastifyInstance;
let spring: Awaited<ReturnType<typeof addCampaign>>;
let hostile: number;
const onError = vi.fn<(error: unknown) => void>();

function dashboardOf(url: string, timeoutSeconds = 30, zone = 'UTC'): FastifyInstance {
  const pool = createPool(url, { max: 4, name: 'test' });
  const made = createDesk({ pool, host: '127.0.0.1', timeoutSeconds, zone, refreshSeconds: 10, onError });
  made.addHook('onClose', () => pool.end());
  return made;
}

beforeAll(async () => {
  databases = await createDatabases(2);
  spring = await addCampaign(databases, 'Spring sale', 100);
  hostile = (await addCampaign(databases, HOSTILE, 1)).campaign;
  const { campaign, links, pixel } = spring;
  await addHits(databases, { campaign, link: pixel, kind: 'open', people: 60 });
  await addHits(databases, { campaign, link: pixel, kind: 'open', people: 20, verdict: 'privacy-proxy' });
  await addHits(databases, { campaign, link: links[0] as number, kind: 'click', people: 10 });
  await addHits(databases, {
    campaign,
    link: links[0] as number,
    kind: 'click',
    people: 10,
    skip: 10,
    at: new Date('2030-05-02T09:20:00Z'),
  });
  await addLog(databases);
  app = dashboardOf(databases.roleUrls.analyst);
  return () => app.close();
});

const get = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });

async function page(url: string, status = 200): Promise<string> {
  const answer = await get(url);
  expect({ url, status: answer.statusCode, type: answer.headers['content-type'] }).toEqual({
    url,
    status,
    type: 'text/html; charset=utf-8',
  });
  const errors: string[] = [];
  parseHtml(answer.body, { onParseError: ({ code }) => errors.push(code) });
  expect({ url, errors }).toEqual({ url, errors: [] });
  return answer.body;
}

/** Removes the content of scripts and keeps their tags. */
const withoutScripts = (html: string): string => html.replaceAll(/(<script\b[^>]*>)[^]*?(?=<\/script>)/g, '$1');

const textOf = (html: string): string =>
  html
    .replaceAll(/<(?:style|script)\b[^]*?<\/(?:style|script)>/g, '')
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ');

describe('pages', () => {
  test('the overview has every campaign with its counts, and every report', async () => {
    const html = await page('/');
    expect(textOf(html)).toContain('Spring sale 2030-05-01 08:00 UTC 100 60 20 20.0 %');
    expect(html).toContain(`<a href="/campaign/${spring.campaign}">Spring sale</a>`);
    for (const { name } of await listReports()) expect(html).toContain(`<a href="/report/${name}">`);
    expect(html).toContain('Counted until 2030-05-01 12:34:56 UTC; no holes.');
    expect(html).not.toContain('<img');
  });

  test('a campaign has a section for each of its fast reports, with a chart, at most 20 rows and links, and links to its other reports', async () => {
    const html = await page(`/campaign/${spring.campaign}`);
    const sections = html.split('<section ').slice(1);
    const own = (await listReports()).filter(({ parameters }) => parameters.some(({ name }) => name === 'campaign'));
    for (const { name, isOnPage, parameters } of own) {
      expect(html).toContain(`href="/report/${name}?campaign=${spring.campaign}"`);
      const isShown = isOnPage && parameters.every((parameter) => parameter.name === 'campaign' || parameter.help.includes('default:'));
      expect({ name, isShown: html.includes(`<section id="${name}"`) }).toEqual({ name, isShown });
    }
    expect(sections.at(-1)).toContain('Which recipients have not opened');
    expect(sections[0]).toMatch(/^id="campaign-summary"/);
    expect(sections[0]).toContain('<svg role="img"');
    expect(sections[0]).toContain(`href="/report/campaign-summary.csv?campaign=${spring.campaign}"`);
    for (const section of sections) expect(section.split('<tr>').length).toBeLessThanOrEqual(1 + 1 + 20);
    expect(html).toContain('The first 20 of 25 rows.');
    expect(html).not.toContain('class="error"');
  });

  test('a name is a name wherever it stands', async () => {
    for (const url of [`/campaign/${hostile}`, `/report/campaign-summary?campaign=${hostile}`, '/report/campaign-summary'])
      expect(await page(url)).toContain('&lt;img src=x onerror=alert(1)&gt;');
  });

  test('every report has a page that runs with its defaults', async () => {
    for (const { name, title } of await listReports()) {
      const html = await page(`/report/${name}`);
      expect(textOf(html)).toContain(title);
      expect(html).not.toContain('class="error"');
    }
  });

  test('a report has a form with what was given, and its values reach the report', async () => {
    const html = await page(`/report/clicks-by-hour?campaign=${spring.campaign}&timezone=Asia%2FKolkata&from=`);
    expect(html).toContain(`<option value="${spring.campaign}" selected>Spring sale</option>`);
    expect(html).toContain('name="timezone" value="Asia/Kolkata"');
    // The hit was at 09:20 UTC, which is 14:50 in this time zone.
    expect(html).toContain('2030-05-01 14:00');
    expect(html).toContain('href="/report/clicks-by-hour.csv?campaign=1&amp;timezone=Asia%2FKolkata"');
  });

  test('CSV has all rows', async () => {
    const answer = await get(`/report/non-openers.csv?campaign=${spring.campaign}`);
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8');
    expect(answer.headers['content-disposition']).toBe(`attachment; filename="non-openers-${spring.campaign}.csv"`);
    expect(parse(answer.body, { columns: true })).toHaveLength(40);
  });

  test('a spreadsheet is offered before CSV, and has all rows', async () => {
    const html = await page(`/report/non-openers?campaign=${spring.campaign}`);
    expect(html.indexOf('/report/non-openers.xlsx?')).toBeGreaterThan(0);
    expect(html.indexOf('/report/non-openers.xlsx?')).toBeLessThan(html.indexOf('/report/non-openers.csv?'));
    const answer = await get(`/report/non-openers.xlsx?campaign=${spring.campaign}`);
    expect(answer.headers['content-type']).toBe('application/vnd.openxmlformats-officedocument.spreadsheetml.sheet');
    expect(answer.headers['content-disposition']).toBe(`attachment; filename="non-openers-${spring.campaign}.xlsx"`);
    const { rows } = await readXlsx(answer.rawPayload);
    expect(rows).toHaveLength(1 + parse((await get(`/report/non-openers.csv?campaign=${spring.campaign}`)).body).length - 1);
  });

  test('a name of a campaign works wherever its number does', async () => {
    expect(await page('/campaign/Spring%20sale')).toContain('<h1>Spring sale</h1>');
    const html = await page('/report/clicks-by-hour?campaign=Spring%20sale');
    expect(html).toContain(`<option value="${spring.campaign}" selected>Spring sale</option>`);
    expect(html).toContain('2030-05-01 09:00');
    expect(await page(`/campaign/${encodeURIComponent(HOSTILE)}`)).toContain('&lt;img src=x');
  });

  test('pages say what was asked, and show times by the clock of the setting', async () => {
    const html = await page('/report/clicks-by-hour?from=2030-05-01&to=2030-05-01&timezone=asia/kathmandu');
    expect(textOf(html)).toContain('By the clock of Asia/Kathmandu: from 2030-05-01 00:00 +05:45 to 2030-05-01 23:59:59 +05:45.');
    expect(textOf(html)).toContain('2030-05-01 15:00');
    const nepal = dashboardOf(databases.roleUrls.analyst, 30, 'Asia/Kathmandu');
    expect((await nepal.inject({ url: '/' })).body).toContain('2030-05-01 13:45 +05:45');
    expect((await nepal.inject({ url: '/report/clicks-by-hour' })).body).toContain('placeholder="Asia/Kathmandu"');
    expect((await nepal.inject({ url: '/report/compare-campaigns' })).body).toContain('2030-05-01 13:45 +05:45');
    await nepal.close();
  });
});

describe('what cannot be shown', () => {
  test.each([
    '/campaign/99',
    '/campaign/0',
    '/campaign/x',
    '/campaign/99999999999999999999',
    '/campaign/1%27',
    '/campaign/Sprnig%20sale',
    '/report/campaign-summary.csv?campaign=x',
    '/report/campaign-summary.xlsx?campaign=x',
    '/report/nope',
    '/report/..%2Fx',
    '/report/nope.csv',
    '/nope',
    '/favicon.ico',
  ])('%s is a page that says so', async (url) => {
    expect(await page(url, 404)).toContain('<a href="/">All campaigns</a>');
  });

  test('a parameter that is not understood leaves the form to mend it', async () => {
    const html = await page('/report/clicks-by-hour?campaign=Sprng+sale', 404);
    expect(textOf(html)).toContain('Campaign &#39;Sprng sale&#39; does not exist. Similar: &#39;Spring sale&#39;.');
    expect(html).toContain('<form');
    expect(await page('/report/clicks-by-hour?from=01.11.2026', 400)).toContain('is not a day or a time');
    const injected = await page(`/report/clicks-by-hour?timezone=${encodeURIComponent(`'; DROP VIEW x; --${HOSTILE}`)}`, 400);
    expect(injected).toContain('is not the name of a time zone');
    expect(injected).not.toContain('<img');
  });

  test.each([
    '/report/clicks-by-hour?nope=1',
    '/report/clicks-by-hour?campaign=1&campaign=2',
    '/campaign/%ff',
    '/report/campaign-summary.csv?limit=x',
    '/report/campaign-summary.xlsx?limit=x',
  ])('%s is a mistake', async (url) => {
    await page(url, 400);
  });

  test('a database that does not answer is a 503 on every page, and no server dies of it', async () => {
    const down = dashboardOf('postgres://x:y@127.0.0.1:1/x');
    for (const url of ['/', '/campaign/1', '/report/campaign-summary', '/report/campaign-summary.csv']) {
      const answer = await down.inject({ url });
      expect({ url, status: answer.statusCode }).toEqual({ url, status: 503 });
      expect(answer.body).toContain('The database does not answer');
    }
    await down.close();
  });

  test('a shard that does not answer takes the place of what needs it, and the page stands', async () => {
    const own = await createDatabases(2);
    const { campaign } = await addCampaign(own, 'one', 5);
    await own.query('catalog', `ALTER SERVER shard_b OPTIONS (SET port '1')`);
    const broken = dashboardOf(own.roleUrls.analyst);
    const { statusCode, body } = await broken.inject({ url: `/campaign/${campaign}` });
    expect(statusCode).toBe(200);
    expect(body.split('class="error"').length).toBeGreaterThan(5);
    expect(body).toContain('<h1>one</h1>');
    await broken.close();
  });

  test('what takes too long is stopped', async () => {
    const hasty = dashboardOf(databases.roleUrls.analyst, 0.001);
    const { statusCode, body } = await hasty.inject({ url: '/report/campaign-summary' });
    expect(statusCode).toBe(503);
    expect(body).toContain('Stopped after 0.001 s');
    await hasty.close();
  });

  test('nothing was unforeseen', () => {
    expect(onError).not.toHaveBeenCalled();
  });
});

describe('who is let in', () => {
  test.each(['localhost', 'localhost:8090', '127.0.0.1:8090', '[::1]:8090', 'LOCALHOST'])('Host %s is ours', async (host) => {
    expect((await get('/', { host })).statusCode).toBe(200);
  });

  test.each(['evil.example', 'evil.example:8090', 'localhost.evil.example', '127.0.0.1.evil.example', '192.168.1.2', '[::2]'])(
    'Host %j is not',
    async (host) => {
      const answer = await get('/', { host });
      expect(answer.statusCode).toBe(421);
      expect(answer.body).not.toContain('Spring');
    },
  );

  test('what it listens on is ours, too; where that is everywhere, any address and no name', () => {
    expect(isOwnHost('reports.example:80', 'reports.example')).toBe(true);
    expect(isOwnHost('192.168.1.2:80', '0.0.0.0')).toBe(true);
    expect(isOwnHost('[fe80::1]:80', '::')).toBe(true);
    expect(isOwnHost('evil.example', '0.0.0.0')).toBe(false);
    expect(isOwnHost('', '127.0.0.1')).toBe(false);
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'] as const)('%s is refused', async (method) => {
    const answer = await app.inject({ method, url: '/' });
    expect([answer.statusCode, answer.headers['allow']]).toEqual([405, 'GET']);
  });

  test('nothing but its own script and style may run, and each page has a nonce of its own', async () => {
    const nonces = new Set<string>();
    for (const url of ['/', '/nope', '/report/campaign-summary']) {
      const { headers, body } = await get(url);
      const policy = String(headers['content-security-policy']);
      const [, nonce = ''] = /script-src 'nonce-([^']+)'/.exec(policy) ?? [];
      nonces.add(nonce);
      expect(policy).toContain(`default-src 'none'`);
      expect(policy).not.toContain('unsafe');
      expect(Array.from(withoutScripts(body).matchAll(/<(?:script|style)\b[^>]*>/g), ([tag]) => tag)).toEqual([
        `<style nonce="${nonce}">`,
        `<script nonce="${nonce}">`,
      ]);
      expect(withoutScripts(body)).not.toMatch(/ style=| on\w+="/);
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
      expect(headers).not.toHaveProperty('set-cookie');
    }
    expect(nonces.size).toBe(3);
  });
});

test('no more than so many work at once, and results are in order', async () => {
  let now = 0;
  let most = 0;
  const results = await mapConcurrently(2, [30, 1, 20, 1, 5], async (ms) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, ms));
    now--;
    return ms;
  });
  expect({ most, results }).toEqual({ most: 2, results: [30, 1, 20, 1, 5] });
});

/** Starts `clickledger dashboard` on a free port. */
async function startCommand(data: string) {
  const child = spawn(execPath, ['cli/main.ts', '--data', data, 'dashboard', '--port', '0'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: env['PATH'] },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  expect(line).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n$/);
  return { child, ended, address: line.trim() };
}

describe('the command', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)(
    'prints its address, serves, and ends with %s though a browser is connected',
    async (signal) => {
      const { child, ended, address } = await startCommand(await createDataDirectory(databases));
      expect(await (await fetch(address)).text()).toContain('Spring sale');
      child.kill(signal);
      expect(await ended).toEqual([0, null]);
    },
  );

  test('serves the API if the settings of an author are there, and otherwise only the pages', async () => {
    const statusWith = async (changes: Record<string, string>): Promise<number> => {
      const { child, ended, address } = await startCommand(await createDataDirectory(databases, changes));
      const { status } = await fetch(`${address}/api/v1/campaigns`);
      child.kill('SIGTERM');
      await ended;
      return status;
    };
    expect(await statusWith({})).toBe(401);
    expect(await statusWith({ AUTHOR_URL: '', SLUG_KEYS: '' })).toBe(404);
  });

  test('needs sign-in on an address that others can reach, unless SIGN_IN is off, and says so', async () => {
    const startWith = async (changes: Record<string, string>): Promise<{ said: string; status: number }> => {
      const data = await createDataDirectory(databases, changes);
      const child = spawn(execPath, ['cli/main.ts', '--data', data, 'dashboard', '--port', '0', '--host', '0.0.0.0'], {
        cwd: fileURLToPath(new URL('..', import.meta.url)),
        env: { PATH: env['PATH'] },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const ended = once(child, 'exit');
      const said = text(child.stderr);
      const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
      const address = `http://127.0.0.1:${new URL(line.trim()).port}`;
      const { status } = await fetch(address, { redirect: 'manual' });
      child.kill('SIGTERM');
      await ended;
      return { said: await said, status };
    };
    expect(await startWith({})).toEqual({ said: expect.stringContaining('clickledger user add'), status: 303 });
    expect(await startWith({ AUTHOR_URL: '', SLUG_KEYS: '' })).toEqual({ said: expect.stringContaining('AUTHOR_URL'), status: 303 });
    expect(await startWith({ SIGN_IN: 'off' })).toEqual({ said: expect.stringContaining('everyone who can reach'), status: 200 });
  });

  test('refuses what it cannot listen on', async () => {
    const data = ['--data', await createDataDirectory(databases)];
    expect((await clickledger([...data, 'dashboard', '--port', '99999'])).code).toBe(2);
    expect(await clickledger([...data, 'dashboard', '--host', '203.0.113.1', '--port', '0'])).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^clickledger: cannot listen on 203\.0\.113\.1:0: [^\n]+\n$/),
    });
  });
});
