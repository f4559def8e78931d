import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sleep } from '../../core/time.ts';
import { eventually } from '../support/servers.ts';
import {
  type ClosedConnection,
  sendSlowly,
  fiftyAtATime,
  idleAfter,
  latency,
  requestOf,
  sendAndNeverRead,
  startClicking,
} from './clients.ts';
import { clicksOf, connectionsTo, createSetup, descriptors, type PressureSetup, PART_MAX_MIB, peakMib, printFigures } from './setup.ts';

// Tests clients that occupy a connection without using it. nginx must close their connections, and other clients must not be affected.

const IDLE = 2_000;
const NEVER_READ = 490;
const HEADERS = 250;
const BODIES = 100;
const GREEDY = 10;
/** The number of requests of each greedy client. The answers do not fit into the send buffer of the kernel. */
const GREEDY_REQUESTS = 600;
/** The maximum time to wait for closed connections. nginx closes the last connection after keepalive_timeout (30 s). */
const PATIENCE_MS = 50_000;

let setup: PressureSetup;

beforeAll(async () => {
  setup = await createSetup();
}, 120_000);

afterAll(() => setup?.stop());

test('slow, half-open, silent and idle clients lose their connections, and nobody else notices them', {
  timeout: 120_000,
}, async (context) => {
  const { port, newClick, query, slugs, issued } = setup;
  await query(
    'catalog',
    `WITH made AS (INSERT INTO catalog.link (id, campaign_id, kind, original) OVERRIDING SYSTEM VALUE VALUES (900001, 1, 'url', 'long') RETURNING id)
     INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 1, $1 FROM made`,
    [`https://shop.example/${'x'.repeat(7_900)}`],
  );
  const before = await measure();
  const clicking = startClicking({ port, perSecond: 100, next: newClick });
  await sleep(1_000);

  // These clients click once, read the answer and keep the connection open.
  const idleClicks = Array.from({ length: IDLE }, newClick);
  const idle = await fiftyAtATime(IDLE, async (n) => {
    const { path, address } = idleClicks[n] as (typeof idleClicks)[number];
    return idleAfter(port, requestOf(path, address));
  });
  expect(idle.filter(({ status }) => status !== 302)).toEqual([]);
  const whileIdle = await measure();
  expect(whileIdle.connections).toBeGreaterThanOrEqual(IDLE);

  // These clients never send a complete request.
  const slowHeader = await startClients(HEADERS, (request) => ['', request]);
  const halfHeader = await startClients(HEADERS, (request) => [request.slice(0, -10), '']);
  const noBody = await startClients(BODIES, (request) => [request, ''], 'Content-Length: 500\r\n');
  const slowBody = await startClients(BODIES, (request) => [request, 'x'.repeat(500)], 'Content-Length: 500\r\n');
  const slowChunk = await startClients(BODIES, (request) => [`${request}5;`, 'x'.repeat(500)], 'Transfer-Encoding: chunked\r\n');

  // These clients send complete requests but never read the answers.
  const unread = Array.from({ length: NEVER_READ }, newClick);
  const silent = await fiftyAtATime(NEVER_READ, async (n) => {
    const { path, address } = unread[n] as (typeof unread)[number];
    return sendAndNeverRead(port, requestOf(path, address));
  });
  const greedy = await fiftyAtATime(GREEDY, async (client) => {
    const requests = Array.from({ length: GREEDY_REQUESTS }, (_, i) => {
      const ids = { link: 900_001, recipient: 5_000_000 + client * GREEDY_REQUESTS + i };
      issued.set(slugs.encode(ids), ids);
      return requestOf(`/u/${slugs.encode(ids)}`, newClick().address);
    });
    return sendAndNeverRead(port, requests.join(''));
  });
  const withAll = await measure();

  const closings = await Promise.all(
    Object.entries({ slowHeader, halfHeader, noBody, slowBody, slowChunk }).map(
      async ([kind, { ended }]) => [kind, await Promise.all(ended)] as const,
    ),
  );
  const { clicks, failed, latenciesMs } = await clicking.stop();
  const slowGone = await measure();
  await eventually('nginx has ended every connection', async () => (await connectionsTo(port)) === 0, PATIENCE_MS);
  for (const socket of [...idle.map((one) => one.socket), ...silent, ...greedy]) socket.destroy();

  for (const [kind, list] of closings) expect(Math.max(...list.map(({ afterMs }) => afterMs)), kind).toBeLessThan(Number.POSITIVE_INFINITY);
  expect(failed).toEqual([]);
  expect(clicks).toBeGreaterThan(500);
  const verdict = await setup.expectExactlyOnce();
  const begun = await clicksOf(
    setup,
    [slowHeader, halfHeader, noBody, slowBody, slowChunk].flatMap(({ recipients }) => recipients),
  );
  expect(begun.size).toBe(0);
  const whole = [...idleClicks, ...unread].map(({ recipient }) => recipient);
  expect(await clicksOf(setup, whole)).toEqual(new Map(whole.map((recipient) => [recipient, 1])));
  const errors = await readFile(join(setup.dataDir, 'run', 'nginx-1', 'error.log'), 'utf8');
  expect(errors).not.toMatch(/too many open files|worker_connections are not enough/i);
  for (const [what, { backendMib, nginxMib }] of Object.entries({ whileIdle, withAll, slowGone })) {
    expect(backendMib, what).toBeLessThan(PART_MAX_MIB);
    expect(nginxMib, what).toBeLessThan(PART_MAX_MIB);
  }

  printFigures(context, [
    ...closings.map(([kind, list]) => ({
      clients: list.length,
      kind: KINDS[kind as keyof typeof KINDS],
      'ended by nginx': describeClosings(list),
    })),
    { clients: NEVER_READ, kind: 'one request, never read', 'ended by nginx': 'yes' },
    { clients: GREEDY, kind: `${GREEDY_REQUESTS} requests with answers of 8 KB, never read`, 'ended by nginx': 'yes' },
    { clients: IDLE, kind: 'one request, then idle', 'ended by nginx': 'yes' },
  ]);
  printFigures(context, [
    { when: 'before', ...before },
    { when: `${IDLE} idle`, ...whileIdle },
    { when: 'all at once', ...withAll },
    { when: 'slow clients gone', ...slowGone },
  ]);
  printFigures(context, [
    {
      'other clicks': clicks,
      failed: failed.length,
      ...latency(latenciesMs),
      hits: verdict.hits,
      lost: verdict.lost,
      doubled: verdict.doubled,
    },
  ]);
});

