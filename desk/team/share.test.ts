import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addCampaign, addHits, addLog, HOSTILE } from '../../test/support/campaigns.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { addAccount, deskForTest, startTestDesk, type TestDesk, visit, type Visitor } from '../../test/support/desk.ts';

let databases: Databases;
let desk: TestDesk;
let author: Visitor;
let spring: Awaited<ReturnType<typeof addCampaign>>;
let other: number;

beforeAll(async () => {
  databases = await createDatabases(2);
  spring = await addCampaign(databases, 'Spring sale', 40);
  other = (await addCampaign(databases, 'Secret launch', 2)).campaign;
  const { campaign, links, pixel } = spring;
  await addHits(databases, { campaign, link: pixel, kind: 'open', people: 20 });
  await addHits(databases, { campaign, link: links[0] as number, kind: 'click', people: 10 });
  await addLog(databases);
  desk = await startTestDesk(databases);
  await addAccount(databases, 'author@example.org', 'author');
  author = visit(desk);
  await author.signIn('author@example.org');
});

afterAll(() => desk.app.close());

/** Creates a link to a campaign. Returns its path. */
async function share(campaign: number, days = '7'): Promise<string> {
  const answer = await author.post(`/campaign/${campaign}/share`, { days });
  expect(answer.status).toBe(200);
  return new URL(/href="(http:\/\/127\.0\.0\.1\/shared\/[\w-]{43})"/.exec(answer.body)?.[1] ?? '').pathname;
}

const newest = async (): Promise<{ id: number; days: number; by: string }> => {
  const [row] = await databases.query<{ id: number; days: number; by: string }>(
    'catalog',
    `SELECT s.id, extract(day FROM expires_at - s.created_at)::int AS days, a.name AS by
     FROM catalog.share_link s JOIN catalog.account a ON a.id = s.created_by ORDER BY s.id DESC LIMIT 1`,
  );
  return row as { id: number; days: number; by: string };
};

describe('a link', () => {
  test('shows its campaign to everyone, and is listed with its use', async () => {
    const path = await share(spring.campaign);
    const nobody = visit(desk);
    const page = await nobody.get(path);
    expect(page.status).toBe(200);
    expect(page.body).toContain('<h1>Spring sale</h1>');
    expect(page.body).toMatch(/Opened<\/span><b>50\.0%<\/b><small>20 recipients/);
    expect(page.body).toMatch(/shop\.example\/sale<\/th><td[^>]*>10<\/td><td[^>]*>10<\/td>/);
    expect(page.setCookies).toEqual([]);
    const list = (await author.get(`/campaign/${spring.campaign}/share`)).body;
    expect(list).toContain('author@example.org');
    expect(list).toContain('Revoke');
    expect(list).not.toContain(path);
    const [row] = await databases.query<{ used: boolean }>('catalog', 'SELECT last_used_at IS NOT NULL AS used FROM catalog.share_link');
    expect(row).toEqual({ used: true });
  });

  test.each(['1', '7', '30', '90'])('is valid for %s days', async (days) => {
    await share(spring.campaign, days);
    expect(await newest()).toMatchObject({ days: Number(days), by: 'author@example.org' });
  });

  test.each(['', '0', '-1', '2', '91', '1e9', 'x'])('cannot be valid for %j days', async (days) => {
    expect((await author.post(`/campaign/${spring.campaign}/share`, { days })).status).toBe(400);
  });

  test('shows only its own campaign', async () => {
    const body = (await visit(desk).get(await share(spring.campaign))).body;
    expect(body).not.toContain('Secret launch');
    const second = (await visit(desk).get(await share(other))).body;
    expect(second).toContain('<h1>Secret launch</h1>');
    expect(second).not.toContain('Spring sale');
  });

  test('of a campaign that does not exist is not made', async () => {
    expect((await author.post('/campaign/99/share', { days: '7' })).status).toBe(404);
    expect((await author.get('/campaign/99/share')).status).toBe(404);
  });

  test('ends when it expires', async () => {
    const path = await share(spring.campaign);
    const { id } = await newest();
    await databases.query(
      'catalog',
      `UPDATE catalog.share_link SET created_at = now() - interval '2 days', expires_at = now() WHERE id = $1`,
      [id],
    );
    const answer = await visit(desk).get(path);
    expect(answer.status).toBe(404);
    expect(answer.body).not.toContain('Spring sale');
    expect((await author.get(`/campaign/${spring.campaign}/share`)).body).toContain('expired');
  });

  test('ends when it is revoked, by its own campaign only, and each change is in the log', async () => {
    const path = await share(spring.campaign);
    const { id } = await newest();
    expect((await author.post(`/campaign/${other}/share/revoke`, { id: String(id) })).status).toBe(404);
    expect((await visit(desk).get(path)).status).toBe(200);
    expect(await author.post(`/campaign/${spring.campaign}/share/revoke`, { id: String(id) })).toMatchObject({
      status: 303,
      location: `/campaign/${spring.campaign}/share`,
    });
    expect((await visit(desk).get(path)).status).toBe(404);
    const rows = await databases.query(
      'catalog',
      `SELECT l.action, a.name FROM catalog.audit_log l JOIN catalog.account a ON a.id = l.account_id
       WHERE object = $1 AND (details->>'share')::int = $2 ORDER BY l.id`,
      [`campaign ${spring.campaign}`, id],
    );
    expect(rows).toEqual([
      { action: 'share.create', name: 'author@example.org' },
      { action: 'share.revoke', name: 'author@example.org' },
    ]);
  });

  test('stays valid if its author may no longer make links', async () => {
    const path = await share(spring.campaign);
    await databases.query('catalog', `UPDATE catalog.account SET role = 'analyst'`);
    expect((await author.post(`/campaign/${spring.campaign}/share`, { days: '7' })).status).toBe(403);
    await databases.query('catalog', `UPDATE catalog.account SET role = 'author'`);
    expect((await visit(desk).get(path)).status).toBe(200);
  });
});

