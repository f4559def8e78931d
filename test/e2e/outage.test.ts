import { connect } from 'node:net';
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink, retarget } from '../../authoring/links.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { createUrls, type Urls } from '../../authoring/urls.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Recipients must not notice when something behind nginx is down. The second half tests the behaviour of nginx itself.

const TARGET = 'https://www.example.com/';
let system: System;
let dataDir: string;
let author: Pool;
let port: number;
let click: string;
let pixel: string;
let campaign: number;
let make: Urls;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-outage-'));
  system = await startSystem({ dataDir, durable: false, extra: { LOG_LEVEL: 'warn' } });
  author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 2, name: 'test' });
  make = createUrls('', createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? '')));
  port = system.ports.edges[0] as number;
  ({ id: campaign } = await ensureCampaign(author, 'outage'));
  const recipient = await ensureRecipient(author, 'reader@example.com');
  click = make.click(await ensureLink(author, campaign, { kind: 'url', target: TARGET }), recipient);
  pixel = make.pixel(await ensureLink(author, campaign, { kind: 'pixel' }), recipient);
  await eventually('both backends have polled the link', async () => {
    const answers = await Promise.all([redirect(), redirect(), redirect(), redirect()]);
    return answers.every((status) => status === 302);
  });
}, 120_000);

