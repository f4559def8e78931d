import { parse as parseHtml } from 'parse5';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPool } from '../../core/postgres.ts';
import { createKey, readAuditLog } from '../../operating/api-keys.ts';
import { addCampaign, HOSTILE } from '../../test/support/campaigns.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { addAccount, PASSWORD, startTestDesk, type TestDesk, visit, type Visitor } from '../../test/support/desk.ts';

// The pages for one's own account and for owners.

let databases: Databases;
let desk: TestDesk;
let owner: Visitor;
let ownerId: number;
let key: { id: string; key: string };

beforeAll(async () => {
  databases = await createDatabases(1);
  desk = await startTestDesk(databases);
  ownerId = await addAccount(databases, 'owner@example.org', 'owner');
  await addAccount(databases, HOSTILE, 'analyst', null);
  owner = visit(desk);
  await owner.signIn('owner@example.org');
  const pool = createPool(databases.ownerUrl, { max: 1, name: 'test' });
  key = await createKey(pool, HOSTILE, 'author', 5);
  await pool.end();
});

afterAll(() => desk.app.close());

async function signedIn(name: string, password = PASSWORD): Promise<Visitor> {
  const visitor = visit(desk);
  expect((await visitor.signIn(name, password)).status).toBe(303);
  return visitor;
}

const isSignedIn = async (visitor: Visitor): Promise<boolean> => (await visitor.get('/account')).status === 200;

const readLog = async (limit = 1000) => {
  const pool = createPool(databases.ownerUrl, { max: 1, name: 'test' });
  return readAuditLog(pool, limit).finally(() => pool.end());
};

test('all pages are valid HTML, and names are texts in them', async () => {
  const { campaign } = await addCampaign(databases, HOSTILE, 1);
  for (const url of [
    '/account',
    '/team',
    '/team/keys',
    '/team/log',
    '/team/log?action=key.create',
    `/campaign/${campaign}/share`,
    '/sign-in',
  ]) {
    const { status, body } = await owner.get(url);
    const errors: string[] = [];
    parseHtml(body, { onParseError: ({ code }) => errors.push(code) });
    expect({ url, status, errors }).toEqual({ url, status: 200, errors: [] });
    expect(body).not.toContain('<img');
  }
  expect((await owner.get('/team')).body).toContain('&lt;img src=x onerror=alert(1)&gt;');
});

describe('one’s own account', () => {
  test('ends one session, and only one’s own', async () => {
    await addAccount(databases, 'ann@example.org', 'analyst');
    const [ann, annToo] = [await signedIn('ann@example.org'), await signedIn('ann@example.org')];
    const page = (await ann.get('/account')).body;
    const ids = Array.from(page.matchAll(/name="id" value="(\d+)"/g), ([, id]) => id as string);
    expect(ids).toHaveLength(1);
    // The number of a session of somebody else.
    expect((await owner.post('/account/end-session', { id: ids[0] as string })).status).toBe(303);
    expect(await isSignedIn(annToo)).toBe(true);
    expect(await ann.post('/account/end-session', { id: ids[0] as string })).toMatchObject({ status: 303, location: '/account' });
    expect([await isSignedIn(annToo), await isSignedIn(ann)]).toEqual([false, true]);
    expect((await ann.post('/account/end-session', { id: '1; DROP' })).status).toBe(404);
  });

  test('ends all other sessions', async () => {
    await addAccount(databases, 'bob@example.org', 'analyst');
    const [bob, bobToo, third] = [await signedIn('bob@example.org'), await signedIn('bob@example.org'), await signedIn('bob@example.org')];
    expect((await bob.post('/account/end-others')).status).toBe(303);
    expect([await isSignedIn(bob), await isSignedIn(bobToo), await isSignedIn(third), await isSignedIn(owner)]).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });

  test('changes the password with the current one, which ends the other sessions', async () => {
    await addAccount(databases, 'cy@example.org', 'analyst');
    const [cy, cyToo] = [await signedIn('cy@example.org'), await signedIn('cy@example.org')];
    const next = 'a completely new one';
    const change = (fields: Record<string, string>) =>
      cy.post('/account/password', { current: PASSWORD, new: next, again: next, ...fields });
    const mistakes: [Record<string, string>, number, string][] = [
      [{ current: 'wrong' }, 403, 'The current password is wrong.'],
      [{ again: 'different' }, 400, 'The two new passwords are different.'],
      [{ new: 'short', again: 'short' }, 400, 'A password must have 12 to 1024 characters'],
    ];
    for (const [fields, status, message] of mistakes) {
      const answer = await change(fields);
      expect({ fields, status: answer.status }).toEqual({ fields, status });
      expect(answer.body).toContain(message);
    }
    expect(await isSignedIn(cyToo)).toBe(true);
    expect(await change({})).toMatchObject({ status: 303, location: '/account' });
    expect([await isSignedIn(cy), await isSignedIn(cyToo)]).toEqual([true, false]);
    expect((await visit(desk).signIn('cy@example.org')).status).toBe(403);
    await signedIn('cy@example.org', next);
    expect((await readLog())[1]).toMatchObject({ action: 'account.password', account: 'cy@example.org' });
  });

  test('limits the guesses of the current password', async () => {
    await addAccount(databases, 'dee@example.org', 'analyst');
    const dee = visit(desk, { remoteAddress: '203.0.113.77' });
    await dee.signIn('dee@example.org');
    const guess = () => dee.post('/account/password', { current: 'wrong', new: PASSWORD, again: PASSWORD });
    for (let i = 0; i < 20; i++) expect((await guess()).status).toBe(403);
    expect((await guess()).status).toBe(429);
  });
});

