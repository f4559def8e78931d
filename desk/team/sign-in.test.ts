import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Client, createPool } from '../../core/postgres.ts';
import { disableAccount, enableAccount, setPassword } from '../../operating/accounts.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { addAccount, deskForTest, PASSWORD, startTestDesk, type TestDesk, visit } from '../../test/support/desk.ts';
import { runs } from '../../test/support/runs.ts';
import { createAttempts } from './attempts.ts';
import { localPath } from './local-path.ts';

let databases: Databases;
let desk: TestDesk;

beforeAll(async () => {
  databases = await createDatabases(1);
  await addAccount(databases, 'Ann@example.org', 'owner');
  await addAccount(databases, 'external', 'owner', null);
  desk = await startTestDesk(databases);
});

afterAll(() => desk.app.close());

const isSignedIn = async (visitor: ReturnType<typeof visit>): Promise<boolean> => (await visitor.get('/account')).status === 200;
const asOwner = async <T>(work: (pool: ReturnType<typeof createPool>) => Promise<T>): Promise<T> => {
  const pool = createPool(databases.ownerUrl, { max: 1, name: 'test' });
  return work(pool).finally(() => pool.end());
};
/** Each address has its own limit of failures. */
let addresses = 0;
const newAddress = (): { remoteAddress: string } => ({ remoteAddress: `198.51.100.${++addresses}` });

describe('a password', () => {
  test('opens a session, whatever the case of the name, and leads back to the page', async () => {
    const visitor = visit(desk, newAddress());
    const first = await visitor.get('/report/clicks-by-link?campaign=1&limit=2');
    expect(first.location).toBe('/sign-in?to=%2Freport%2Fclicks-by-link%3Fcampaign%3D1%26limit%3D2');
    const page = await visitor.get(first.location ?? '');
    expect(page.body).toContain('name="to" value="/report/clicks-by-link?campaign=1&amp;limit=2"');
    const to = '/report/clicks-by-link?campaign=1&limit=2';
    const answer = await visitor.post('/sign-in', { name: ' ann@EXAMPLE.org', password: PASSWORD, to });
    expect(answer).toMatchObject({ status: 303, location: to });
    expect(await isSignedIn(visitor)).toBe(true);
  });

  test.each([
    ['a wrong password', 'Ann@example.org', 'wrong'],
    ['no password', 'Ann@example.org', ''],
    ['an unknown name', 'nobody@example.org', PASSWORD],
    ['an account without a password', 'external', PASSWORD],
    ['an account without a password, and no password', 'external', ''],
    ['a name with a NUL', 'Ann@example.org\0', PASSWORD],
    ['a letter that only other rules fold', 'Ann@example.or\u212a', PASSWORD],
    ['a very long name', 'x'.repeat(10_000), PASSWORD],
    ['a very long password', 'Ann@example.org', 'x'.repeat(50_000)],
  ])('%s is refused with the same message', async (_name, name, password) => {
    const visitor = visit(desk, newAddress());
    const answer = await visitor.signIn(name, password);
    expect({ status: answer.status, cookies: answer.setCookies }).toEqual({ status: 403, cookies: [] });
    expect(answer.body).toContain('The name or the password is wrong.');
    expect(answer.body).not.toContain(name);
  });

  test('of an unknown name takes the same queries as a wrong one', async () => {
    const seen: string[][] = [];
    for (const name of ['Ann@example.org', 'nobody@example.org', 'external']) {
      const own = await deskForTest(databases);
      const queried = vi.spyOn(Client.prototype, 'query');
      await visit(own, newAddress()).signIn(name, 'wrong password');
      seen.push(queried.mock.calls.map(([sql]) => String(sql)));
      queried.mockRestore();
    }
    expect(seen[0]).toContain('SELECT catalog.open_session($1, $2, $3) AS account');
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  });
});

describe('the cookie', () => {
  test('over http has the flags, and no Secure', async () => {
    const { setCookies } = await visit(desk, newAddress()).signIn('Ann@example.org');
    expect(setCookies).toEqual([expect.stringMatching(/^clickledger=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/)]);
  });

  test('over https has the prefix and Secure, and only this one counts', async () => {
    const headers = { 'x-forwarded-proto': 'https', origin: 'https://127.0.0.1' };
    const visitor = visit(desk);
    const { setCookies } = await visitor.signIn('Ann@example.org', PASSWORD, { headers });
    expect(setCookies).toEqual([
      expect.stringMatching(/^__Host-clickledger=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure$/),
    ]);
    expect((await visitor.get('/account', { headers })).status).toBe(200);
    const token = visitor.cookies.get('__Host-clickledger') ?? '';
    expect((await visit(desk).get('/account', { headers: { ...headers, cookie: `clickledger=${token}` } })).status).toBe(303);
    expect((await visit(desk).get('/account', { headers: { cookie: `x=1; clickledger=${token}; y=2` } })).status).toBe(200);
  });

  test('a proxy on another machine cannot say that it is https', async () => {
    const headers = { 'x-forwarded-proto': 'https', origin: 'https://127.0.0.1' };
    expect((await visit(desk, newAddress()).signIn('Ann@example.org', PASSWORD, { headers })).status).toBe(403);
  });

  test.each(['', 'x', 'x'.repeat(43), 'x'.repeat(44), '%00', `${'x'.repeat(42)}'`])('%j is no session', async (token) => {
    expect((await visit(desk).get('/account', { headers: { cookie: `clickledger=${token}` } })).status).toBe(303);
  });
});