describe('a wrong link', () => {
  test.each(['x', 'x'.repeat(43), 'x'.repeat(44), `${'x'.repeat(42)}'`, '%00', '..%2f', randomBytes(32).toString('base64url')])(
    '%j shows nothing',
    async (token) => {
      const answer = await visit(desk, { remoteAddress: '203.0.113.9' }).get(`/shared/${token}`);
      expect(answer.status).toBe(404);
      expect(answer.body).not.toContain('Spring sale');
    },
  );

  test('may be tried 20 times a minute from an address, which does not lock out others', async () => {
    const own = await deskForTest(databases);
    const path = await share(spring.campaign);
    const attacker = visit(own, { remoteAddress: '203.0.113.1' });
    for (let i = 0; i < 20; i++) expect((await attacker.get(`/shared/${randomBytes(32).toString('base64url')}`)).status).toBe(404);
    expect((await attacker.get(path)).status).toBe(429);
    expect((await visit(own, { remoteAddress: '203.0.113.2' }).get(path)).status).toBe(200);
    own.passMs(60_001);
    expect((await attacker.get(path)).status).toBe(200);
  });

  test('is not the token of a session, and a link is no session', async () => {
    const [session = ''] = author.cookies.values();
    expect((await visit(desk).get(`/shared/${session}`)).status).toBe(404);
    const token = (await share(spring.campaign)).slice('/shared/'.length);
    expect((await visit(desk).get('/', { headers: { cookie: `clickledger=${token}` } })).status).toBe(303);
  });
});

describe('the shared page', () => {
  test('has no links to other pages, no forms, no scripts, and says nothing to other hosts', async () => {
    const { body, headers } = await visit(desk).get(await share(spring.campaign));
    const hrefs = Array.from(body.matchAll(/\b(?:href|action|src)="([^"]*)"/g), ([, href]) => href);
    expect(hrefs.filter((href) => !/^#|^data:image\/svg/.test(href ?? ''))).toEqual([]);
    expect(body).not.toMatch(/<(?:form|script|iframe|button)\b/);
    expect(headers).toMatchObject({ 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' });
    expect(headers['x-robots-tag']).toContain('noindex');
    expect(headers['content-security-policy']).toContain(`default-src 'none'`);
    expect(headers).not.toHaveProperty('set-cookie');
    // The account of the visitor is not on it, either.
    expect((await author.get(await share(spring.campaign))).body).not.toContain('author@example.org');
  });

  test('has nothing about people, whatever their addresses and ids are, and whatever the links have of them', async () => {
    const part = fc.stringMatching(/^[a-z][\w.+!#$%&'*/=?^`{|}~-]{3,12}$/);
    const people = fc.sample(
      fc.record({ local: part, domain: fc.stringMatching(/^[a-z]{6,10}$/), externalId: fc.stringMatching(/^[A-Za-z<>&"' ]{8,16}$/) }),
      { numRuns: 30, seed: 7 },
    );
    const { campaign } = await addCampaign(databases, HOSTILE, 0);
    const forbidden: string[] = [];
    for (const { local, domain, externalId } of people) {
      const email = `${local}@${domain}.example`.toLowerCase();
      const [recipient] = await databases.query<{ id: number }>(
        'catalog',
        `WITH person AS (INSERT INTO catalog.recipient (email, external_id) VALUES ($2, $3) ON CONFLICT DO NOTHING RETURNING id)
         INSERT INTO catalog.mailing (campaign_id, recipient_id) SELECT $1, id FROM person RETURNING recipient_id AS id`,
        [campaign, email, externalId],
      );
      if (recipient === undefined) continue;
      const targets = [
        `https://shop.example/unsubscribe/${email}`,
        `https://shop.example/hello?mail=${encodeURIComponent(email)}&id=${encodeURIComponent(externalId)}`,
        `https://shop.example/m/${encodeURIComponent(email)}/x`,
        `https://${encodeURIComponent(local)}:secret@shop.example/`,
      ];
      for (const target of targets) {
        const [link] = await databases.query<{ id: number }>(
          'catalog',
          `INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'url', $2) ON CONFLICT DO NOTHING RETURNING id`,
          [campaign, target],
        );
        if (link)
          await databases.query('catalog', 'INSERT INTO catalog.link_version (link_id, version, target) VALUES ($1, 1, $2)', [
            link.id,
            target,
          ]);
      }
      forbidden.push(email, domain, externalId);
    }
    expect(forbidden.length).toBeGreaterThan(60);
    const answer = await visit(desk).get(await share(campaign));
    expect(answer.status).toBe(200);
    const decoded = answer.body
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&#39;', `'`)
      .replaceAll('&amp;', '&');
    expect(decoded).toContain(HOSTILE);
    expect(decoded).toContain('shop.example/hello');
    for (const text of forbidden) {
      for (const written of [text, encodeURIComponent(text)])
        expect({ text, isShown: decoded.includes(written) }).toEqual({ text, isShown: false });
    }
    expect(decoded).not.toContain('secret');
  });
});

test('nothing was unexpected', () => {
  expect(desk.onError).not.toHaveBeenCalled();
});
