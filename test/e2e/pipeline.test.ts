import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink } from '../../authoring/links.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { createUrls } from '../../authoring/urls.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { parseShards } from '../../core/shards.ts';
import { createSlugCodec, parseSlugKeys, tagOf } from '../../core/slug.ts';
import { rotateLog } from '../../stack/nginx.ts';
import { type Member, startSystem, type System } from '../../stack/system.ts';
import { type Expected, type Issued, readLogs } from '../support/judge.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Tests the whole system with two processes of each part. It must count 10,000 hits of all kinds correctly while parts are killed.

const HITS = 10_000;
const IN_FLIGHT = 16;

// Targets as authors write them. Recipients must get exactly these addresses.
const TARGETS = [
  'https://www.example.com/',
  'https://www.example.com/a%20b?x=%2F%2f&y=1&amp;z=2#top',
  "https://www.example.com/it's/(brackets)?q='a'&r=a+b",
  'https://www.example.com/ümläut/日本?ключ=значение',
  'HTTP://EXAMPLE.com:80/UPPER?utm_source=x',
  `https://www.example.com/long?${'p=0123456789&'.repeat(150)}`,
  'https://user:secret@www.example.com/..//./a;b,c|d\\e^f`g{h}"i"<j>',
];
const PEOPLE = 40;

const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const AGENTS: (string | Buffer)[] = [
  BROWSER,
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  'Googlebot/2.1 (+http://www.google.com/bot.html)',
  Buffer.from([0x4d, 0x6f, 0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80]),
  'text with \\u0000 and \\. and \\N in it',
  Buffer.from('controls \x01\x08\x1f\x7f\t.', 'latin1'),
  `"quoted" ${'x'.repeat(8000)}`,
  '\\.',
];

let system: System;
let dataDir: string;
let analyst: Pool;
const issued = new Map<string, Issued>();
const clicks: { path: string; target: string }[] = [];
const opens: string[] = [];

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-e2e-'));
  // Each hit has a different address in X-Forwarded-For, so nginx must trust 127.0.0.1 as a proxy.
  const extra = { TRUSTED_PROXIES: '127.0.0.1', LOG_LEVEL: 'warn' };
  system = await startSystem({ dataDir, shards: 2, edges: 2, backends: 2, workers: 2, durable: false, extra });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  await makeCampaign();
}, 120_000);