describe('the team', () => {
  const idOf = async (name: string): Promise<string> => {
    const [row] = await databases.query<{ id: number }>('catalog', 'SELECT id FROM catalog.account WHERE name = $1', [name]);
    return String(row?.id);
  };

  test('an owner ends the sessions of an account, and disables it', async () => {
    await addAccount(databases, 'eve@example.org', 'owner');
    const eve = await signedIn('eve@example.org');
    const id = await idOf('eve@example.org');
    expect((await owner.get('/team')).body).toMatch(/eve@example\.org<\/th><td[^>]*>owner<\/td><td[^>]*>password<\/td><td[^>]*>1<\/td>/);
    expect(await owner.post('/team/end-sessions', { id })).toMatchObject({ status: 303, location: '/team' });
    expect(await isSignedIn(eve)).toBe(false);
    await eve.signIn('eve@example.org');
    expect(await isSignedIn(eve)).toBe(true);
    expect((await owner.post('/team/disable', { id })).status).toBe(303);
    expect(await isSignedIn(eve)).toBe(false);
    expect((await eve.signIn('eve@example.org')).status).toBe(403);
    expect((await readLog(2)).map(({ action, account, object }) => ({ action, account, object }))).toEqual([
      { action: 'account.disable', account: 'owner@example.org', object: `account ${id}` },
      { action: 'session.open', account: 'eve@example.org', object: `account ${id}` },
    ]);
  });

  test('an owner cannot disable the own account, or one that does not exist', async () => {
    for (const id of [String(ownerId), '999']) expect((await owner.post('/team/disable', { id })).status).toBe(400);
    for (const id of ['', 'x', '-1', '1e3']) expect((await owner.post('/team/disable', { id })).status).toBe(404);
    expect(await isSignedIn(owner)).toBe(true);
  });

  test('an owner sees the keys without secrets, and revokes one', async () => {
    const { body } = await owner.get('/team/keys');
    expect(body).toContain(key.id);
    expect(body).not.toContain(key.key);
    expect((await owner.post('/team/revoke-key', { id: HOSTILE })).status).toBe(404);
    expect((await owner.post('/team/revoke-key', { id: '0123456789ab' })).status).toBe(404);
    expect(await owner.post('/team/revoke-key', { id: key.id })).toMatchObject({ status: 303, location: '/team/keys' });
    expect((await readLog(1))[0]).toMatchObject({ action: 'key.revoke', account: 'owner@example.org', object: `key ${key.id}` });
    expect(await databases.query('catalog', 'SELECT FROM catalog.api_key WHERE revoked_at IS NOT NULL')).toHaveLength(1);
  });

  test('the log shows the newest 200 changes, or those of one action', async () => {
    const all = (await owner.get('/team/log')).body;
    expect(all).toContain('command line');
    expect(all).toContain('<option>key.create</option>');
    const some = (await owner.get('/team/log?action=key.create')).body;
    expect(some).toContain('<option selected>key.create</option>');
    expect(some.split('<tr>').length - 2).toBe(1);
    expect((await owner.get(`/team/log?action=${encodeURIComponent(`' OR true --`)}`)).body.split('<tr>').length - 2).toBe(0);
    await databases.query('catalog', `SELECT catalog.record_change(NULL, 'many', 'x', '{}') FROM generate_series(1, 300)`);
    expect((await owner.get('/team/log')).body.split('<tr>').length - 2).toBe(200);
  });

  test('the log has no mail address in its objects and details', async () => {
    const rows = await readLog();
    expect(JSON.stringify(rows.map(({ object, details }) => [object, details]))).not.toContain('@');
  });
});

test('nothing was unexpected', () => {
  expect(desk.onError).not.toHaveBeenCalled();
});
