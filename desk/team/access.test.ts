import { createHash } from 'node:crypto';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ACCOUNT_ROLES, type AccountRole } from '../../core/account.ts';
import { createPool } from '../../core/postgres.ts';
import { parseConfig } from '../../core/config.ts';
import { startTestApi } from '../../test/support/api.ts';
import { addCampaign } from '../../test/support/campaigns.ts';
import { addLetter } from '../../test/support/desk-data.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { addAccount, deskForTest, PASSWORD, startTestDesk, type TestDesk, visit, type Visitor } from '../../test/support/desk.ts';
import { createDesk } from '../app.ts';
import { requireDeclarations, requireRole } from './access.ts';
import { TEAM_SETTINGS } from './settings.ts';

let databases: Databases;
let desk: TestDesk;
let letter: string;
let spring: Awaited<ReturnType<typeof addCampaign>>;
const visitors = {} as Record<AccountRole, Visitor>;

beforeAll(async () => {
  databases = await createDatabases(1);
  spring = await addCampaign(databases, 'Spring sale', 3);
  await addLetter(databases, spring.campaign);
  const [row] = await databases.query<{ hash: string }>('catalog', `SELECT encode(hash, 'hex') AS hash FROM catalog.letter`);
  letter = row?.hash ?? '';
  desk = await startTestDesk(databases);
  for (const role of ACCOUNT_ROLES) {
    await addAccount(databases, `${role}@example.org`, role);
    visitors[role] = visit(desk);
    expect((await visitors[role].signIn(`${role}@example.org`)).status).toBe(303);
  }
});

afterAll(() => desk.app.close());

/** Returns a path for the pattern of a route. */
const pathOf = (url: string): string => {
  const values: Record<string, string | number | undefined> = {
    token: 'x'.repeat(43),
    name: 'campaign-summary',
    id: url.startsWith('/person') ? 1 : spring.campaign,
    link: spring.links[0],
    segment: 'clicked',
    property: 'country',
    letter,
    part: 'html',
  };
  return url.replaceAll(/:(\w+)/g, (_, name: string) => String(values[name]));
};

const RANK: Record<string, number> = { anyone: 0, analyst: 1, author: 2, owner: 3 };

