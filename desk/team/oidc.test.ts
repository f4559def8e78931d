import { beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../core/config.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { addAccount, deskForTest, type TestDesk, visit, type Visitor } from '../../test/support/desk.ts';
import { type Issuer, startIssuer } from '../../test/support/issuer.ts';
import { checkTeamConfig, TEAM_SETTINGS } from './settings.ts';

// The sign-in with a real provider of OpenID Connect.

const DESK_URL = 'http://127.0.0.1';
const ANN = { email: 'ANN@example.org', email_verified: true, preferred_username: 'ann' };

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(1);
  await addAccount(databases, 'ann@example.org', 'author', null);
  await addAccount(databases, 'ann', 'analyst', null);
  await addAccount(databases, 'password@example.org', 'owner');
});

async function start(changes: Record<string, string> = {}, inToken = false): Promise<{ issuer: Issuer; desk: TestDesk; visitor: Visitor }> {
  const issuer = await startIssuer(DESK_URL, inToken);
  const settings = { DESK_URL, OIDC_ISSUER: issuer.url, OIDC_CLIENT_ID: issuer.clientId, OIDC_CLIENT_SECRET: issuer.clientSecret };
  const desk = await deskForTest(databases, { ...settings, ...changes });
  return { issuer, desk, visitor: visit(desk) };
}

/** Begins a sign-in. Returns the address of the provider. */
async function begin(visitor: Visitor, to = '/report/clicks-by-link?limit=1'): Promise<string> {
  const page = await visitor.get(`/sign-in?to=${encodeURIComponent(to)}`);
  const [, href = ''] = /href="(\/sign-in\/oidc[^"]*)"/.exec(page.body) ?? [];
  const answer = await visitor.get(href);
  expect(answer.status).toBe(303);
  return answer.location ?? '';
}

/** Changes one part of the cookie that the desk keeps during the sign-in: 0 state, 1 nonce, 2 verifier, 3 page. */
function change(visitor: Visitor, part: number, text: string): void {
  const parts = (visitor.cookies.get('clickledger-oidc') ?? '').split('.');
  expect(parts).toHaveLength(4);
  parts[part] = text;
  visitor.cookies.set('clickledger-oidc', parts.join('.'));
}

const sessionsOf = (visitor: Visitor) => [...visitor.cookies.keys()].filter((name) => name === 'clickledger');

describe.each([
  ['userinfo', false],
  ['the id token', true],
])('with claims in %s', (_name, inToken) => {
  test('a person with a verified address and an account is signed in, and comes back to the page', async () => {
    const { issuer, desk, visitor } = await start({}, inToken);
    const url = await begin(visitor);
    expect(Object.fromEntries(new URL(url).searchParams)).toMatchObject({ code_challenge_method: 'S256', response_type: 'code' });
    const answer = await visitor.get(await issuer.signIn(url, ANN));
    expect(answer).toMatchObject({ status: 303, location: '/report/clicks-by-link?limit=1' });
    expect(answer.setCookies).toEqual([
      'clickledger-oidc=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax',
      expect.stringMatching(/^clickledger=[\w-]{43}; Path=\/; Max-Age=2592000; HttpOnly; SameSite=Lax$/),
    ]);
    const account = await visitor.get('/account');
    expect(account.body).toContain('<dd>ann@example.org</dd>');
    expect(account.body).not.toContain('Change the password');
    expect(desk.onError).not.toHaveBeenCalled();
  });
});

test('another claim may have the name', async () => {
  const { issuer, visitor } = await start({ OIDC_CLAIM: 'preferred_username' });
  await visitor.get(await issuer.signIn(await begin(visitor), { ...ANN, email_verified: false }));
  expect((await visitor.get('/account')).body).toContain('<dd>ann</dd>');
});