afterAll(async () => {
  await author?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function redirect(path = click): Promise<number> {
  return (await rawRequest(port, 'GET', path)).status;
}

/** Clicks one link repeatedly until `stop` is called. Returns the number of clicks and the statuses that were not 302. */
function startClicking(): { stop: () => Promise<{ clicks: number; failed: number[] }> } {
  let active = true;
  const failed: number[] = [];
  let clicks = 0;
  const done = (async () => {
    while (active) {
      const status = await redirect().catch(() => 0);
      clicks++;
      if (status !== 302) failed.push(status);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
  })();
  return {
    async stop() {
      active = false;
      await done;
      return { clicks, failed };
    },
  };
}

function fetchFromPart(name: string, path: string): Promise<Response> {
  const { adminPort } = system.member(name).running as unknown as { adminPort: number };
  return fetch(`http://127.0.0.1:${adminPort}${path}`);
}

async function degradedReasons(name: string): Promise<string[]> {
  return ((await (await fetchFromPart(name, '/healthz')).json()) as { degraded: string[] }).degraded;
}

describe('redirects go on', () => {
  test('while backends are killed one after the other', async () => {
    const clicking = startClicking();
    for (const name of ['backend-1', 'backend-2']) {
      await system.member(name).running?.kill();
      await new Promise((resolve) => setTimeout(resolve, 500));
      await system.member(name).start();
    }
    const { clicks, failed } = await clicking.stop();
    expect(failed).toEqual([]);
    expect(clicks).toBeGreaterThan(10);
  });

  test('while a backend is frozen', async () => {
    const clicking = startClicking();
    system.member('backend-1').running?.signal('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    system.member('backend-1').running?.signal('SIGCONT');
    expect((await clicking.stop()).failed).toEqual([]);
  });

  test('while Postgres is down, also from backends that start then, and everything is counted afterwards', async () => {
    await eventually('a snapshot of both backends has the link', async () => {
      const snapshots = await Promise.all(
        ['backend-1', 'backend-2'].map((name) => readFile(join(dataDir, 'state', name, 'routes.json'), 'utf8').catch(() => '')),
      );
      return snapshots.every((text) => text.includes(TARGET));
    });
    const clicking = startClicking();
    await system.member('postgres').running?.kill();
    await system.member('nats').running?.kill();
    await eventually('backend-1 says that it is degraded', async () => (await degradedReasons('backend-1')).length === 1);
    await system.member('backend-2').running?.kill();
    await system.member('backend-2').start();
    expect(await degradedReasons('backend-2')).toHaveLength(1);
    expect(await redirect()).toBe(302);
    expect((await rawRequest(port, 'GET', pixel)).status).toBe(200);
    const { failed } = await clicking.stop();
    expect(failed).toEqual([]);
    await system.member('postgres').start();
    await system.member('nats').start();
    await eventually('backend-1 is fresh again', async () => (await degradedReasons('backend-1')).length === 0);

    const analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
    const log = await logText();
    const hits = log.split('\n').filter((line) => /"s":(302|200),/.test(line)).length;
    await eventually('every hit is counted', async () => {
      const { rows } = await analyst
        .query<{ hits: number }>('SELECT sum(hits)::int AS hits FROM analytics.campaign_totals')
        .catch(() => ({ rows: [] }));
      return rows[0]?.hits === hits;
    });
    await analyst.end();
  });
});

async function logText(): Promise<string> {
  const directory = system.logDirs[0] as string;
  const names = (await readdir(directory)).filter((name) => name.startsWith('access.log'));
  return (await Promise.all(names.map((name) => readFile(join(directory, name), 'latin1')))).join('');
}

describe('nginx', () => {
  test('serves a link that was made a moment ago, and its change as soon as a backend has looked again', async () => {
    const link = await ensureLink(author, campaign, { kind: 'url', target: 'https://www.example.com/new' });
    const target = async () => (await rawRequest(port, 'GET', make.click(link, 0))).headers.get('location');
    expect(await target()).toBe('https://www.example.com/new');
    await retarget(author, link, 'https://www.example.com/newer');
    const changedMs = Date.now();
    for (const name of ['backend-1', 'backend-2'])
      await eventually(`${name} has looked again`, async () => {
        const beforeMs = Date.now();
        const age = /^clickledger_backend_links_age_seconds (.*)$/m.exec(await (await fetchFromPart(name, '/metrics')).text());
        return beforeMs - Number(age?.[1]) * 1000 > changedMs;
      });
    for (let i = 0; i < 4; i++) expect(await target()).toBe('https://www.example.com/newer');
  });

  test('answers pixels with 200 whatever is asked, known or not, and never 304', async () => {
    for (const path of [pixel, '/r/whatever', '/r/zzzzzzzzzzzzzzzzz.gif']) {
      const headers = { 'If-Modified-Since': 'Mon, 28 Sep 1970 06:00:00 GMT', 'If-None-Match': '*' };
      const answer = await rawRequest(port, 'GET', path, headers);
      expect([answer.status, answer.headers.get('cache-control'), answer.headers.get('x-robots-tag')]).toEqual([
        200,
        'no-store',
        'noindex',
      ]);
      expect(answer.body).toHaveLength(43);
    }
  });

  test('says nothing of its version or of the link, and forbids caching and referrers', async () => {
    const { headers } = await rawRequest(port, 'GET', click);
    expect(headers.get('server')).toBe('nginx');
    expect(headers.has('x-link')).toBe(false);
    expect(['cache-control', 'x-robots-tag', 'referrer-policy'].map((name) => headers.get(name))).toEqual([
      'no-store',
      'noindex',
      'no-referrer',
    ]);
  });

  test('refuses other methods, bodies that are too large, and other paths', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) expect((await rawRequest(port, method, click)).status).toBe(405);
    expect((await rawRequest(port, 'GET', click, { 'Content-Length': '5000' })).status).toBe(413);
    expect((await rawRequest(port, 'GET', '/healthz/x')).status).toBe(404);
    expect((await rawRequest(port, 'GET', '/metrics')).status).toBe(404);
  });

  test('refuses headers that are too large, one or all together, and logs no hit', async () => {
    const large = 'x'.repeat(17_000);
    expect((await rawRequest(port, 'GET', click, { 'User-Agent': large })).status).toBe(400);
    expect((await rawRequest(port, 'GET', `${click}?${large}`)).status).toBe(414);
    const many = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`X-${i}`, 'x'.repeat(15_000)]));
    expect((await rawRequest(port, 'GET', click, many)).status).toBe(400);
    expect((await rawRequest(port, 'GET', click, { 'User-Agent': 'small' })).status).toBe(302);
    await eventually('the last is logged', async () => (await logText()).includes('"ua":"small"'));
    expect(await logText()).not.toContain('x'.repeat(15_000));
  });

  test('hangs up on a client that never comes to the end of its header', async () => {
    // Sends some bytes every half second, so that nginx does not close the connection for being idle.
    const sendHeaderSlowly = (head: string): Promise<string> =>
      new Promise((resolve) => {
        let answer = '';
        const socket = connect({ host: '127.0.0.1', port }, () => socket.write(head));
        const timer = setInterval(() => socket.write('X-Slow: x\r\n'), 500);
        socket.on('data', (data) => (answer += data.toString()));
        socket.on('error', () => {});
        socket.on('close', () => {
          clearInterval(timer);
          resolve(answer);
        });
      });
    expect(await sendHeaderSlowly(`GET ${click} HTTP/1.1\r\nHost: t.example\r\n`)).toBe('');
  });

  test('serves and logs a hit with an 8 KB user agent', async () => {
    const agent = `long ${'\\'.repeat(8000)}`;
    expect((await rawRequest(port, 'GET', click, { 'User-Agent': agent })).status).toBe(302);
    await eventually('the line is there, escaped', async () => (await logText()).includes('\\'.repeat(16_000)));
  });

  test('limits clicks from one address, though never pixels, and believes no proxy that is not trusted', async () => {
    const statuses = await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        rawRequest(port, 'GET', click, { 'X-Forwarded-For': `10.0.0.${i % 250}` }).then(({ status }) => status),
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([302, 429]));
    const pixels = await Promise.all(Array.from({ length: 300 }, () => rawRequest(port, 'GET', pixel).then(({ status }) => status)));
    expect(new Set(pixels)).toEqual(new Set([200]));
    expect(await logText()).not.toContain('"ip":"10.0.0.');
  });

  test('puts a log that is not empty aside when it starts', async () => {
    const directory = system.logDirs[0] as string;
    const before = await stat(join(directory, 'access.log'));
    expect(before.size).toBeGreaterThan(0);
    await system.member('nginx-1').running?.kill();
    await eventually('the workers of the killed master are gone', async () => (await redirect().catch(() => 0)) === 0);
    await system.member('nginx-1').start();
    expect((await stat(join(directory, 'access.log'))).ino).not.toBe(before.ino);
    const inodes = await Promise.all((await readdir(directory)).map(async (name) => (await stat(join(directory, name))).ino));
    expect(inodes).toContain(before.ino);
  });
});