describe('roles', () => {
  test('each route declares who may use it, and this is the list of them', () => {
    const declared = desk.routes.map(({ method, url, config }) => `${method} ${url} ${String(config['access'])}`);
    expect(declared.toSorted()).toEqual(
      [
        'GET / analyst',
        'GET /account analyst',
        'GET /campaign/:id analyst',
        'GET /campaign/:id/by/:property analyst',
        'GET /campaign/:id/letter/:letter/:part analyst',
        'GET /campaign/:id/link/:link analyst',
        'GET /campaign/:id/link/:link/manage author',
        'GET /campaign/:id/link/:link/people analyst',
        'GET /campaign/:id/link/:link/qr.svg author',
        'GET /campaign/:id/manage author',
        'GET /campaign/:id/people/:segment analyst',
        'GET /campaign/:id/share author',
        'GET /new-campaign author',
        'GET /person/:id analyst',
        'GET /person/:id/forget author',
        'GET /preview author',
        'GET /report/:name analyst',
        'GET /shared/:token anyone',
        'GET /sign-in anyone',
        'GET /team owner',
        'GET /team/keys owner',
        'GET /team/log owner',
        'POST /account/end-others analyst',
        'POST /account/end-session analyst',
        'POST /account/password analyst',
        'POST /campaign/:id/link/:link/manage author',
        'POST /campaign/:id/manage author',
        'POST /campaign/:id/share author',
        'POST /campaign/:id/share/revoke author',
        'POST /new-campaign author',
        'POST /person/:id author',
        'POST /person/:id/forget author',
        'POST /preview author',
        'POST /sign-in anyone',
        'POST /sign-out analyst',
        'POST /team/disable owner',
        'POST /team/end-sessions owner',
        'POST /team/revoke-key owner',
      ].toSorted(),
    );
  });

  test('a route without a declaration stops the start', () => {
    const app = Fastify();
    requireDeclarations(app);
    app.get('/declared', requireRole('analyst'), async () => '');
    expect(() => app.get('/new', async () => '')).toThrow('GET /new does not declare who may use it');
  });

  test.each([...ACCOUNT_ROLES, 'nobody'] as const)('%s may use what the role allows, and nothing else', async (role) => {
    const visitor = role === 'nobody' ? visit(desk) : visitors[role];
    for (const { method, url, config } of desk.routes) {
      // The sign-out would end the session.
      if (url === '/sign-out' || url === '/account/end-others') continue;
      const isAllowed = (RANK[role] ?? 0) >= (RANK[String(config['access'])] ?? Number.NaN);
      const answer = method === 'GET' ? await visitor.get(pathOf(url)) : await visitor.post(pathOf(url), { form_token: 'wrong' });
      const what = `${role} ${method} ${url}`;
      if (isAllowed && config['access'] !== 'anyone') {
        // A form is refused only because of its token.
        if (method === 'POST')
          expect(`${what} ${answer.status} ${answer.body.includes('made for another session')}`).toBe(`${what} 403 true`);
        else expect(`${what} ${answer.status}`).toBe(`${what} 200`);
      } else if (!isAllowed && role === 'nobody') {
        expect({ what, status: answer.status, to: answer.location }).toEqual({
          what,
          status: 303,
          to: expect.stringMatching(/^\/sign-in(\?|$)/),
        });
        expect(answer.body).toBe('');
      } else if (!isAllowed) {
        expect({ what, status: answer.status }).toEqual({ what, status: 403 });
        expect(answer.body).toContain(`your account has the role ${role}`);
        expect(answer.body).not.toContain('Spring sale');
      }
    }
  });

  test('a page that does not exist, a download and another method tell nothing without a session', async () => {
    const nobody = visit(desk);
    expect(await nobody.get('/nope')).toMatchObject({ status: 303, location: '/sign-in?to=%2Fnope' });
    const download = `/report/non-openers.csv?campaign=${spring.campaign}`;
    expect(await nobody.get(download)).toMatchObject({ status: 303, location: `/sign-in?to=${encodeURIComponent(download)}`, body: '' });
    expect((await visitors.analyst.get(download)).body).toContain('reader-1-1@example.com');
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'] as const)
      expect((await desk.app.inject({ method, url: '/sign-in' })).statusCode).toBe(405);
    expect((await desk.app.inject({ method: 'POST', url: '/' })).statusCode).toBe(405);
  });

  test('the head of a page shows the account, and only an owner the team', async () => {
    for (const role of ACCOUNT_ROLES) {
      const { body } = await visitors[role].get('/');
      expect(body).toContain(`<a href="/account">${role}@example.org</a>`);
      expect(body.includes('href="/team"')).toBe(role === 'owner');
      expect(body).toContain('<form action="/sign-out" method="post">');
    }
    expect((await visitors.analyst.get(`/campaign/${spring.campaign}`)).body).not.toContain(`/campaign/${spring.campaign}/share`);
    expect((await visitors.author.get(`/campaign/${spring.campaign}`)).body).toContain(`href="/campaign/${spring.campaign}/share"`);
  });
});

describe('forms', () => {
  const end = (fields: Record<string, string>, headers: Record<string, string | undefined>) =>
    visitors.analyst.post('/account/end-session', { id: '999', ...fields }, { headers });

  test('a form of this origin with the token of the session is accepted', async () => {
    expect(await end({}, {})).toMatchObject({ status: 303, location: '/account' });
  });

  test.each([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['another port', { origin: 'http://127.0.0.1:81' }],
    ['another scheme', { origin: 'https://127.0.0.1' }],
    ['null', { origin: 'null' }],
    ['a longer name', { origin: 'http://127.0.0.1.evil.example' }],
    ['null, though the other header is right', { origin: 'null', 'sec-fetch-site': 'same-origin' }],
    ['no header', { origin: undefined }],
    ['no origin and cross-site', { origin: undefined, 'sec-fetch-site': 'cross-site' }],
    ['no origin and same-site', { origin: undefined, 'sec-fetch-site': 'same-site' }],
    ['no origin and none', { origin: undefined, 'sec-fetch-site': 'none' }],
  ])('%s is refused', async (_name, headers) => {
    const answer = await end({}, headers);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('This form does not come from a page of the desk');
    expect((await visit(desk).signIn('analyst@example.org', PASSWORD, { headers })).status).toBe(403);
  });

  test('without Origin, Sec-Fetch-Site decides', async () => {
    expect((await end({}, { origin: undefined, 'sec-fetch-site': 'same-origin' })).status).toBe(303);
  });

  test.each(['', 'wrong', 'x'.repeat(43)])('the token %j is refused', async (token) => {
    expect((await end({ form_token: token }, {})).body).toContain('made for another session');
  });

  test('the token of another session is refused, also of the same account', async () => {
    const other = visit(desk);
    await other.signIn('analyst@example.org');
    const [, token = ''] = /name="form_token" value="([^"]+)"/.exec((await other.get('/account')).body) ?? [];
    expect(token).toHaveLength(43);
    expect((await end({ form_token: token }, {})).body).toContain('made for another session');
  });

  test('a form that is too long or of another type is refused', async () => {
    expect((await end({ filler: 'x'.repeat(70_000) }, {})).status).toBe(400);
    expect((await end({}, { 'content-type': 'application/json' })).status).toBe(400);
    expect((await end({}, { 'content-type': 'text/plain' })).status).toBe(400);
  });

  test('a foreign Host is refused, and that of DESK_URL is accepted', async () => {
    expect((await visitors.analyst.get('/', { headers: { host: 'evil.example' } })).status).toBe(421);
    expect((await visitors.analyst.post('/account/end-others', {}, { headers: { host: 'evil.example' } })).status).toBe(421);
    const named = await deskForTest(databases, { DESK_URL: 'https://desk.example.org' });
    const headers = { host: 'desk.example.org', origin: 'https://desk.example.org' };
    const visitor = visit(named);
    expect((await visitor.signIn('analyst@example.org', PASSWORD, { headers })).status).toBe(303);
    expect((await visitor.get('/', { headers })).status).toBe(200);
    expect((await visitor.get('/', { headers: { host: 'evil.example' } })).status).toBe(421);
    expect((await visitor.get('/', { headers: { host: 'desk.example.org:81' } })).status).toBe(421);
  });

  test('pages may not be framed, and have no inline styles or scripts without a nonce', async () => {
    const authorPages = desk.routes.filter(
      ({ method, url, config }) => method === 'GET' && config['access'] === 'author' && !url.endsWith('.svg'),
    );
    for (const url of ['/account', '/team', '/team/keys', '/team/log', '/sign-in', ...authorPages.map((route) => pathOf(route.url))]) {
      const { headers, body } = await visitors.owner.get(url);
      expect(headers['content-security-policy']).toContain(`frame-ancestors 'none'`);
      expect(headers['content-security-policy']).not.toContain('unsafe');
      expect(body.replaceAll(/(<script\b[^>]*>)[^]*?(?=<\/script>)/g, '$1')).not.toMatch(/ style=| on\w+="/);
      expect(headers['referrer-policy']).toBe('same-origin');
    }
  });
});

