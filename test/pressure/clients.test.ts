import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sleep } from '../../core/time.ts';
import { eventually } from '../support/servers.ts';
import { type Cut, dribble, fiftyAtATime, idleAfter, latency, requestOf, sendAndNeverRead, startClicking } from './clients.ts';
import { clicksOf, connectionsTo, createGround, descriptors, type Ground, PART_MAX_MIB, peakMib, print } from './ground.ts';

// Clients that take a connection and give nothing for it: they lose it, and nobody else notices them.

const IDLE = 2_000;
const NEVER_READ = 490;
const HEADERS = 250;
const BODIES = 100;
const GREEDY = 10;
/** Requests of each greedy client; their answers are more than the kernel takes off nginx' hands. */
const GREEDY_REQUESTS = 600;
/** nginx ends the last of them after keepalive_timeout, 30 s. */
const PATIENCE_MS = 50_000;

let ground: Ground;

beforeAll(async () => {
  ground = await createGround();
}, 120_000);

afterAll(() => ground?.stop());

test('slow, half-open, silent and idle clients lose their connections, and nobody else notices them', {
  timeout: 120_000,
}, async (context) => {
  const { port, newClick, query, slugs, issued } = ground;
  await query(
    'catalog',
    `WITH made AS (INSERT INTO catalog.link (id, campaign_id, kind, original) OVERRIDING SYSTEM VALUE VALUES (900001, 1, 'url', 'long') RETURNING id)
     INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 1, $1 FROM made`,
    [`https://shop.example/${'x'.repeat(7_900)}`],
  );
  const before = await figures();
  const clicking = startClicking({ port, perSecond: 100, next: newClick });
  await sleep(1_000);

  // They click once, read the answer and stay.
  const idleClicks = Array.from({ length: IDLE }, newClick);
  const idle = await fiftyAtATime(IDLE, async (n) => {
    const { path, address } = idleClicks[n] as (typeof idleClicks)[number];
    return idleAfter(port, requestOf(path, address));
  });
  expect(idle.filter(({ status }) => status !== 302)).toEqual([]);
  const whileIdle = await figures();
  expect(whileIdle.connections).toBeGreaterThanOrEqual(IDLE);

  // Nothing of these is a whole request.
  const slowHeader = await begin(HEADERS, (request) => ['', request]);
  const halfHeader = await begin(HEADERS, (request) => [request.slice(0, -10), '']);
  const noBody = await begin(BODIES, (request) => [request, ''], 'Content-Length: 500\r\n');
  const slowBody = await begin(BODIES, (request) => [request, 'x'.repeat(500)], 'Content-Length: 500\r\n');
  const slowChunk = await begin(BODIES, (request) => [`${request}5;`, 'x'.repeat(500)], 'Transfer-Encoding: chunked\r\n');

  // These are, though nobody reads the answers.
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
  const withAll = await figures();

  const cuts = await Promise.all(
    Object.entries({ slowHeader, halfHeader, noBody, slowBody, slowChunk }).map(
      async ([kind, { ended }]) => [kind, await Promise.all(ended)] as const,
    ),
  );
  const { clicks, failed, latenciesMs } = await clicking.stop();
  const slowGone = await figures();
  await eventually('nginx has ended every connection', async () => (await connectionsTo(port)) === 0, PATIENCE_MS);
  for (const socket of [...idle.map((one) => one.socket), ...silent, ...greedy]) socket.destroy();

  for (const [kind, list] of cuts) expect(Math.max(...list.map(({ afterMs }) => afterMs)), kind).toBeLessThan(Number.POSITIVE_INFINITY);
  expect(failed).toEqual([]);
  expect(clicks).toBeGreaterThan(500);
  const verdict = await ground.expectExactlyOnce();
  const begun = await clicksOf(
    ground,
    [slowHeader, halfHeader, noBody, slowBody, slowChunk].flatMap(({ recipients }) => recipients),
  );
  expect(begun.size).toBe(0);
  const whole = [...idleClicks, ...unread].map(({ recipient }) => recipient);
  expect(await clicksOf(ground, whole)).toEqual(new Map(whole.map((recipient) => [recipient, 1])));
  const errors = await readFile(join(ground.dataDir, 'run', 'nginx-1', 'error.log'), 'utf8');
  expect(errors).not.toMatch(/too many open files|worker_connections are not enough/i);
  for (const [what, { backendMib, nginxMib }] of Object.entries({ whileIdle, withAll, slowGone })) {
    expect(backendMib, what).toBeLessThan(PART_MAX_MIB);
    expect(nginxMib, what).toBeLessThan(PART_MAX_MIB);
  }

  print(context, [
    ...cuts.map(([kind, list]) => ({ clients: list.length, kind: KINDS[kind as keyof typeof KINDS], 'ended by nginx': span(list) })),
    { clients: NEVER_READ, kind: 'one request, never read', 'ended by nginx': 'yes' },
    { clients: GREEDY, kind: `${GREEDY_REQUESTS} requests with answers of 8 KB, never read`, 'ended by nginx': 'yes' },
    { clients: IDLE, kind: 'one request, then idle', 'ended by nginx': 'yes' },
  ]);
  print(context, [
    { when: 'before', ...before },
    { when: `${IDLE} idle`, ...whileIdle },
    { when: 'all at once', ...withAll },
    { when: 'slow ones gone', ...slowGone },
  ]);
  print(context, [
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
  slowHeader: 'header, a byte a second',
  halfHeader: 'half a header, then nothing',
  noBody: 'a body that never comes',
  slowBody: 'a body, a byte a second',
  slowChunk: 'a chunk, a byte a second',
};

/** Clients that send something first and something slowly, cut out of a request for a slug of their own. */
async function begin(
  count: number,
  cut: (request: string) => [first: string, slowly: string],
  headers = '',
): Promise<{ recipients: number[]; ended: Promise<Cut>[] }> {
  const begun = Array.from({ length: count }, ground.newClick);
  const ended = begun.map(({ path, address }) => dribble(ground.port, ...cut(requestOf(path, address, headers))));
  // Not all in one millisecond: the kernel's queue of new connections is short.
  await sleep(50);
  return { recipients: begun.map(({ recipient }) => recipient), ended };
}

async function figures() {
  return {
    connections: await connectionsTo(ground.port),
    'descriptors of an nginx worker': await descriptors(ground, 'nginx-1'),
    nginxMib: await peakMib(ground, 'nginx-1'),
    backendMib: Math.max(await peakMib(ground, 'backend-1'), await peakMib(ground, 'backend-2')),
  };
}

function span(cuts: readonly Cut[]): string {
  const seconds = cuts.map(({ afterMs }) => afterMs / 1000);
  const statuses = new Set(cuts.map(({ status }) => status ?? 'no answer'));
  return `${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s, ${[...statuses].join(' and ')}`;
}
