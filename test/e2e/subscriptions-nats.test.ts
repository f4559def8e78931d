import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createTracker, type Tracker } from '../../authoring/tracker.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { makeCertificates } from '../support/certificates.ts';
import { clickledger } from '../support/commands.ts';
import { eventually, natsConnection, startTestNats } from '../support/servers.ts';

// A subscription through the whole system: clicks on two shards, the forwarder, and a stream of another NATS with TLS that is killed meanwhile.

const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

let system: System;
let dataDir: string;
let caFile: string;
let tls: { certificate: string; key: string };
let analyst: Pool;
let tracker: Tracker;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-nats-'));
  const { ca, ...rest } = await makeCertificates(dataDir, 'receiver');
  [caFile, tls] = [ca, rest];
  system = await startSystem({
    dataDir,
    shards: 2,
    forwarders: 1,
    durable: false,
    extra: { LOG_LEVEL: 'warn', NATS_CA_FILE: caFile },
  });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  tracker = await createTracker({ settings: system.env as Record<string, string> });
}, 120_000);

afterAll(async () => {
  await tracker?.close();
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const run = (...args: string[]) => clickledger(args, { env: { ...(system.env as Record<string, string>), NATS_CA_FILE: caFile } });

test('each event is in the stream once, though NATS is killed', { timeout: 180_000 }, async () => {
  const nats = await startTestNats({ tls, caFile });
  const target = `${nats.url}/news.out?stream=NEWS&create`;
  const refused = await run('subscription', 'add', 'news', '--to', target.replace('?stream=NEWS', ''));
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('subject prefix');
  expect(await run('subscription', 'add', 'news', '--to', target, '--verdict', 'any', '--wait', '0')).toMatchObject({ code: 0 });
  expect(await run('subscription', 'test', 'news')).toMatchObject({ code: 0 });

  expect(await run('campaign', 'create', 'sale')).toMatchObject({ code: 0 });
  const links = await Promise.all(
    Array.from({ length: 40 }, (_, i) => tracker.url('https://shop.example/', { campaign: 'sale', to: `p${i}@example.com` })),
  );
  const click = (url: string) =>
    fetch(`http://127.0.0.1:${system.ports.edges[0]}${new URL(url).pathname}`, { redirect: 'manual', headers: { 'User-Agent': BROWSER } });
  for (const link of links.slice(0, 20)) await click(link);
  const ids = async () =>
    (await analyst.query<{ id: string }>(`SELECT gen || ':' || off AS id FROM analytics.events ORDER BY 1`)).rows.map(({ id }) => id);
  await eventually('the first clicks are counted', async () => (await ids()).length === 20);
  await nats.running().kill();
  for (const link of links.slice(20)) await click(link);
  await eventually('all clicks are counted', async () => (await ids()).length === 40);
  await nats.start();

  const connection = await natsConnection(nats.url, caFile);
  onTestFinished(() => connection.close());
  const found: string[] = [];
  const consumer = await jetstream(connection).consumers.get('NEWS', { filter_subjects: 'news.out.*.click.*' });
  for await (const message of await consumer.consume()) {
    found.push(message.json<{ id: string }>().id);
    if (found.length === 40) break;
  }
  expect(found.toSorted()).toEqual(await ids());
  // Nothing comes after them.
  expect((await consumer.info()).num_pending).toBe(0);
});