describe('the sign-in is required', () => {
  test('not on loopback without an account; as soon as there is one, without a restart', async () => {
    const own = await createDatabases(1);
    const fresh = await deskForTest(own);
    const visitor = visit(fresh);
    expect((await visitor.get('/')).status).toBe(200);
    expect(await visitor.get('/sign-in')).toMatchObject({ status: 303, location: '/' });
    const account = await visitor.get('/account');
    expect(account.status).toBe(404);
    expect(account.body).toContain('clickledger user add');
    await addAccount(own, 'ann@example.org', 'owner');
    expect(await visitor.get('/')).toMatchObject({ status: 303, location: '/sign-in' });
  });

  test.each([
    ['a host that is not loopback', {}, '0.0.0.0'],
    ['a public DESK_URL', { DESK_URL: 'https://desk.example.org' }, '127.0.0.1'],
    ['an issuer', { OIDC_ISSUER: 'https://id.example.org', OIDC_CLIENT_ID: 'desk', DESK_URL: 'http://127.0.0.1' }, '127.0.0.1'],
    ['a trusted header', { TRUSTED_HEADER: 'Remote-User' }, '127.0.0.1'],
  ])('with %s, and the page of the sign-in says what to do without an account', async (_name, settings, host) => {
    const own = await createDatabases(1);
    const visitor = visit(await deskForTest(own, settings as Record<string, string>, host));
    expect(await visitor.get('/')).toMatchObject({ status: 303, location: '/sign-in' });
    const page = await visitor.get('/sign-in');
    expect(page.status).toBe(200);
    expect(page.body).toContain('clickledger user add &lt;name&gt; --role owner');
    const off = visit(await deskForTest(own, { ...settings, SIGN_IN: 'off' } as Record<string, string>, host));
    expect((await off.get('/')).status).toBe(200);
  });

  test('without AUTHOR_URL, nobody can sign in, and the page says so', async () => {
    const pool = createPool(databases.roleUrls.analyst, { max: 1, name: 'test' });
    const team = { pool: undefined, config: parseConfig(TEAM_SETTINGS, {}) };
    const app = createDesk({ pool, host: '0.0.0.0', timeoutSeconds: 9, zone: 'UTC', refreshSeconds: 10, onError: () => {}, team });
    const visitor = visit({ app });
    expect((await visitor.get('/')).status).toBe(303);
    expect((await visitor.get('/sign-in')).body).toContain('AUTHOR_URL');
    expect((await visitor.signIn('analyst@example.org')).status).toBe(303);
    expect((await visitor.get(`/shared/${'x'.repeat(43)}`)).status).toBe(404);
    await app.close();
    await pool.end();
  });

  test('with SIGN_IN=off, a session is nobody', async () => {
    const visitor = visit(await deskForTest(databases, { SIGN_IN: 'off' }));
    for (const [name, value] of visitors.owner.cookies) visitor.cookies.set(name, value);
    expect((await visitor.get('/')).body).not.toContain('owner@example.org');
    expect((await visitor.get('/team')).status).toBe(404);
  });

  test('if the catalog does not answer, no page is shown', async () => {
    const down = { ...databases, roleUrls: { ...databases.roleUrls, author: 'postgres://x:y@127.0.0.1:1/x' } };
    expect((await visit(await deskForTest(down)).get('/')).status).toBe(503);
  });
});