const KINDS = {
  slowHeader: 'header, one byte a second',
  halfHeader: 'half a header, then nothing',
  noBody: 'no body after the header',
  slowBody: 'body, one byte a second',
  slowChunk: 'chunk, one byte a second',
};

/** Starts clients that send the first part of a request at once and the rest slowly. Each client has its own slug. */
async function startClients(
  count: number,
  cut: (request: string) => [first: string, slowly: string],
  headers = '',
): Promise<{ recipients: number[]; ended: Promise<ClosedConnection>[] }> {
  const begun = Array.from({ length: count }, setup.newClick);
  const ended = begun.map(({ path, address }) => sendSlowly(setup.port, ...cut(requestOf(path, address, headers))));
  // Spreads the connections over time, because the kernel's accept queue is short.
  await sleep(50);
  return { recipients: begun.map(({ recipient }) => recipient), ended };
}

async function measure() {
  return {
    connections: await connectionsTo(setup.port),
    'descriptors of an nginx worker': await descriptors(setup, 'nginx-1'),
    nginxMib: await peakMib(setup, 'nginx-1'),
    backendMib: Math.max(await peakMib(setup, 'backend-1'), await peakMib(setup, 'backend-2')),
  };
}

function describeClosings(closings: readonly ClosedConnection[]): string {
  const seconds = closings.map(({ afterMs }) => afterMs / 1000);
  const statuses = new Set(closings.map(({ status }) => status ?? 'no answer'));
  return `${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s, ${[...statuses].join(' and ')}`;
}