afterAll(async () => {
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function makeCampaign(): Promise<void> {
  const pool = createPool(system.env['AUTHOR_URL'] ?? '', { max: 2, name: 'test' });
  const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  const make = createUrls('', slugs);
  const { id: campaign } = await ensureCampaign(pool, 'everything', { fallbackUrl: 'https://www.example.com/fallback' });
  const pixel = await ensureLink(pool, campaign, { kind: 'pixel' });
  const people = [0];
  for (let i = 0; i < PEOPLE; i++) people.push(await ensureRecipient(pool, `person${i}@example.com`));
  for (const [i, target] of TARGETS.entries()) {
    const link = await ensureLink(pool, campaign, { kind: 'url', target });
    for (const recipient of people) {
      issued.set(slugs.encode({ link, recipient }), { link, recipient });
      clicks.push({ path: make.click(link, recipient), target });
    }
    await ensureAlias(pool, `sale-${i}`, link);
    for (let n = 0; n < 5; n++) clicks.push({ path: make.alias(`sale-${i}`), target });
  }
  for (const recipient of people) {
    issued.set(slugs.encode({ link: pixel, recipient }), { link: pixel, recipient });
    opens.push(make.pixel(pixel, recipient), make.pixel(pixel, recipient).replace('.gif', ''));
  }
  await pool.end();
}

interface Observed {
  redirects: number;
  wrong: string[];
}

/** Picks an element pseudo-randomly from `n` and `salt`. So a hit is the same in every run and does not depend on other hits. */
function pick<T>(list: readonly T[], n: number, salt: number): T {
  let h = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return list[(h >>> 8) % list.length] as T;
}

/** Sends hit number `n` and checks the answer. */
async function hit(n: number, observed: Observed): Promise<void> {
  const port = system.ports.edges[n % 2] as number;
  const headers: Record<string, string | Buffer> = {
    'X-Forwarded-For': `${1 + (n % 200)}.${(n >> 3) % 256}.${(n >> 1) % 256}.7`,
    'User-Agent': pick(AGENTS, n, 1),
    Referer: n % 5 === 0 ? 'https://mail.example.org/inbox?secret=1' : Buffer.from([0xff, 0x5c, 0x2e]),
  };
  if (n % 11 === 0) headers['Sec-Purpose'] = 'prefetch;prerender';
  const kind = n % 20;
  if (kind < 10) {
    const click = pick(clicks, n, 2);
    const method = kind === 9 ? 'HEAD' : 'GET';
    const answer = await rawRequest(port, method, n % 3 === 0 ? `${click.path}?fbclid=${n}` : click.path, headers);
    const location = Buffer.from(answer.headers.get('location') ?? '', 'latin1').toString('utf8');
    if (answer.status !== 302 || location !== click.target || answer.headers.has('x-link'))
      observed.wrong.push(`${click.path}: ${answer.status} ${location}`);
    observed.redirects++;
  } else if (kind < 16) {
    const path = pick(opens, n, 3);
    if (kind === 15) headers['If-Modified-Since'] = 'Mon, 28 Sep 1970 06:00:00 GMT';
    const answer = await rawRequest(port, kind === 14 ? 'HEAD' : 'GET', path, headers);
    const isPixel =
      answer.status === 200 && answer.headers.get('content-type') === 'image/gif' && (kind === 14 || answer.body.length === 43);
    if (!isPixel) observed.wrong.push(`${path}: ${answer.status}`);
  } else if (kind === 16) {
    await expectStatus(port, 'GET', `/r/${forgedSlug(n)}.gif`, headers, 200, observed);
  } else if (kind === 17) {
    await expectStatus(port, 'GET', `/u/${forgedSlug(n)}`, headers, 404, observed);
  } else if (kind === 18) {
    const junk = [
      '/',
      '/u/',
      '/r/',
      '/u/..%2f..%2fetc',
      '/r/%00',
      '/r/%ff%fe',
      '/r/a b',
      '/u/no-such-alias',
      '/favicon.ico',
      `/r/${'z'.repeat(300)}`,
    ];
    await rawRequest(port, 'GET', encodeSpace(pick(junk, n, 4)), headers).catch(() => undefined);
  } else {
    await rawRequest(port, n % 2 ? 'POST' : 'DELETE', pick(clicks, n, 5).path, headers);
  }
}

async function expectStatus(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string | Buffer>,
  status: number,
  observed: Observed,
): Promise<void> {
  const answer = await rawRequest(port, method, path, headers);
  if (answer.status !== status) observed.wrong.push(`${path}: ${answer.status} instead of ${status}`);
}

const encodeSpace = (path: string): string => path.replaceAll(' ', '%20');

/** Returns a text that has the length and the form of a slug but no valid signature. */
function forgedSlug(n: number): string {
  return `0${n % 10}${'abcdefghijkmnop'.slice(0, 10 + (n % 5))}${n}`;
}

async function load(observed: Observed, from: number, to: number): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (next < to) await hit(next++, observed);
    }),
  );
}

async function crash(member: Member): Promise<void> {
  await member.running?.kill();
  await member.start();
}

function readExpected(): Promise<Expected> {
  return readLogs({
    directories: system.logDirs,
    issued,
    tagOfLink: (link) => tagOf({ link, recipient: 0 }),
    shards: parseShards(system.env['SHARDS'] ?? '').list,
  });
}

/** Waits until every shard has committed every byte of every log. */
async function untilCommitted(): Promise<Expected> {
  let expected = await readExpected();
  await eventually(
    'every byte of every log is committed on every shard',
    async () => {
      expected = await readExpected();
      const { rows } = await analyst.query<{ gen: string; committed_bytes: string }>(
        "SELECT replace(gen::text, '-', '') AS gen, committed_bytes FROM analytics.completeness",
      );
      return (
        rows.length === expected.sizes.size * 2 &&
        rows.every(({ gen, committed_bytes }) => Number(committed_bytes) === expected.sizes.get(gen))
      );
    },
    90_000,
  );
  return expected;
}

