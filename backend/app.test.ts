import { Agent, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { startTestBackend, type TestBackend } from '../test/support/backends.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { type RawAnswer, rawRequest } from '../test/support/raw-http.ts';
import { closeApp } from './app.ts';
import { GONE_PAGE, LATER_PAGE, NOT_FOUND_PAGE } from './pages.ts';

let databases: Databases;
let backend: TestBackend;
const campaigns = { plain: 0, fallback: 0 };
const FALLBACK = 'https://shop.example/über?ended=1&x="y"#top';

async function addLink(
  campaign: number,
  target: string | null,
  state: { version?: number; expires?: number; disabled?: number } = {},
): Promise<number> {
  const { version = 1, expires, disabled } = state;
  const [row] = await databases.query<{ id: number }>(
    'catalog',
    `WITH link AS (
       INSERT INTO catalog.link (campaign_id, kind, label, original, version, expires_at, disabled_at)
       VALUES ($1, $2, gen_random_uuid()::text, '', $3, to_timestamp($4::float8 / 1000), to_timestamp($5::float8 / 1000)) RETURNING id
     ), version AS (INSERT INTO catalog.link_version (link_id, version, target) SELECT id, $3, $6 FROM link WHERE $6::text IS NOT NULL)
     SELECT id FROM link`,
    [campaign, target === null ? 'pixel' : 'url', version, expires, disabled, target],
  );
  return row?.id ?? 0;
}

beforeAll(async () => {
  databases = await createDatabases(1);
  const rows = await databases.query<{ id: number }>(
    'catalog',
    `INSERT INTO catalog.campaign (name, fallback_url) VALUES ('plain', NULL), ('with a fallback', $1) RETURNING id`,
    [FALLBACK],
  );
  campaigns.plain = rows[0]?.id ?? 0;
  campaigns.fallback = rows[1]?.id ?? 0;
});

beforeEach(async () => {
  backend = await startTestBackend(databases);
});

const slugOf = (link: number, recipient = 5) => backend.slugs.encode({ link, recipient });

/** As it stands on the wire, header values as bytes. */
async function raw(path: string): Promise<RawAnswer> {
  if (!backend.app.server.listening) await backend.app.listen({ host: '127.0.0.1', port: 0 });
  return rawRequest((backend.app.server.address() as AddressInfo).port, 'GET', path);
}

const TARGETS = [
  'https://shop.example',
  'https://shop.example/',
  'HTTPS://Shop.Example/Mixed/Case',
  'https://shop.example/a?b=c&d=e&amp;f=g',
  'https://shop.example/a%20b%2Fc%C3%BC?q=100%25#frag%20ment',
  'https://shop.example/100%',
  'https://shop.example/münchen/日本/💩?ö=ß#ü',
  'https://shop.example/"quoted"/\'single\'/<b>/`/{x}/[1]/(2)/|/\\/^',
  'https://shop.example/a,b;c=d:e@f!g$h*i+j',
  'https://user:pa%40ss@shop.example:8443/x?y#z',
  'https://shop.example/.././a//b/../c',
  'https://münchen.example/',
  'https://shop.example/#',
  'https://shop.example/?',
  'http://[2001:db8::1]:8080/x',
  `https://shop.example/${'x'.repeat(7900)}`,
  'http://shop.example//not-a-scheme',
];

describe('a redirect', () => {
  test.each(TARGETS)('leads to %s byte for byte', async (target) => {
    const answer = await raw(`/u/${slugOf(await addLink(campaigns.plain, target))}`);
    expect(answer.status).toBe(302);
    expect(Buffer.from(answer.headers.get('location') ?? '', 'latin1').toString('utf8')).toBe(target);
  });

  test('is never stored or indexed, tells nobody where it came from, and says which version it was', async () => {
    const link = await addLink(campaigns.plain, 'https://shop.example/new', { version: 7 });
    const { status, headers, body } = await backend.get(`/u/${slugOf(link)}`);
    expect(status).toBe(302);
    expect(headers).toMatchObject({
      location: 'https://shop.example/new',
      'x-link': `${link}.7`,
      'cache-control': 'no-store',
      'x-robots-tag': 'noindex',
      'referrer-policy': 'no-referrer',
    });
    expect(body).toBe('');
    expect(backend.outcomes).toEqual(['redirect']);
  });

  test('is the same for HEAD, for every recipient, for a shared link, and whatever follows a question mark', async () => {
    const slug = slugOf(await addLink(campaigns.plain, 'https://shop.example/a'));
    const link = Number((await backend.get(`/u/${slug}`)).headers['x-link']?.toString().split('.')[0]);
    for (const [path, method] of [
      [`/u/${slug}`, 'HEAD'],
      [`/u/${slugOf(link, 0)}`, 'GET'],
      [`/u/${slugOf(link, 123_456_789)}`, 'GET'],
      [`/u/${slug}?utm_source=x&y=%zz`, 'GET'],
    ] as const) {
      const { status, headers } = await backend.get(path, method);
      expect([status, headers['location']]).toEqual([302, 'https://shop.example/a']);
    }
  });

  test('of an alias leads where its link leads', async () => {
    const link = await addLink(campaigns.plain, 'https://shop.example/alias');
    await databases.query('catalog', `INSERT INTO catalog.alias (name, link_id) VALUES ('black-friday', $1)`, [link]);
    for (const path of ['/u/black-friday', '/u/black%2Dfriday']) {
      const { status, headers } = await backend.get(path);
      expect([status, headers['location'], headers['x-link']]).toEqual([302, 'https://shop.example/alias', `${link}.1`]);
    }
    expect((await backend.get('/u/Black-Friday')).status).toBe(404);
  });
});

describe('a link that has ended', () => {
  const end = Date.UTC(2026, 5, 1);

  test.each(['expires', 'disabled'] as const)(
    '%s: leads to its target until that millisecond, and to the fallback from then on',
    async (how) => {
      const link = await addLink(campaigns.fallback, 'https://shop.example/live', { [how]: end });
      const at = async (nowMs: number) => {
        backend.clock.nowMs = nowMs;
        const { status, headers } = await backend.get(`/u/${slugOf(link)}`);
        return [status, Buffer.from(String(headers['location']), 'latin1').toString(), headers['x-link']];
      };
      expect(await at(end - 1)).toEqual([302, 'https://shop.example/live', `${link}.1`]);
      expect(await at(end)).toEqual([302, FALLBACK, `${link}.0`]);
    },
  );

  test.each(['expires', 'disabled'] as const)('%s: without a fallback the page says so', async (how) => {
    const link = await addLink(campaigns.plain, 'https://shop.example/live', { [how]: end });
    backend.clock.nowMs = end;
    const { status, headers, body } = await backend.get(`/u/${slugOf(link)}`);
    expect(status).toBe(410);
    expect(body).toBe(GONE_PAGE);
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-robots-tag': 'noindex', 'referrer-policy': 'no-referrer' });
    expect(headers['x-link']).toBeUndefined();
    expect(backend.outcomes).toEqual(['gone']);
  });
});

describe('what leads nowhere', () => {
  const stranger = createSlugCodec(parseSlugKeys('12'.repeat(32)));

  test.each([
    ['a forged slug', () => `/u/${stranger.encode({ link: 1, recipient: 1 })}`],
    ['a signed slug of no link', () => `/u/${slugOf(999_999_999)}`],
    ['an unknown alias', () => '/u/no-such-alias'],
    ['text', () => '/u/hello'],
    ['nothing', () => '/u/'],
    ['a longer path', () => `/u/${slugOf(1)}/x`],
    ['another place', () => '/'],
    ['broken percent-encoding', () => '/u/%zz'],
    ['half a character', () => '/u/%c3'],
    ['a line break', () => '/u/a%0d%0ab-c'],
    ['NUL', () => '/u/%00-a'],
    ['a very long name', () => `/u/${'a-'.repeat(4000)}`],
    ['__proto__', () => '/u/__proto__'],
    ['constructor-', () => '/u/constructor-'],
  ])('%s is answered with one and the same page', async (_, path) => {
    const { status, headers, body } = await backend.get(path());
    expect(status).toBe(404);
    expect(body).toBe(NOT_FOUND_PAGE);
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'x-robots-tag': 'noindex',
      'referrer-policy': 'no-referrer',
    });
    expect(headers['x-link']).toBeUndefined();
  });

  test('a pixel is no redirect', async () => {
    const pixel = await addLink(campaigns.fallback, null);
    expect((await backend.get(`/u/${slugOf(pixel)}`)).status).toBe(404);
  });

  test('the pages name nobody', async () => {
    const slug = stranger.encode({ link: 1, recipient: 1 });
    expect((await backend.get(`/u/${slug}`)).body).not.toContain(slug);
    for (const page of [NOT_FOUND_PAGE, GONE_PAGE, LATER_PAGE]) expect(page).not.toMatch(/https?:|<script|<img|<link/);
  });

  test('on the wire, too, where a client sends bytes that no URL has', async () => {
    for (const path of ['/u/\xff\xfe', '/u/%', '/u/%e0%80', '/u/..%2f..%2fetc', '/u/a b']) {
      const { status, body } = await raw(path);
      expect(Math.floor(status / 100)).toBe(4);
      expect(body.toString()).not.toContain('Error:');
    }
  });
});

test('a backend that ends answers what it has begun, and waits for no connection that nobody uses', async () => {
  await backend.stop();
  backend = await startTestBackend(databases, { pollMs: 500 });
  const { app } = backend;
  await app.listen({ host: '127.0.0.1', port: 0 });
  const agent = new Agent({ keepAlive: true });
  const begun = new Promise((resolve) => app.server.once('request', resolve));
  const answered = new Promise<number | undefined>((resolve, reject) => {
    // An alias that nobody knows waits for the next look at the catalog.
    get({ port: (app.server.address() as AddressInfo).port, path: '/u/not-yet-known', agent }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    }).once('error', reject);
  });
  await begun;
  await closeApp(app);
  expect(await answered).toBe(404);
  agent.destroy();
});
