import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createPool } from '../core/postgres.ts';
import { createKey } from '../operating/api-keys.ts';
import { freePort } from '../stack/ports.ts';
import { startPart } from '../stack/part.ts';
import { authorSettings } from '../test/support/authors.ts';
import { addCampaign } from '../test/support/campaigns.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { addAccount, PASSWORD } from '../test/support/desk.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';

// The desk as a process.

let databases: Databases;
let key: string;

beforeAll(async () => {
  databases = await createDatabases(1);
  const owner = createPool(databases.ownerUrl, { max: 1, name: 'test' });
  ({ key } = await createKey(owner, 'shop', 'author', 1000));
  await owner.end();
});

async function startDesk(changes: Record<string, string> = {}, on = databases) {
  const port = await freePort();
  const env = { ...authorSettings(on), ANALYST_URL: on.roleUrls.analyst, DESK_PORT: String(port), ...changes };
  const runDir = await temporaryDirectory();
  const desk = await startPart({ part: 'desk', name: 'desk', runDir, env });
  onTestFinished(() => desk.stop());
  const health = async () =>
    (await (await fetch(`http://127.0.0.1:${desk.adminPort}/healthz`)).json()) as { ready: boolean; degraded: { code: string }[] };
  const metrics = async () => (await fetch(`http://127.0.0.1:${desk.adminPort}/metrics`)).text();
  const readLog = () => readFile(join(runDir, 'desk.log'), 'utf8');
  return { desk, base: `http://127.0.0.1:${port}`, port, health, metrics, readLog };
}

test('serves pages and the API, and counts requests by route, without keys and names', async () => {
  const { base, health, metrics } = await startDesk();
  expect(await health()).toMatchObject({ part: 'desk', ready: true, degraded: [] });
  expect((await fetch(base)).status).toBe(200);
  const headers = { authorization: `Bearer ${key}` };
  const created = await fetch(`${base}/api/v1/campaigns`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: '{"name":"secret name"}',
  });
  expect(created.status).toBe(201);
  expect((await fetch(`${base}/api/v1/campaigns/99`, { headers })).status).toBe(404);
  expect((await fetch(`${base}/api/v1/nothing`, { headers })).status).toBe(404);
  const text = await metrics();
  expect(text).toContain('clickledger_desk_requests_total{method="POST",route="/api/v1/campaigns",status="201"} 1');
  expect(text).toContain('clickledger_desk_requests_total{method="GET",route="/api/v1/campaigns/:campaign",status="404"} 1');
  expect(text).toContain('clickledger_desk_requests_total{method="GET",route="/",status="200"} 1');
  expect(text).toContain('clickledger_desk_request_seconds_count{route="/api/v1/campaigns"} 1');
  expect(text).toContain('clickledger_desk_ready 1');
  expect(text).not.toMatch(/secret|nothing|ck_/);
});

test('a catalog that is away is a problem of the desk, which still serves what needs no account', async () => {
  const away = { AUTHOR_URL: databases.roleUrls.author.replace(/:\d+\//, ':1/') };
  const { base, health, metrics } = await startDesk({ ...away, SIGN_IN: 'off' });
  expect(await health()).toMatchObject({ ready: true, degraded: [{ code: 'catalog-unreachable' }] });
  expect(await metrics()).toContain('clickledger_desk_degraded{code="catalog-unreachable"} 1');
  expect((await fetch(base)).status).toBe(200);
  // Nobody knows whether there is an account, so no page is shown.
  expect((await fetch((await startDesk(away)).base)).status).toBe(503);
});

test('SIGTERM ends the desk, also while a client sends an import', async () => {
  const { desk, port } = await startDesk();
  const sent = request({
    port,
    host: '127.0.0.1',
    path: '/api/v1/recipients',
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
  });
  const failed = once(sent, 'error');
  sent.write('{"external_id":"unfinished"}\n');
  await eventually('the import has begun', async () => {
    const rows = await databases.query('catalog', `SELECT FROM catalog.audit_log WHERE action = 'recipient.create'`);
    return rows.length > 0;
  });
  await desk.stop();
  await failed;
  expect(await databases.query('catalog', `SELECT status FROM catalog.audit_log WHERE action = 'recipient.create'`)).toEqual([
    { status: 499 },
  ]);
});

test('sign-in leaves no password, token, name or mail address in the log and in the metrics', async () => {
  const own = await createDatabases(1);
  const { campaign } = await addCampaign(own, 'Secret campaign', 1);
  await addAccount(own, 'ann@example.org', 'owner');
  const { base, metrics, readLog } = await startDesk({ LOG_LEVEL: 'trace', DESK_URL: 'https://desk.example.org' }, own);
  const post = (path: string, fields: Record<string, string>, cookie = '') =>
    fetch(base + path, {
      method: 'POST',
      redirect: 'manual',
      headers: { cookie, origin: base, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields),
    });
  expect((await post('/sign-in', { name: 'ann@example.org', password: 'a wrong password' })).status).toBe(403);
  const signedIn = await post('/sign-in', { name: 'ann@example.org', password: PASSWORD });
  expect(signedIn.status).toBe(303);
  const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? '';
  const [, formToken = ''] =
    /name="form_token" value="([^"]+)"/.exec(await (await fetch(`${base}/account`, { headers: { cookie } })).text()) ?? [];
  const shared = await post(`/campaign/${campaign}/share`, { form_token: formToken, days: '1' }, cookie);
  const [, token = ''] = /\/shared\/([\w-]{43})/.exec(await shared.text()) ?? [];
  expect((await fetch(`${base}/shared/${token}`)).status).toBe(200);
  expect((await post('/sign-out', { form_token: formToken }, cookie)).status).toBe(303);
  const text = (await readLog()) + (await metrics());
  expect(text).toContain('serving pages');
  expect(text).toContain('route="/shared/:token"');
  for (const secret of [PASSWORD, 'a wrong password', cookie.split('=')[1] ?? '', formToken, token, 'ann@example.org', 'Secret campaign']) {
    expect(secret).not.toBe('');
    expect(text).not.toContain(secret);
  }
});

test('a desk that others can reach says at its start that it needs an account', async () => {
  const own = await createDatabases(1);
  const { base, readLog } = await startDesk({ DESK_URL: 'https://desk.example.org' }, own);
  await eventually('the log has a warning', async () => (await readLog()).includes('clickledger user add'));
  expect((await fetch(base, { redirect: 'manual' })).status).toBe(303);
});
