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
import { authorOptionsFor } from '../test/support/desk.ts';
import { createDesk } from './app.ts';
import type { AuthorOptions } from './author/tools.ts';
import { mapConcurrently } from '../core/gate.ts';
import { isOwnHost } from './guard.ts';

let databases: Databases;
let app: FastifyInstance;
let spring: Awaited<ReturnType<typeof addCampaign>>;
let hostile: number;
const onError = vi.fn<(error: unknown) => void>();

function dashboardOf(url: string, timeoutSeconds = 30, zone = 'UTC', author?: AuthorOptions): FastifyInstance {
  const pool = createPool(url, { max: 4, name: 'test' });
  const made = createDesk({ pool, host: '127.0.0.1', timeoutSeconds, zone, refreshSeconds: 10, patienceMs: 10_000, onError, author });
  made.addHook('onClose', () => pool.end());
  return made;
}

beforeAll(async () => {
  databases = await createDatabases(2);
  spring = await addCampaign(databases, 'Spring sale', 100);
  hostile = (await addCampaign(databases, HOSTILE, 1)).campaign;
  const { campaign, links, pixel } = spring;
  await addHits(databases, { campaign, link: pixel, kind: 'open', people: 60 });
  await addHits(databases, { campaign, link: pixel, kind: 'open', people: 20, skip: 60, verdict: 'privacy-proxy' });
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
  const author = createPool(databases.roleUrls.author, { max: 2, name: 'test' });
  app = dashboardOf(databases.roleUrls.analyst, 30, 'UTC', authorOptionsFor(databases, author));
  app.addHook('onClose', () => author.end());
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
  test('the overview has every campaign with its figures, and every report', async () => {
    const html = await page('/');
    expect(textOf(html)).toMatch(/Spring sale sent May 1, 2030, 8:00.AM UTC 100 60 60\.0% 20 20\.0% 0 20\.0%/);
    expect(html).toContain(`<a href="/campaign/${spring.campaign}">Spring sale</a>`);
    for (const { name } of await listReports()) expect(html).toContain(`<a href="/report/${name}">`);
    expect(textOf(html)).toMatch(/Counted until May 1, 2030, 12:34.PM UTC . Nothing is missing\./);
    expect(html).not.toContain('<img');
  });

  test('the overview is searched and ordered, and says so where nothing is found', async () => {
    expect(await page('/?q=SPRING')).not.toContain('&lt;img');
    expect(await page('/?q=%25')).toContain('No name of a campaign contains');
    expect(await page(`/?q=${encodeURIComponent(HOSTILE)}`)).toContain(
      `value="${HOSTILE.replace(/[&<>"']/g, (c) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": '#39' }[c]};`)}"`,
    );
    for (const sort of ['newest', 'name', 'opened', 'clicked', 'machines']) expect(await page(`/?sort=${sort}`)).toContain('Spring sale');
  });

  test('numbers and times are written as the language of the browser does, by the clock that was chosen', async () => {
    const { body } = await get('/?zone=asia/kathmandu', { 'accept-language': 'xx-invalid-tag-!, de-AT;q=0.9, en' });
    expect(textOf(body)).toContain('1. Mai 2030, 13:45 +05:45');
    expect(textOf(body)).toContain('20 20,0 %');
    expect(body).toContain('href="/campaign/1?zone=Asia%2FKathmandu"');
  });

  test('a campaign has its figures, and each leads to those whom it counts', async () => {
    const html = await page(`/campaign/${spring.campaign}`);
    expect(textOf(html)).toMatch(/Opened 60\.0% 60 recipients\..*Clicked 20\.0% 20 recipients\..*Clicked of opened 33\.3%/);
    const cards = Array.from(html.matchAll(/<a href="(\/campaign\/\d+\/people\/([a-z-]+))">[^<]+<\/a><\/span><b>(\d+)<\/b>/g));
    expect(cards.map(([, , segment]) => segment)).toEqual([
      'opened',
      'clicked',
      'opened-not-clicked',
      'not-opened',
      'unsubscribed',
      'machines-only',
    ]);
    for (const [, path, segment, count] of cards) {
      expect(textOf(await page(path as string))).toContain(` ${count} recipients.`);
      const csv = await get(`/report/segment.csv?campaign=${spring.campaign}&segment=${segment}`);
      expect({ segment, rows: parse(csv.body, { columns: true }).length }).toEqual({ segment, rows: Number(count) });
    }
    expect(cards.map(([, , , count]) => count)).toEqual(['60', '20', '40', '40', '0', '20']);
  });

  test('the switch between people and machines holds for the whole page', async () => {
    const machines = textOf(await page(`/campaign/${spring.campaign}?who=machines`));
    expect(machines).toContain('Only machines 20 recipients whose opens');
    expect(machines).toContain('20 opens and 0 clicks by machines');
    const both = textOf(await page(`/campaign/${spring.campaign}?who=both`));
    expect(both).toContain('80 opens and 20 clicks,');
    expect(await page(`/campaign/${spring.campaign}?who=machines`)).toContain('/link/1?who=machines');
  });

  test('the chart has the period that was chosen', async () => {
    const counts = async (query: string) =>
      / (\d+) opens and (\d+) clicks by people/.exec(textOf(await page(`/campaign/${spring.campaign}?${query}`)))?.slice(1);
    // The letter was sent at 08:00. The first hits are from 09:20, one each 7 minutes.
    expect(textOf(await page(`/campaign/${spring.campaign}?range=hour`))).toContain(
      'There are no opens and no clicks by people in this period.',
    );
    expect(await counts('range=week')).toEqual(['60', '20']);
    expect(await counts('range=custom&from=2030-05-02&to=2030-05-02')).toEqual(['0', '10']);
    expect(await counts('range=custom&from=2030-05-01T09:00&to=2030-05-01T10:00')).toEqual(['10', '10']);
    expect(await page(`/campaign/${spring.campaign}?range=custom&from=2030-05-03&to=2030-05-01`)).toContain('class="error"');
    await page(`/campaign/${spring.campaign}?range=never`, 400);
  });

  test('every link of every page leads to a page', async () => {
    const kindOf = (path: string): string => path.replace(/\?.*/, '').replaceAll(/\d+/g, 'N');
    const visited = new Map<string, number>();
    const queue = ['/'];
    const seen = new Set(queue);
    for (let url = queue.shift(); url !== undefined; url = queue.shift()) {
      visited.set(kindOf(url), (visited.get(kindOf(url)) ?? 0) + 1);
      const { statusCode, headers, body } = await get(url);
      expect({ url, statusCode }).toEqual({ url, statusCode: 200 });
      if (headers['content-type'] !== 'text/html; charset=utf-8') continue;
      for (const [, raw = ''] of body.matchAll(/(?:href|src)="(\/[^"]*)"/g)) {
        const next = raw.replaceAll('&amp;', '&').replace(/#.*/, '');
        // Two pages of each kind are enough, because there is one for each choice of each campaign.
        if (seen.has(next) || queue.filter((other) => kindOf(other) === kindOf(next)).length + (visited.get(kindOf(next)) ?? 0) >= 2)
          continue;
        seen.add(next);
        queue.push(next);
      }
    }
    for (const kind of [
      '/campaign/N',
      '/campaign/N/link/N',
      '/campaign/N/link/N/people',
      '/campaign/N/people/clicked',
      '/campaign/N/by/client',
      '/new-campaign',
      '/preview',
      '/campaign/N/manage',
      '/campaign/N/link/N/manage',
      '/campaign/N/link/N/qr.svg',
      '/person/N/forget',
      '/person/N',
      '/report/segment.csv',
    ])
      expect([...visited.keys()]).toContain(kind);
  }, 60_000);

  test('a recipient has a page with all hits', async () => {
    const [row] = await databases.query<{ id: string }>(
      'catalog',
      'SELECT min(recipient_id) AS id FROM catalog.mailing WHERE campaign_id = $1',
      [spring.campaign],
    );
    const text = textOf(await page(`/person/${row?.id}`));
    expect(text).toContain(`reader-${spring.campaign}-1@example.com`);
    expect(text).toMatch(/click\s+shop\.example|click https:\/\/shop\.example/);
    expect(text).toContain('a person');
    await page('/person/999999', 404);
    await page('/person/x', 404);
  });

  test('a name is a name wherever it stands', async () => {
    for (const url of [
      '/',
      `/campaign/${hostile}`,
      `/campaign/${hostile}/people/not-opened`,
      `/report/campaign-summary?campaign=${hostile}`,
      '/report/campaign-summary',
    ])
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

  test('the name of a file says which rows it has, and names nobody', async () => {
    const nameOf = async (url: string) => String((await get(url)).headers['content-disposition']);
    expect(await nameOf('/report/segment.csv?campaign=1&segment=not-opened&mailable=only')).toContain('"segment-1-not-opened-only.csv"');
    expect(await nameOf('/report/segment.csv?campaign=1&link=2')).toContain('"segment-1-link-2.csv"');
    expect(await nameOf(`/report/recipient-timeline.csv?recipient=reader-${spring.campaign}-1@example.com&limit=7`)).toContain(
      '"recipient-timeline-limit-7.csv"',
    );
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
    expect(textOf((await nepal.inject({ url: '/' })).body)).toMatch(/May 1, 2030, 1:45.PM \+05:45/);
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
    '/campaign/1/link/99',
    '/campaign/1/link/x',
    '/campaign/1/people/nobody',
    '/campaign/1/letter/00/html',
    '/person/99999999999999999999',
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
    '/?who=everybody',
    '/?zone=PST',
    '/campaign/1/by/shoes',
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
        url === '/nope' ? `<script nonce="${nonce}">` : `<script nonce="${nonce}" data-refresh="10">`,
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
