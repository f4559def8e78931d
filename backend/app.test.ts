import { Agent, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { startTestBackend, type TestBackend } from '../test/support/backends.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { gluedForms } from '../test/support/glue.ts';
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

/** Sends a request over a socket. The header values in the result are the bytes that were sent on the wire. */
async function requestRaw(path: string): Promise<RawAnswer> {
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
    const answer = await requestRaw(`/u/${slugOf(await addLink(campaigns.plain, target))}`);
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

describe('what a mail client took for a part of the address', () => {
  /** Recipients whose slugs have padding, and recipients whose slugs have none. */
  const recipients = [0, 1, 1_000, 1_000_000, 10 ** 9, 10 ** 12, Number.MAX_SAFE_INTEGER];

  test('is no reason not to redirect, whatever it is and however long the slug; nginx gets the slug alone', async () => {
    const link = await addLink(campaigns.plain, 'https://shop.example/glued');
    await databases.query('catalog', `INSERT INTO catalog.alias (name, link_id) VALUES ('glued-alias', $1)`, [link]);
    await backend.get('/u/glued-alias');
    for (const name of [...recipients.map((recipient) => slugOf(link, recipient)), 'glued-alias']) {
      for (const glue of gluedForms()) {
        const { status, headers } = await backend.get(`/u/${name}${glue}`);
        expect([status, headers['location'], headers['x-link'], glue]).toEqual([302, 'https://shop.example/glued', `${link}.1`, glue]);
        expect(headers['x-slug'], glue).toBe(glue.startsWith('?') ? undefined : name);
      }
      expect((await backend.get(`/u/${name}`)).headers['x-slug']).toBeUndefined();
    }
  });

  test('is told from an alias that begins like a slug, and from one that ends in - or _', async () => {
    const link = await addLink(campaigns.plain, 'https://shop.example/slug');
    const other = await addLink(campaigns.plain, 'https://shop.example/alias');
    const aliases = [`${slugOf(link)}-x`, 'ends-in_'];
    for (const alias of aliases)
      await databases.query('catalog', 'INSERT INTO catalog.alias (name, link_id) VALUES ($1, $2)', [alias, other]);
    await backend.get('/u/ends-in_');
    for (const alias of aliases) {
      expect((await backend.get(`/u/${alias}`)).headers).toMatchObject({ location: 'https://shop.example/alias' });
      expect((await backend.get(`/u/${alias})`)).headers).toMatchObject({ location: 'https://shop.example/alias', 'x-slug': alias });
    }
    expect((await backend.get(`/u/${slugOf(link)}-y`)).headers).toMatchObject({
      location: 'https://shop.example/slug',
      'x-slug': slugOf(link),
    });
    expect((await backend.get('/u/ends-in')).status).toBe(404);
  });

  test('of an alias made just now is found after the next poll', async () => {
    const link = await addLink(campaigns.plain, 'https://shop.example/new-alias');
    // The lock makes a poll wait until the alias is committed.
    const creating = await databases.begin('catalog', 'LOCK TABLE catalog.alias IN ACCESS EXCLUSIVE MODE');
    const answer = backend.get('/u/made-now_');
    await creating.query(`INSERT INTO catalog.alias (name, link_id) VALUES ('made-now', $1)`, [link]);
    await creating.query('COMMIT');
    expect((await answer).headers).toMatchObject({ location: 'https://shop.example/new-alias', 'x-slug': 'made-now' });
  });

  test('makes no forgery valid: the signature is that of the text before it', async () => {
    const link = await addLink(campaigns.plain, 'https://shop.example/signed');
    for (const recipient of recipients) {
      const slug = slugOf(link, recipient);
      const forged = createSlugCodec(parseSlugKeys('12'.repeat(32))).encode({ link, recipient });
      for (const glue of ['.', '%20', '/', '-', '_', '%3E', ')?x']) {
        expect((await backend.get(`/u/${forged}${glue}`)).status).toBe(404);
        expect((await backend.get(`/u/${slug.slice(0, 12)}${glue}${slug.slice(12)}`)).status).toBe(404);
        expect((await backend.get(`/u/${glue}${slug}`)).status).toBe(404);
      }
    }
  });
});

describe('the query of a request', () => {
  const query = '?utm_source=mail&page=9&x=%0d%0a%22"';

  async function addCampaign(passQuery: boolean): Promise<number> {
    const [row] = await databases.query<{ id: number }>(
      'catalog',
      'INSERT INTO catalog.campaign (name, fallback_url, pass_query) VALUES (gen_random_uuid()::text, $1, $2) RETURNING id',
      [FALLBACK, passQuery],
    );
    return row?.id ?? 0;
  }

  test('is added to where a link leads, and to the fallback, only in a campaign that asks for it', async () => {
    const campaign = await addCampaign(true);
    const link = await addLink(campaign, 'https://shop.example/ü?page=1#top');
    const ended = await addLink(campaign, 'https://shop.example/', { disabled: 1 });
    const other = await addLink(await addCampaign(false), 'https://shop.example/ü?page=1#top');
    await databases.query('catalog', `INSERT INTO catalog.alias (name, link_id) VALUES ('with-query', $1)`, [link]);
    const locationOf = async (path: string) =>
      Buffer.from((await requestRaw(path)).headers.get('location') ?? '', 'latin1').toString('utf8');
    const added = 'https://shop.example/ü?page=1&utm_source=mail&x=%0d%0a%22%22#top';
    for (const name of [slugOf(link), slugOf(link, 0), 'with-query', `${slugOf(link)}.`, `${slugOf(link)}%20`])
      expect(await locationOf(`/u/${name}${query}`)).toBe(added);
    expect(await locationOf(`/u/${slugOf(link)}?`)).toBe('https://shop.example/ü?page=1#top');
    expect(await locationOf(`/u/${slugOf(ended)}?ended=2&utm_source=mail`)).toBe(
      'https://shop.example/über?ended=1&x="y"&utm_source=mail#top',
    );
    expect(await locationOf(`/u/${slugOf(other)}${query}`)).toBe('https://shop.example/ü?page=1#top');
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
      const { status, body } = await requestRaw(path);
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
    // A request for an unknown alias waits for the next poll of the catalog.
    get({ port: (app.server.address() as AddressInfo).port, path: '/u/not-yet-known', agent }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    }).once('error', reject);
  });
  await begun;
  await closeApp(app);
  expect(await answered).toBe(404);
  agent.destroy();
});
