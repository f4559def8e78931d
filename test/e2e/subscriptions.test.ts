import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTracker, type Tracker } from '../../authoring/tracker.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { clickledger } from '../support/commands.ts';
import { eventually } from '../support/servers.ts';
import { eventsOf, startWebhookServer, type WebhookServer } from '../support/webhook-server.ts';

// Subscriptions through the whole system on two shards: commands, forwarder, a webhook and tables of another Postgres.

const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const BOT = 'Googlebot/2.1';

let system: System;
let dataDir: string;
let analyst: Pool;
let tracker: Tracker;
let hook: WebhookServer;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-subscriptions-'));
  system = await startSystem({
    dataDir,
    shards: 2,
    forwarders: 1,
    durable: false,
    extra: { LOG_LEVEL: 'warn', FORWARDER_NETWORKS: '127.0.0.0/8' },
  });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  tracker = await createTracker({ settings: system.env as Record<string, string> });
  hook = await startWebhookServer();
}, 120_000);

afterAll(async () => {
  await hook?.close();
  await tracker?.close();
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const command = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await clickledger(args, { env: system.env as Record<string, string> });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};
const get = (url: string, agent = BROWSER): Promise<Response> =>
  fetch(`http://127.0.0.1:${system.ports.edges[0]}${new URL(url).pathname}`, { redirect: 'manual', headers: { 'User-Agent': agent } });
const sourceIds = async (where: string): Promise<string[]> =>
  (await analyst.query<{ id: string }>(`SELECT gen || ':' || off AS id FROM analytics.events WHERE ${where} ORDER BY 1`)).rows.map(
    ({ id }) => id,
  );

test('each event reaches each receiver once, signed, and only what its filter lets pass', { timeout: 180_000 }, async () => {
  await command('campaign', 'create', 'sale');
  const links = await Promise.all(
    Array.from({ length: 30 }, (_, i) => tracker.url('https://shop.example/', { campaign: 'sale', to: `p${i}@example.com` })),
  );
  const pixel = await tracker.pixel({ campaign: 'sale', to: 'p1@example.com' });
  await get(links[0] as string);
  await eventually('the first click is counted', async () => (await sourceIds('true')).length === 1);

  const secret = (await command('subscription', 'add', 'crm', '--to', hook.url, '--wait', '0')).trim();
  const other = `${system.env['CATALOG_URL']?.replace(/\/clickledger$/, '/postgres')}`;
  await command(
    'subscription',
    'add',
    'warehouse',
    '--to',
    other,
    '--verdict',
    'any',
    '--from',
    'everything',
    '--wait',
    '0',
    '--with-addresses',
  );
  for (const [i, link] of links.entries()) await get(link, i % 3 === 0 ? BOT : BROWSER);
  await get(pixel);
  await eventually('everything is counted', async () => (await sourceIds('true')).length === 32);
  const human = (await sourceIds(`verdict = 'human'`)).length;
  expect(human).toBe(22);

  // The first click was counted before the subscription began.
  await eventually('the webhook has the events of people', () => hook.events().length >= human - 1);
  const receiver = createPool(other, { max: 1, name: 'test' });
  const stored = async () =>
    (await receiver.query<{ id: string; email: string }>(`SELECT gen || ':' || off AS id, email FROM clickledger.event ORDER BY 1`)).rows;
  await eventually('the other Postgres has all events', async () => (await stored()).length === 32);
  expect((await stored()).map(({ id }) => id)).toEqual(await sourceIds('true'));
  expect((await stored()).every(({ email }) => email.endsWith('@example.com'))).toBe(true);
  await receiver.end();
  expect(
    hook
      .events()
      .map(({ id }) => id)
      .toSorted(),
  ).toEqual(await sourceIds(`verdict = 'human' AND at > (SELECT min(at) FROM analytics.events)`));

  // A published library for Standard Webhooks accepts every request.
  const verifier = new Webhook(secret);
  for (const { body, headers } of hook.requests) verifier.verify(body, headers as Record<string, string>);
  expect(() => verifier.verify(`${hook.requests[0]?.body} `, hook.requests[0]?.headers as Record<string, string>)).toThrow();
  expect(eventsOf(hook.requests[0] as (typeof hook.requests)[number])[0]).toMatchObject({
    type: 'click',
    verdict: 'human',
    signals: [],
    country: null,
  });
  expect(eventsOf(hook.requests[0] as (typeof hook.requests)[number])[0]).not.toHaveProperty('email');

  const status = JSON.parse(await command('subscription', 'status', '--json')) as Record<string, unknown>[];
  expect(status).toMatchObject([
    { name: 'crm', state: 'delivering', failing_since: null },
    { name: 'warehouse', state: 'delivering', failing_since: null },
  ]);
});

test('the commands of docs/subscriptions.md work as they are written', { timeout: 60_000 }, async () => {
  const text = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'subscriptions.md'), 'utf8');
  await command('subscription', 'remove', 'crm');
  const lines = Array.from(text.matchAll(/^```sh\n([\s\S]*?)^```$/gm), ([, block]) => (block as string).trim().split('\n')).flat();
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines) await command(...line.replace('https://crm.example/hooks/clickledger', hook.url).split(' ').slice(2));
  await command('subscription', 'test', 'crm');
  expect(hook.requests.at(-1)?.body).toContain('"type":"test"');
  await command('subscription', 'pause', 'crm');
  expect(JSON.parse(await command('subscription', 'status', '--json'))).toMatchObject([
    { name: 'crm', state: 'paused', pause_reason: 'by hand' },
    {},
  ]);
  await command('subscription', 'resume', 'crm');
  expect(await command('subscription', 'rotate', 'crm')).toMatch(/^whsec_/);
});

test('a wrong command says what to do', async () => {
  const failure = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await clickledger(args, { env: system.env as Record<string, string> });
    expect(code).not.toBe(0);
    return stderr;
  };
  const add = (...args: string[]) => failure('subscription', 'add', ...args);
  expect(await add('Crm', '--to', hook.url)).toContain('is not a name');
  expect(await add('x', '--to', 'ftp://example.com/')).toContain('the target must be a URL');
  expect(await add('x', '--to', hook.url, '--kind', 'clicks')).toContain("'clicks' is none of click, open");
  expect(await add('x', '--to', hook.url, '--verdict', 'people')).toContain("'people' is none of human");
  expect(await add('x', '--to', hook.url, '--campaign', 'none')).toContain("campaign 'none' does not exist");
  expect(await add('x', '--to', hook.url, '--secret', 'short')).toContain('whsec_');
  expect(await add('warehouse', '--to', hook.url)).toContain("there is already a subscription 'warehouse'");
  expect(await add('x', '--to', hook.url, '--batch', '0')).toContain('from 1 to 10000');
  expect(await failure('subscription', 'pause', 'none')).toContain("there is no subscription 'none'");
  expect(await failure('subscription', 'rotate', 'warehouse')).toContain('is not a webhook');
});