describe('the pipeline', () => {
  test('a click is in analytics.events within 2 seconds', async () => {
    const { path } = clicks[3] as (typeof clicks)[number];
    const durationsMs: number[] = [];
    while (durationsMs.length < 3) {
      const beganMs = performance.now();
      await rawRequest(system.ports.edges[0] as number, 'GET', path, { 'User-Agent': BROWSER });
      await eventually(
        'the click is there',
        async () => (await analyst.query('SELECT FROM analytics.events')).rowCount === durationsMs.length + 1,
      );
      durationsMs.push(performance.now() - beganMs);
    }
    // The fastest of three runs counts, so that other load on the machine does not matter.
    expect(Math.min(...durationsMs)).toBeLessThan(2_000);
  });

  test('counts 10,000 hits exactly once while agents, workers and nats-server are killed', { timeout: 240_000 }, async () => {
    const observed: Observed = { redirects: 0, wrong: [] };
    const edges = [system.member('nginx-1'), system.member('nginx-2')];
    const running = load(observed, 0, HITS);
    const faults: (() => Promise<unknown>)[] = [
      () => crash(system.member('log-agent-1')),
      () => crash(system.member('event-worker-1')),
      () => crash(system.member('nats')),
      // A full disk leaves a torn line, and the next line is appended to it.
      () => appendFile(join(system.logDirs[0] as string, 'access.log'), '{"v":2,"rid":"0123456789abcdef0123'),
      async () => rotateLog(system.logDirs[0] as string, edges[0]?.running as NonNullable<Member['running']>),
      () => crash(system.member('event-worker-2')),
      () => crash(system.member('log-agent-2')),
      () => appendFile(join(system.logDirs[1] as string, 'access.log'), Buffer.from([0x6a, 0xff, 0x00, 0x0a, 0x0a])),
      async () => {
        await crash(system.member('nats'));
        await crash(system.member('log-agent-1'));
      },
      async () => rotateLog(system.logDirs[1] as string, edges[1]?.running as NonNullable<Member['running']>),
      () => Promise.all([crash(system.member('event-worker-1')), crash(system.member('event-worker-2'))]),
    ];
    for (const fault of faults) await fault();
    await running;
    expect(observed.wrong).toEqual([]);
    expect(observed.redirects).toBe(HITS / 2);

    const expected = await untilCommitted();
    const { rows } = await analyst.query<Record<string, string | null>>(`
      SELECT replace(request_id::text, '-', '') AS rid, replace(gen::text, '-', '') AS gen, off, kind, link_id, recipient_id, link_version, shard, signals @> '{head}' AS head
      FROM analytics.events`);
    const found = rows.map(
      (row) =>
        [
          row['rid'],
          {
            gen: row['gen'],
            off: Number(row['off']),
            kind: row['kind'],
            link: Number(row['link_id']),
            recipient: Number(row['recipient_id'] ?? 0),
            version: row['link_version'] === null ? null : Number(row['link_version']),
            shard: row['shard'],
            head: row['head'],
          },
        ] as const,
    );
    expect(found.length).toBe(expected.events.size);
    expect(new Map(found)).toEqual(expected.events);
    expect(expected.events.size).toBeGreaterThan(HITS * 0.7);

    const dead = await analyst.query<{ place: string; reason: string }>(
      "SELECT replace(gen::text, '-', '') || ' ' || off AS place, reason FROM analytics.dead_letters",
    );
    expect(dead.rowCount).toBe(expected.dead.size);
    expect(new Map(dead.rows.map(({ place, reason }) => [place, reason]))).toEqual(expected.dead);
    expect(expected.dead.size).toBe(3);

    const skipped = await analyst.query<{ reason: string; lines: string }>('SELECT reason, lines FROM analytics.skipped');
    expect(new Map(skipped.rows.map(({ reason, lines }) => [reason, Number(lines)]))).toEqual(expected.skipped);
    // nginx does not log the other kinds of requests that cannot count.
    expect([...expected.skipped.keys()]).toEqual(['forged']);

    const holes = await analyst.query('SELECT FROM analytics.completeness WHERE holes > 0 OR missing_bytes > 0');
    expect(holes.rowCount).toBe(0);
  });
});
