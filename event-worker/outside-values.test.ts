import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Event } from '../core/batch-v1.ts';
import type { Batch, HitKind } from '../core/event.ts';
import { createSlugCodec, type SlugCodec } from '../core/slug.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../test/support/batches.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { runs } from '../test/support/runs.ts';
import type { Committer } from './commit.ts';
import { plausibleFromMs } from './browser-versions.ts';
import { reduceUserAgent } from './user-agent.ts';

const DAY_MS = 24 * 3600_000;
const START_MS = Date.UTC(2026, 10, 1);
const LIMITS = { referrer: 50, 'user-agent': 50 };

const SYSTEMS = [
  'Windows NT 10.0; Win64; x64',
  'X11; Linux x86_64',
  'Macintosh; Intel Mac OS X 10_15_7',
  'Linux; Android 15; SM-X710',
  'iPhone; CPU iPhone OS 18_6 like Mac OS X',
  'Linux; Tizen 7.0',
  'PlayStation 4',
  'BB10; Touch',
  'made up; 7',
];

/** User agents that one person can invent, with any client, system and version number. */
const inventedAgent = fc
  .record({
    system: fc.constantFrom(...SYSTEMS),
    client: fc.constantFrom(
      'Chrome',
      'Firefox',
      'Edg',
      'OPR',
      'Vivaldi',
      'YaBrowser',
      'UCBrowser',
      'SamsungBrowser',
      'Thunderbird',
      'MadeUp',
      'Outlook-iOS',
    ),
    version: fc.oneof(fc.nat({ max: 300 }), fc.nat()).map(String),
    rest: fc.string({ maxLength: 20 }),
  })
  .map(({ system, client, version, rest }) => `Mozilla/5.0 (${system}) AppleWebKit/537.36 ${client}/${version}.0 Safari/537.36 ${rest}`);

const inventedReferrer = fc.oneof(
  fc.domain().map((host) => `https://${host}/x`),
  fc.string({ unit: 'grapheme' }).map((text) => `http://${text}`),
  fc.constantFrom('', 'https://mail.example.com/', 'https://other/', 'https://(other)/', 'android-app://com.google.android.gm/'),
);

const inventedHit = fc.record({
  ua: inventedAgent,
  ref: inventedReferrer,
  country: fc.constantFrom(null, 'DE', 'XX', 'ZZ'),
  link: fc.constantFrom(1, 2, 3),
  day: fc.nat({ max: 1 }),
  kind: fc.constantFrom('click' as const, 'open' as const),
});
type Hit = typeof inventedHit extends fc.Arbitrary<infer T> ? T : never;

let databases: Databases;
let slugs: SlugCodec;