describe('a trusted header', () => {
  let proxied: TestDesk;
  const from = (name: string, remoteAddress = '127.0.0.1') => visit(proxied, { headers: { 'remote-user': name }, remoteAddress });

  beforeAll(async () => {
    await addAccount(databases, 'Bob@example.org', 'analyst', null);
    await addAccount(databases, 'jörg', 'analyst', null);
    proxied = await startTestDesk(databases, { TRUSTED_HEADER: 'Remote-User' });
  });

  afterAll(() => proxied.app.close());

  test('signs an account in, which keeps its session', async () => {
    const bob = from('bob@example.org');
    const first = await bob.get('/');
    expect(first.body).toContain('Bob@example.org');
    expect(first.setCookies).toHaveLength(1);
    const second = await bob.get('/account');
    expect(second.setCookies).toEqual([]);
    expect(first.body + second.body).not.toContain('/sign-out');
    // With another session, the page has a form.
    await from('bob@example.org').get('/');
    expect((await bob.post('/account/end-others')).status).toBe(303);
    expect((await from(Buffer.from('jörg').toString('latin1')).get('/')).body).toContain('jörg');
  });

  test('counts whatever address the proxy gives for the client', async () => {
    const headers = { 'x-forwarded-for': '198.51.100.7' };
    expect((await from('bob@example.org').get('/', { headers })).body).toContain('Bob@example.org');
  });

  test('decides, whatever session the browser has', async () => {
    const visitor = from('bob@example.org');
    const [name, value] = [...visitors.owner.cookies][0] as [string, string];
    visitor.cookies.set(name, value);
    const { body } = await visitor.get('/');
    expect(body).toContain('Bob@example.org');
    expect(body).not.toContain('owner@example.org');
  });

  test.each(['nobody@example.org', 'owner@example.org', 'bob@example.org, owner@example.org', ''])('%j is not let in', async (name) => {
    const answer = await from(name).get('/');
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('ask an owner');
    expect(answer.setCookies).toEqual([]);
  });

  test.each(['10.0.0.1', '2001:db8::1', '::ffff:192.0.2.1'])('is refused from %s, whatever X-Forwarded-For says', async (address) => {
    for (const url of ['/', '/sign-in', `/shared/${'x'.repeat(43)}`]) {
      const answer = await from('bob@example.org', address).get(url, { headers: { 'x-forwarded-for': '127.0.0.1' } });
      expect({ url, status: answer.status }).toEqual({ url, status: 403 });
      expect(answer.body).toContain('accepted only from a proxy on the machine of the desk');
      expect(answer.setCookies).toEqual([]);
    }
  });

  test('means nothing without the setting', async () => {
    const answer = await visit(desk, { headers: { 'remote-user': 'bob@example.org' } }).get('/');
    expect(answer.status).toBe(303);
  });
});

test('a session does not open the API, and a key does not open pages', async () => {
  const api = await startTestApi(databases);
  const [name, token] = [...visitors.owner.cookies][0] as [string, string];
  expect(await api.call('GET', '/campaigns', undefined, { key: null, headers: { cookie: `${name}=${token}` } })).toMatchObject({
    status: 401,
  });
  expect(await api.call('GET', '/campaigns', undefined, { key: token })).toMatchObject({ status: 401 });
  await api.app.close();
  expect((await visit(desk).get('/', { headers: { authorization: `Bearer ${api.author}` } })).status).toBe(303);
});

test('the catalog has no token, and the answers have none but their own', async () => {
  const visitor = visit(desk);
  await visitor.signIn('author@example.org');
  const [token = ''] = visitor.cookies.values();
  const [row] = await databases.query<{ hash: Buffer }>('catalog', 'SELECT hash FROM catalog.session ORDER BY id DESC LIMIT 1');
  expect(row?.hash).toEqual(createHash('sha256').update(token).digest());
  for (const url of ['/', '/account', `/campaign/${spring.campaign}/share`]) expect((await visitor.get(url)).body).not.toContain(token);
});

test('nothing was unexpected', () => {
  expect(desk.onError).not.toHaveBeenCalled();
});