describe('a session', () => {
  test('is new at each sign-in, and the one before has ended', async () => {
    const visitor = visit(desk, newAddress());
    visitor.cookies.set('clickledger', 'A'.repeat(43));
    await visitor.signIn('Ann@example.org');
    const first = visitor.cookies.get('clickledger');
    expect(first).not.toBe('A'.repeat(43));
    await visitor.signIn('Ann@example.org');
    expect(visitor.cookies.get('clickledger')).not.toBe(first);
    expect((await visit(desk).get('/account', { headers: { cookie: `clickledger=${first}` } })).status).toBe(303);
    expect(await isSignedIn(visitor)).toBe(true);
  });

  test('ends with the sign-out, also for who has copied the cookie', async () => {
    const visitor = visit(desk, newAddress());
    await visitor.signIn('Ann@example.org');
    const copy = visit(desk);
    copy.cookies.set('clickledger', visitor.cookies.get('clickledger') ?? '');
    expect(await isSignedIn(copy)).toBe(true);
    const answer = await visitor.post('/sign-out');
    expect(answer).toMatchObject({ status: 303, location: '/sign-in' });
    expect(answer.setCookies).toEqual(['clickledger=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax']);
    expect(await isSignedIn(copy)).toBe(false);
  });

  test.each([
    ['after 30 days', `expires_at = now() - interval '1 second'`],
    ['after 7 days without a request', `last_used_at = now() - interval '7 days 1 second'`],
  ])('ends %s', async (_name, change) => {
    const visitor = visit(desk, newAddress());
    await visitor.signIn('Ann@example.org');
    expect(await isSignedIn(visitor)).toBe(true);
    await databases.query('catalog', `UPDATE catalog.session SET ${change}`);
    expect(await isSignedIn(visitor)).toBe(false);
    await visit(desk, newAddress()).signIn('Ann@example.org');
    expect(await databases.query('catalog', 'SELECT FROM catalog.session')).toHaveLength(1);
  });

  test('stays while it is used, and its use is recorded', async () => {
    const visitor = visit(desk, newAddress());
    await visitor.signIn('Ann@example.org');
    await databases.query('catalog', `UPDATE catalog.session SET last_used_at = now() - interval '6 days'`);
    expect(await isSignedIn(visitor)).toBe(true);
    const rows = await databases.query('catalog', `SELECT FROM catalog.session WHERE last_used_at > now() - interval '1 minute'`);
    expect(rows).toHaveLength(1);
  });

  test('lasts 30 days at most', async () => {
    await visit(desk, newAddress()).signIn('Ann@example.org');
    const rows = await databases.query('catalog', `SELECT FROM catalog.session WHERE expires_at - created_at <> interval '30 days'`);
    expect(rows).toEqual([]);
  });

  test('an account has at most 100', async () => {
    for (let i = 0; i < 110; i++)
      await databases.query(
        'catalog',
        `SELECT catalog.add_session(id, sha256(gen_random_uuid()::text::bytea), 'password') FROM catalog.account WHERE name = 'external'`,
      );
    const [row] = await databases.query<{ n: number }>(
      'catalog',
      `SELECT count(*)::int AS n FROM catalog.session s JOIN catalog.account a ON a.id = s.account_id WHERE a.name = 'external'`,
    );
    expect(row?.n).toBe(100);
  });

  test('ends when the account is disabled, which cannot sign in until it is enabled', async () => {
    await addAccount(databases, 'gone@example.org', 'analyst');
    const visitor = visit(desk, newAddress());
    await visitor.signIn('gone@example.org');
    expect(await isSignedIn(visitor)).toBe(true);
    await asOwner((pool) => disableAccount(pool, 'gone@example.org'));
    expect(await isSignedIn(visitor)).toBe(false);
    expect((await visitor.signIn('gone@example.org')).body).toContain('The name or the password is wrong.');
    await asOwner((pool) => enableAccount(pool, 'gone@example.org'));
    expect((await visitor.signIn('gone@example.org')).status).toBe(303);
  });

  test('ends when the operator sets a password', async () => {
    await addAccount(databases, 'new@example.org', 'analyst');
    const visitor = visit(desk, newAddress());
    await visitor.signIn('new@example.org');
    await asOwner((pool) => setPassword(pool, 'new@example.org', 'another long password'));
    expect(await isSignedIn(visitor)).toBe(false);
    expect((await visitor.signIn('new@example.org')).status).toBe(403);
    expect((await visitor.signIn('new@example.org', 'another long password')).status).toBe(303);
  });
});