async function newDatabases(): Promise<Databases> {
  const made = await createDatabases(1);
  await made.query('catalog', `INSERT INTO catalog.campaign (name) SELECT 'campaign ' || n FROM generate_series(1, 3) n`);
  await made.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) SELECT n, 'url', 'http://x/' || n FROM generate_series(1, 3) n`,
  );
  return made;
}

async function clear(): Promise<void> {
  await databases.query(
    'a',
    'TRUNCATE shard.event, shard.delta, shard.people, shard.hit_count, shard.activity_15m, shard.ledger, shard.user_agent, shard.outside_value',
  );
}

beforeAll(async () => {
  databases = await newDatabases();
  slugs = createSlugCodec(databases.keys);
});

function eventOf(hit: Hit, off: number): Event {
  return clickAt(off, slugs, {
    slug: slugs.encode({ link: hit.link, recipient: 1 + (off % 7) }),
    t: START_MS + hit.day * DAY_MS + off,
    ua: hit.ua.slice(0, 512),
    ref: hit.ref.slice(0, 512),
    country: hit.country,
    kind: hit.kind,
  });
}

function batchesOf(hits: readonly Hit[], size = 100): Batch[] {
  const gen = newGen();
  const batches: Batch[] = [];
  for (let from = 0; from < hits.length; from += size) {
    const to = Math.min(from + size, hits.length);
    batches.push(batchOf(databases, gen, from, to, { events: hits.slice(from, to).map((hit, i) => eventOf(hit, from + i)) }));
  }
  return batches;
}

interface Row {
  off: number;
  campaign: number;
  referrer: string | null;
  client: string;
  version: string;
  system: string;
  device: string;
  verdict: string;
}

const rowsOf = () =>
  databases.query<Row>(
    'a',
    `SELECT off, campaign_id AS campaign, referrer, client, version, system, device, verdict::text FROM shard.event
     JOIN shard.user_agent u ON u.id = agent_id ORDER BY off`,
  );

const commitAll = async (committer: Committer, batches: readonly Batch[]): Promise<void> => {
  for (const batch of batches) await committer.commit([batch]);
};

describe('what clients invent', () => {
  test('makes no list longer than its limit, and changes no count and no verdict', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(inventedHit, { minLength: 1_000, maxLength: 1_500 }), async (hits) => {
        await clear();
        const batches = batchesOf(hits);
        const both = [ownCommitter(databases, { limits: LIMITS }), ownCommitter(databases, { limits: LIMITS })];
        const queue = [...batches];
        const folded = { referrer: 0, 'user-agent': 0, version: 0 };
        await Promise.all(
          both.map(async (committer) => {
            for (let batch = queue.shift(); batch; batch = queue.shift()) {
              const committed = await committer.commit([batch]);
              for (const reason of ['referrer', 'user-agent', 'version'] as const) folded[reason] += committed.folded[reason];
            }
          }),
        );
        const rows = await rowsOf();
        expect(rows.map(({ off }) => off)).toEqual(hits.map((_, i) => i));

        for (const campaign of [1, 2, 3]) {
          const hosts = new Set(rows.filter((row) => row.campaign === campaign).map(({ referrer }) => referrer));
          expect(hosts.size).toBeLessThanOrEqual(LIMITS.referrer + 2);
        }
        const versions = new Set(
          rows.filter(({ version }) => /^\d/.test(version)).map((row) => JSON.stringify([row.client, row.version, row.system, row.device])),
        );
        expect(versions.size).toBeLessThanOrEqual(LIMITS['user-agent']);
        const [listed] = await databases.query<{ versions: number; most: number }>(
          'a',
          `SELECT (SELECT count(*)::int FROM shard.user_agent WHERE version ~ '^[0-9]') AS versions,
                  (SELECT max(n)::int FROM (SELECT count(*) AS n FROM shard.outside_value GROUP BY kind, scope, day) each) AS most`,
        );
        expect(listed?.versions).toBeLessThanOrEqual(LIMITS['user-agent']);
        expect(listed?.most).toBeLessThanOrEqual(LIMITS.referrer / 5);

        const found = { referrer: 0, versions: 0 };
        for (const row of rows) {
          const event = eventOf(hits[row.off] as Hit, row.off);
          const agent = reduceUserAgent(event.ua);
          expect([agent.client, agent.system, agent.device]).toEqual([row.client, row.system, row.device]);
          expect([agent.version, agent.family?.version]).toContain(row.version);
          if (event.t < agent.plausibleFromMs) expect(row.version).toBe('(other)');
          const signal = agent.signals[event.kind as HitKind];
          expect(row.verdict).toBe(signal === undefined || signal === 'proxied' ? 'human' : signal);
          if (row.referrer === '(other)') found.referrer++;
          if (row.version === '(other)') found.versions++;
        }
        expect(found).toEqual({ referrer: folded.referrer, versions: folded['user-agent'] + folded.version });
      }),
      { ...runs(3), endOnFailure: true },
    );
  });

  test('gives the same rows when the same log is counted again, and a restart of the worker changes nothing', async () => {
    const [hits] = fc.sample(fc.array(inventedHit, { minLength: 1_000, maxLength: 1_000 }), { numRuns: 1, seed: 7 }) as [Hit[]];
    const batches = batchesOf(hits);
    await clear();
    await commitAll(ownCommitter(databases, { limits: LIMITS }), batches);
    const first = await rowsOf();
    expect(new Set(first.map(({ referrer }) => referrer))).toContain('(other)');
    await clear();
    for (const batch of batches) await ownCommitter(databases, { limits: LIMITS }).commit([batch]);
    expect(await rowsOf()).toEqual(first);
  });

  test('uses up the room of its day, not that of the next one, and in the end the limit of all days', async () => {
    await clear();
    const committer = ownCommitter(databases, { limits: LIMITS });
    const invent = (day: number): Hit[] =>
      Array.from({ length: 200 }, (_, n) => ({
        ua: '',
        ref: `https://host-${day}-${n}.example/`,
        country: null,
        link: 1,
        day,
        kind: 'click' as const,
      }));
    const storedOn = async (day: number): Promise<number> => {
      await commitAll(committer, batchesOf(invent(day)));
      const rows = await databases.query<{ n: number }>(
        'a',
        `SELECT count(DISTINCT referrer)::int AS n FROM shard.event WHERE referrer LIKE 'host-${day}-%'`,
      );
      return rows[0]?.n ?? 0;
    };
    const stored: number[] = [];
    for (let day = 0; day < 7; day++) stored.push(await storedOn(day));
    expect(stored).toEqual([10, 10, 10, 10, 10, 0, 0]);
    // Other campaigns have their own limits, and an admitted value stays admitted.
    await commitAll(committer, batchesOf([{ ...(invent(9)[0] as Hit), link: 2 }, invent(0)[0] as Hit, invent(6)[0] as Hit]));
    const latest = await databases.query<{ referrer: string }>(
      'a',
      'SELECT referrer FROM shard.event WHERE gen = (SELECT gen FROM shard.ledger ORDER BY last_at DESC LIMIT 1) ORDER BY off',
    );
    expect(latest.map(({ referrer }) => referrer)).toEqual(['host-9-0.example', 'host-0-0.example', '(other)']);
    const facets = await databases.query<{ value: string; hits: number }>(
      'a',
      `SELECT value, hits FROM shard_analytics.facets WHERE facet = 'referrer' AND campaign_id = 1 AND value = '(other)'`,
    );
    expect(facets).toEqual([{ value: '(other)', hits: 7 * 200 - 50 + 1 }]);
  });

  test('a message with an impossible time is committed or becomes a dead letter, and holds up nothing', async () => {
    await clear();
    const hit: Hit = {
      ua: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
      ref: 'https://a.example/',
      country: null,
      link: 1,
      day: 0,
      kind: 'click',
    };
    const gen = newGen();
    const events = [eventOf(hit, 0), { ...eventOf(hit, 1), t: 8.64e15 }];
    await ownCommitter(databases).commit([batchOf(databases, gen, 0, 2, { events })]);
    const [row] = await databases.query<{ n: number }>('a', `SELECT committed = '{[0,2)}' AS done FROM shard.ledger`);
    expect(row).toEqual({ done: true });
  });
});

describe('versions', () => {
  test.each([
    ['Chrome', 142, 2025, true],
    ['Chrome', 160, 2027, true],
    ['Chrome', 999, 2027, false],
    ['Microsoft Edge', 7777, 2040, false],
    ['Firefox', 140, 2025, true],
    ['Safari', 26, 2025, true],
    ['Safari', 605, 2030, false],
    ['Google Search', 392, 2025, true],
    ['Samsung Internet for Android', 29, 2025, true],
    ['Vivaldi', 300, 2026, false],
  ])('%s %d in %d: plausible is %s', (client, major, year, plausible) => {
    expect(Date.UTC(year, 11) >= plausibleFromMs(client, major)).toBe(plausible);
  });
});
