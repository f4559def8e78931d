import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTracker, type Tracker } from '../../authoring/tracker.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { rawRequest } from '../support/raw-http.ts';
import { toRows } from '../support/results.ts';
import { eventually } from '../support/servers.ts';

// Unsubscribes recipients through the whole system, from the letter to the report.

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const LETTER = '<html><body><p><a href="https://shop.example/">shop</a> <a href="{{unsubscribe}}">no more</a></p></body></html>';
const SCANS = 10_000;

let system: System;
let dataDir: string;
let analyst: Pool;
let owner: Pool;
let tracker: Tracker;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-unsubscribe-'));
  system = await startSystem({ dataDir, shards: 1, durable: false, extra: { LOG_LEVEL: 'warn' } });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  owner = createPool(system.env['CATALOG_URL']?.replace(/\/clickledger$/, '/clickledger_shard_a') ?? '', { max: 1, name: 'test' });
  tracker = await createTracker({ settings: system.env as Record<string, string> });
}, 120_000);

afterAll(async () => {
  await tracker?.close();
  await analyst?.end();
  await owner?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const edge = (): number => system.ports.edges[0] as number;
/** The path for unsubscribing in the letter of a reader. */
async function pathFor(email: string): Promise<string> {
  const letter = await tracker.prepare({ campaign: 'news', html: LETTER, fill: true });
  const { html = '' } = await letter.for({ email });
  return new URL(/href="([^"]*\/o\/[^"]*)"/.exec(html)?.[1] ?? '').pathname;
}

async function requests(): Promise<{ email: string; n: number }[]> {
  const { rows } = await analyst.query<{ email: string; n: number }>(
    'SELECT email, count(*)::int AS n FROM analytics.unsubscribes JOIN analytics.recipients USING (recipient_id) GROUP BY email ORDER BY email',
  );
  return rows;
}

test('the request of RFC 8058 and the button of the page unsubscribe once, and ten thousand scans unsubscribe nobody', {
  timeout: 120_000,
}, async () => {
  await tracker.campaign('news');
  const [ann, bob, eve] = (await Promise.all(['ann@example.com', 'bob@example.com', 'eve@example.com'].map(pathFor))) as [
    string,
    string,
    string,
  ];
  let next = 0;
  const scan = async (): Promise<void> => {
    while (next < SCANS) {
      const n = next++;
      const headers = n % 2 === 0 ? {} : FORM;
      const path = [eve, `${eve}?a`, `${eve}%22`, `${eve}?unsubscribe=yes`][n % 4] as string;
      const { status } = await rawRequest(edge(), ['GET', 'HEAD', 'GET', 'GET', 'POST'][n % 5] as string, path, headers);
      expect(status).toBe(200);
    }
  };
  await Promise.all(Array.from({ length: 16 }, scan));

  // The example of RFC 8058, section 8.
  const answer = await rawRequest(edge(), 'POST', ann, FORM, 'List-Unsubscribe=One-Click');
  expect(answer.status).toBe(200);
  expect(answer.headers.has('location')).toBe(false);
  await rawRequest(edge(), 'POST', bob, FORM, 'unsubscribe=yes');
  await rawRequest(edge(), 'POST', `${bob}?a=1`, FORM, 'unsubscribe=yes');
  await eventually('the requests are counted', async () => (await requests()).length === 2);
  expect(await requests()).toEqual([
    { email: 'ann@example.com', n: 1 },
    { email: 'bob@example.com', n: 2 },
  ]);
  // Requests to unsubscribe are no clicks and no opens.
  expect((await analyst.query('SELECT FROM analytics.events')).rowCount).toBe(0);
  const report = await runReport(analyst, await readReport('unsubscribes'), { campaign: 'news' }, { timeoutSeconds: 30, zone: 'UTC' });
  expect(toRows(report)).toMatchObject([
    { name: 'news', unsubscribed: 2, still_unsubscribed: 2, prepared_for: 3, unsubscribed_percent: 66.67 },
  ]);
});

test('a shard that is restored from before gets the requests back from the log', { timeout: 60_000 }, async () => {
  await owner.query(
    'TRUNCATE shard.ledger, shard.event, shard.unsubscribe, shard.dead_letter, shard.skipped, shard.delta, shard.people, shard.activity_15m, shard.hit_count',
  );
  await eventually('the agent sends them again', async () => (await requests()).length === 2, 40_000);
  expect((await requests()).map(({ n }) => n)).toEqual([1, 2]);
  await expect(pathFor('ann@example.com')).rejects.toMatchObject({ code: 'conflict' });
  await expect(pathFor('eve@example.com')).resolves.toMatch(/^\/o\//);
});