describe('limits', () => {
  test('an address with 20 failures waits a minute, and others do not', async () => {
    const own = await deskForTest(databases);
    const attacker = visit(own, { remoteAddress: '203.0.113.1' });
    for (let i = 0; i < 20; i++) expect((await attacker.signIn(`nobody${i}`, 'wrong')).status).toBe(403);
    const refused = await attacker.signIn('Ann@example.org');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.body).toContain('wait a minute');
    expect((await visit(own, newAddress()).signIn('Ann@example.org')).status).toBe(303);
    own.passMs(60_001);
    expect((await attacker.signIn('Ann@example.org')).status).toBe(303);
  });

  test('an account with many failures from many addresses pauses for a short time', async () => {
    const own = await deskForTest(databases);
    const owner = visit(own, newAddress());
    expect((await owner.signIn('Ann@example.org')).status).toBe(303);
    let refused = 0;
    for (let i = 0; i < 8; i++) if ((await visit(own, newAddress()).signIn('ANN@example.org', 'wrong')).status === 429) refused++;
    expect(refused).toBeGreaterThan(0);
    const right = visit(own, newAddress());
    expect((await right.signIn('Ann@example.org')).status).toBe(429);
    // The pause does not apply where somebody has signed in before.
    expect((await owner.signIn('Ann@example.org')).status).toBe(303);
    own.passMs(30_001);
    expect((await right.signIn('Ann@example.org')).status).toBe(303);
  });

  test('attempts at the same time count, too, and not more than 16 wait', async () => {
    const own = await deskForTest(databases);
    const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => visit(own, newAddress()).signIn(`somebody${i}`, 'wrong')));
    const counts = Map.groupBy(answers, ({ status }) => status);
    expect(counts.get(403)?.length ?? 0).toBeLessThanOrEqual(16);
    expect(counts.get(429)?.length ?? 0).toBeGreaterThanOrEqual(14);
    const same = await Promise.all(Array.from({ length: 12 }, () => visit(own, newAddress()).signIn('Ann@example.org', 'wrong')));
    expect(same.filter(({ status }) => status === 403).length).toBeLessThanOrEqual(5);
  });

  test('no account is locked for more than 30 seconds, however often somebody tries', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60_000 }), { minLength: 20, maxLength: 100 }), (steps) => {
        let nowMs = 0;
        const attempts = createAttempts(() => nowMs);
        for (const [i, step] of steps.entries()) {
          nowMs += step;
          expect(attempts.begin('ann', `10.0.0.${i}`)).toBeLessThanOrEqual(30);
        }
        nowMs += 30_001;
        expect(attempts.begin('ANN', '10.0.1.1')).toBe(0);
      }),
      runs(50),
    );
  });
});

describe('the page to which the sign-in leads', () => {
  const base = 'https://desk.example.org/sign-in';
  // Parts of what browsers and servers read differently.
  const piece = fc.constantFrom(
    '/',
    '\\',
    '//',
    '/\\',
    'evil.example',
    '@',
    ':',
    'https:',
    'javascript:',
    '\t',
    '\n',
    '\r',
    '%2f',
    '%5c',
    '%09',
    '.',
    '..',
    '?',
    '#',
    ' ',
    '\0',
    '\u2028',
    '／',
    'ä',
    'x',
  );
  const path = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.array(piece, { maxLength: 8 }).map((parts) => parts.join('')),
  );

  test('is always on this host', () => {
    fc.assert(
      fc.property(path, (to) => {
        const location = localPath(to);
        expect(new URL(location, base).origin).toBe(new URL(base).origin);
        // A header may not have line breaks or other characters than those of ASCII.
        expect(location).toMatch(/^\/[\x21-\x7e]*$/);
      }),
      runs(2000),
    );
  });

  test('is the one that was asked for, if it is a path', () => {
    for (const to of ['/', '/report/x?a=b&c=%20d#e', '/campaign/Spring%20sale', '/a//b', '/a@b:c']) expect(localPath(to)).toBe(to);
    for (const to of [
      undefined,
      null,
      '',
      'x',
      '//evil.example',
      '/\\evil.example',
      '/\t/evil.example',
      'https://evil.example/',
      `/${'x'.repeat(3000)}`,
    ])
      expect(localPath(to)).toBe('/');
  });

  test('is checked in each place that takes it', async () => {
    const visitor = visit(desk, newAddress());
    for (const to of ['//evil.example', 'https://evil.example', '/\\evil.example', '/\t/evil.example']) {
      expect((await visitor.get(`/sign-in?to=${encodeURIComponent(to)}`)).body).toContain('name="to" value="/"');
      expect((await visitor.post('/sign-in', { name: 'Ann@example.org', password: PASSWORD, to })).location).toBe('/');
    }
    expect((await visitor.get('/sign-in?to=/a&to=/b')).body).toContain('name="to" value="/"');
    expect((await visit(desk).get('//evil.example/')).location).toMatch(/^\/sign-in\?to=/);
  });
});

test('nothing was unexpected', () => {
  expect(desk.onError).not.toHaveBeenCalled();
});
