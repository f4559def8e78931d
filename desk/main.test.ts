import { once } from 'node:events';
import { request } from 'node:http';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createPool } from '../core/postgres.ts';
import { createKey } from '../operating/api-keys.ts';
import { freePort } from '../stack/ports.ts';
import { startPart } from '../stack/part.ts';
import { authorSettings } from '../test/support/authors.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
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

async function startDesk(changes: Record<string, string> = {}) {
  const port = await freePort();
  const env = { ...authorSettings(databases), ANALYST_URL: databases.roleUrls.analyst, DESK_PORT: String(port), ...changes };
  const desk = await startPart({ part: 'desk', name: 'desk', runDir: await temporaryDirectory(), env });
  onTestFinished(() => desk.stop());
  const health = async () =>
    (await (await fetch(`http://127.0.0.1:${desk.adminPort}/healthz`)).json()) as { ready: boolean; degraded: { code: string }[] };
  const metrics = async () => (await fetch(`http://127.0.0.1:${desk.adminPort}/metrics`)).text();
  return { desk, base: `http://127.0.0.1:${port}`, port, health, metrics };
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