test.each([
  ['an address that is not verified', { ...ANN, email_verified: false }, 'has not verified your mail address'],
  ['an address of which nothing is said', { email: 'ann@example.org' }, 'has not verified your mail address'],
  ['an address that is verified as a text', { ...ANN, email_verified: 'true' }, 'has not verified your mail address'],
  ['no address', { email_verified: true }, 'gives no claim email'],
  ['an account that does not exist', { email: 'eve@example.org', email_verified: true }, 'there is no account'],
  ['an account with a password', { email: 'password@example.org', email_verified: true }, 'there is no account'],
  ['an address with a letter that other rules fold', { email: 'ann@example.or\u212a', email_verified: true }, 'there is no account'],
  ['a hostile address', { email: '<img src=x>@example.org', email_verified: true }, '&lt;img src=x&gt;'],
])('%s is refused with a page that says why', async (_name, claims, message) => {
  const { issuer, visitor } = await start();
  const answer = await visitor.get(await issuer.signIn(await begin(visitor), claims));
  expect(answer.status).toBe(403);
  expect(answer.body.toLowerCase()).toContain(message.toLowerCase());
  expect(answer.body).not.toContain('<img src');
  expect(sessionsOf(visitor)).toEqual([]);
});

describe('an answer that does not belong to this browser is refused', () => {
  test('without the cookie', async () => {
    const { issuer, desk, visitor } = await start();
    const callback = await issuer.signIn(await begin(visitor), ANN);
    const victim = visit(desk);
    const answer = await victim.get(callback);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('has not begun to sign in');
    expect(sessionsOf(victim)).toEqual([]);
  });

  test.each([
    ['another state', 0],
    ['another nonce', 1],
    ['another verifier', 2],
  ])('with %s', async (_name, part) => {
    const { issuer, desk, visitor } = await start();
    const callback = await issuer.signIn(await begin(visitor), ANN);
    change(visitor, part, 'A'.repeat(43));
    const answer = await visitor.get(callback);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('The answer of the issuer is not valid');
    expect(sessionsOf(visitor)).toEqual([]);
    expect(desk.onError).toHaveBeenCalledTimes(1);
  });

  test('a second time', async () => {
    const { issuer, visitor } = await start();
    const url = await begin(visitor);
    const cookie = visitor.cookies.get('clickledger-oidc') ?? '';
    const callback = await issuer.signIn(url, ANN);
    expect((await visitor.get(callback)).status).toBe(303);
    visitor.cookies.clear();
    expect((await visitor.get(callback)).status).toBe(403);
    visitor.cookies.set('clickledger-oidc', cookie);
    expect((await visitor.get(callback)).status).toBe(403);
    expect(sessionsOf(visitor)).toEqual([]);
  });

  test('and it never leads to another host', async () => {
    const { issuer, visitor } = await start();
    const callback = await issuer.signIn(await begin(visitor), ANN);
    change(visitor, 3, Buffer.from('//evil.example').toString('base64url'));
    expect((await visitor.get(callback)).location).toBe('/');
  });
});

test('a person who cancels is told so', async () => {
  const { issuer, desk, visitor } = await start();
  const answer = await visitor.get(await issuer.cancel(await begin(visitor)));
  expect(answer.status).toBe(403);
  expect(answer.body).toContain('The issuer has not signed you in');
  expect(desk.onError).not.toHaveBeenCalled();
});

test('a wrong secret of the desk is in the log of the desk, and not on the page', async () => {
  const { issuer, desk, visitor } = await start({ OIDC_CLIENT_SECRET: 'a wrong secret' });
  const answer = await visitor.get(await issuer.signIn(await begin(visitor), ANN));
  expect(answer.status).toBe(403);
  expect(answer.body).not.toContain('wrong secret');
  expect(desk.onError).toHaveBeenCalledTimes(1);
});

test('an issuer that does not answer is a page, and the password form stays', async () => {
  const { visitor } = await start({ OIDC_ISSUER: 'http://127.0.0.1:1' });
  expect((await visitor.get('/sign-in')).body).toContain('name="password"');
  const answer = await visitor.get('/sign-in/oidc');
  expect(answer.status).toBe(503);
  expect(answer.body).toContain('The issuer http://127.0.0.1:1 does not answer as expected');
});

test.each([
  [{ OIDC_ISSUER: 'https://id.example.org', DESK_URL: 'https://desk.example.org' }, 'OIDC_CLIENT_ID'],
  [{ OIDC_ISSUER: 'https://id.example.org', OIDC_CLIENT_ID: 'desk' }, 'DESK_URL'],
  [{ OIDC_ISSUER: 'http://id.example.org', OIDC_CLIENT_ID: 'desk', DESK_URL: 'https://desk.example.org' }, 'must be an https:// URL'],
])('the settings %j are refused', (settings, message) => {
  expect(() => checkTeamConfig(parseConfig(TEAM_SETTINGS, settings as Record<string, string>))).toThrow(message);
});
