import { RULES_VERSION } from '../core/rules.ts';
import pg from 'pg';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { decodeBatch, encodeBatch } from '../core/batch.ts';
import { columnsOf, type Event } from '../core/batch-v1.ts';
import type { Batch, DeadReason, SkipReason } from '../core/event.ts';
import { createPool } from '../core/postgres.ts';
import { parseMultirange, type Range, subtract } from '../core/ranges.ts';
import { createSlugCodec, parseSlugKeys, type SlugCodec } from '../core/slug.ts';
import { encodeV1 } from '../test/support/events.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../test/support/batches.ts';
import { createDatabases, type Databases, untilWorkersBlocked } from '../test/support/databases.ts';
import type { Committed, Committer } from './commit.ts';

let databases: Databases;
let slugs: SlugCodec;
const unlistedKeyCodec = createSlugCodec(parseSlugKeys('12'.repeat(32)));

beforeAll(async () => {
  databases = await createDatabases(1);
  slugs = createSlugCodec(databases.keys);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) SELECT 'campaign ' || n FROM generate_series(1, 3) n`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) SELECT 1 + n % 3, 'url', 'http://x/' || n FROM generate_series(1, 30) n`,
  );
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'honeypot', ''), (2, 'unsubscribe', '')`,
  );
  await databases.query('catalog', `UPDATE catalog.campaign SET sent_at = '2026-05-01T08:00:00Z' WHERE id = 1`);
});

interface StoredEvent {
  off: number;
  rid: string;
}

const eventsOf = (gen: string) =>
  databases.query<StoredEvent>(
    'a',
    `SELECT off, replace(rid::text, '-', '') AS rid FROM (SELECT gen, off, rid FROM shard.event UNION ALL SELECT gen, off, rid FROM shard.unsubscribe
       UNION ALL SELECT gen, off, rid FROM shard.site_event) AS stored
     WHERE gen = $1 ORDER BY off, rid`,
    [gen],
  );
const deadOf = (gen: string) =>
  databases.query<{ off: number; reason: string }>('a', 'SELECT off, reason FROM shard.dead_letter WHERE gen = $1 ORDER BY off', [gen]);
async function skippedOf(gen: string): Promise<Record<string, number>> {
  const rows = await databases.query<{ reason: string; lines: number }>('a', 'SELECT reason, lines FROM shard.skipped WHERE gen = $1', [
    gen,
  ]);
  return Object.fromEntries(rows.map(({ reason, lines }) => [reason, lines]));
}
async function ledgerOf(gen: string): Promise<{ committed: readonly Range[]; size: number | null } | undefined> {
  const [row] = await databases.query<{ committed: string; size: number | null }>(
    'a',
    'SELECT committed::text AS committed, size FROM shard.ledger WHERE gen = $1',
    [gen],
  );
  return row && { committed: parseMultirange(row.committed), size: row.size };
}

describe('the ledger against a model', () => {
  type Line = { off: number } & ({ event: Event; forged: boolean } | { dead: DeadReason } | { skip: SkipReason });

  interface Log {
    gen: string;
    lines: Line[];
    size: number;
  }

  /** Mulberry32: a random number generator that returns the same numbers for the same seed. */
  function random(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) % below;
    };
  }

  function writeLog(pick: (below: number) => number): Log {
    const lines: Line[] = [];
    let off = 0;
    for (let n = 20 + pick(150); n > 0; n--) {
      const dice = pick(100);
      if (dice < 8) {
        lines.push({
          off,
          forged: false,
          event: clickAt(off, slugs, { kind: 'unsubscribe', slug: slugs.encode({ link: 32, recipient: pick(5) }) }),
        });
      } else if (dice < 62) {
        // A forged site, or a link in place of a site.
        const [forged, number] = [pick(4) === 0, pick(4) === 0 ? 1 + pick(30) : 1000];
        const site = (forged ? unlistedKeyCodec : slugs).encode({ link: number, recipient: 0 });
        const slug = pick(2) === 0 ? '-' : (pick(3) === 0 ? unlistedKeyCodec : slugs).encode({ link: 1 + pick(40), recipient: pick(5) });
        const fields = { site, name: 'buy', value: '1.5', session: 'a', properties: { a: '\\"\'' }, page: 'x/ü\\', dropped: 0 };
        lines.push({ off, forged: forged || number < 1000, event: clickAt(off, slugs, { kind: 'goal', slug, site: fields }) });
      } else if (dice < 65) {
        const ids = { link: 1 + pick(40), recipient: pick(5) };
        lines.push({ off, forged: false, event: clickAt(off, slugs, { slug: slugs.encode(ids), ua: `Mail/${pick(20)}.0` }) });
      } else if (dice < 75) {
        lines.push({ off, forged: true, event: clickAt(off, slugs, { slug: unlistedKeyCodec.encode({ link: 1, recipient: 1 }) }) });
      } else if (dice < 85) lines.push({ off, dead: dice % 2 === 0 ? 'torn' : 'not-json' });
      else lines.push({ off, skip: dice % 2 === 0 ? 'not-served' : 'malformed-slug' });
      off += 1 + pick(300);
    }
    return { gen: newGen(), lines, size: off };
  }

  /** Returns the batch that an agent would publish for the lines that start in [from, to). */
  function batchOfLines(log: Log, from: number, to: number): Batch {
    const batch = batchOf(databases, log.gen, from, to);
    const events: Event[] = [];
    for (const line of log.lines) {
      if (line.off < from || line.off >= to) continue;
      if ('event' in line) events.push(line.event);
      else if ('dead' in line) batch.dead.push({ off: line.off, reason: line.dead, length: 1, hash: 'ab' });
      else batch.skipped[line.skip] = (batch.skipped[line.skip] ?? 0) + 1;
    }
    // Some of the batches are encoded in version 1 of the format, because agents of both versions may publish to one stream.
    const whole = { ...batch, events: columnsOf(events) };
    const isOld = from % 2 === 0 && !events.some(({ kind }) => kind === 'unsubscribe' || kind === 'goal');
    return decodeBatch(isOld ? encodeV1(whole) : encodeBatch(whole));
  }

  /** Cuts [from, to) into batches at randomly chosen line boundaries. */
  function cut(log: Log, from: number, to: number, pick: (below: number) => number): Batch[] {
    const bounds = [...log.lines.map(({ off }) => off), log.size].filter((off) => off > from && off < to);
    const chosen = [from, ...bounds.filter(() => pick(8) === 0), to];
    return chosen.slice(1).map((end, i) => batchOfLines(log, chosen[i] as number, end));
  }

  function shuffle<T>(items: readonly T[], pick: (below: number) => number): T[] {
    return items
      .map((item) => [pick(2 ** 31), item] as const)
      .sort((a, b) => a[0] - b[0])
      .map(([, item]) => item);
  }

  /** Delivers batches in groups of random size. The committers work at the same time and take groups from one queue until it is empty. */
  async function deliver(
    committers: readonly Committer[],
    batches: readonly Batch[],
    pick: (below: number) => number,
  ): Promise<Committed[]> {
    const groups: Batch[][] = [];
    for (let i = 0; i < batches.length; ) {
      const length = 1 + pick(9);
      groups.push(batches.slice(i, i + length));
      i += length;
    }
    const done: Committed[] = [];
    await Promise.all(
      committers.map(async (committer) => {
        for (let group = groups.shift(); group; group = groups.shift()) done.push(await committer.commit(group));
      }),
    );
    return done;
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'every line is counted exactly once by two workers, however it is cut, repeated and reordered (seed %i)',
    async (seed) => {
      const pick = random(seed);
      const committers = [ownCommitter(databases), ownCommitter(databases)];
      const logs = Array.from({ length: 3 }, () => writeLog(pick));
      const done: Committed[] = [];

      const cuts = logs.flatMap((log) => Array.from({ length: 4 }, () => cut(log, 0, log.size, pick))).flat();
      const delivered = shuffle([...cuts, ...cuts.filter(() => pick(2) === 0)], pick).filter(() => pick(5) > 0);
      done.push(...(await deliver(committers, delivered, pick)));

      // Publishes the missing ranges again, as an agent does, until no range is missing. Each of these batches may also be delivered twice
      // or not at all.
      for (let round = 0; round < 20; round++) {
        const missing: Batch[] = [];
        for (const log of logs) {
          const committed = (await ledgerOf(log.gen))?.committed ?? [];
          for (const [from, to] of subtract([[0, log.size]], committed)) missing.push(...cut(log, from, to, pick));
        }
        if (missing.length === 0) break;
        done.push(
          ...(await deliver(
            committers,
            shuffle([...missing, ...missing], pick).filter(() => pick(4) > 0),
            pick,
          )),
        );
      }
      const closing = logs.map(({ gen, size }) => batchOf(databases, gen, size, size, { size }));
      done.push(...(await deliver(committers, [...closing, ...closing], pick)));

      for (const { gen, lines, size } of logs) {
        const counted = lines.flatMap((line) => ('event' in line && !line.forged ? [{ off: line.off, rid: line.event.rid }] : []));
        expect(await eventsOf(gen)).toEqual(counted);
        expect(await deadOf(gen)).toEqual(lines.flatMap((line) => ('dead' in line ? [{ off: line.off, reason: line.dead }] : [])));
        const skipped: Record<string, number> = {};
        for (const line of lines) {
          const reason = 'skip' in line ? line.skip : 'event' in line && line.forged ? 'forged' : undefined;
          if (reason) skipped[reason] = (skipped[reason] ?? 0) + 1;
        }
        expect(await skippedOf(gen)).toEqual(skipped);
        expect(await ledgerOf(gen)).toEqual({ committed: [[0, size]], size });
      }
      const all = logs.flatMap(({ lines }) => lines);
      const total = (count: (committed: Committed) => number) => done.reduce((sum, committed) => sum + count(committed), 0);
      expect(total(({ events }) => events)).toBe(all.filter((line) => 'event' in line && !line.forged).length);
      expect(total(({ dead }) => dead.length)).toBe(all.filter((line) => 'dead' in line).length);
      expect(total(({ skipped }) => skipped['forged'] ?? 0)).toBe(all.filter((line) => 'event' in line && line.forged).length);
      expect(total(({ repeated }) => repeated)).toBeGreaterThan(0);
      expect(total(({ beyondSize }) => beyondSize)).toBe(0);
    },
  );
});

describe('workers at the same moment', () => {
  test('of two first batches of a new generation one counts', async () => {
    const gen = newGen();
    const lock = await databases.begin('a', 'LOCK TABLE shard.ledger IN SHARE MODE');
    const batch = batchOf(databases, gen, 0, 100, { events: Array.from({ length: 10 }, (_, i) => clickAt(i * 10, slugs)) });
    const both = Promise.all([ownCommitter(databases).commit([batch]), ownCommitter(databases).commit([batch])]);
    await untilWorkersBlocked(databases, 'a', 2);
    await lock.query('COMMIT');
    expect(
      (await both).map(({ batches, repeated, events }) => ({ batches, repeated, events })).sort((a, b) => a.events - b.events),
    ).toEqual([
      { batches: 0, repeated: 1, events: 0 },
      { batches: 1, repeated: 0, events: 10 },
    ]);
    expect(await eventsOf(gen)).toHaveLength(10);
  });

  test('who loses a part of a group counts the rest of it, in every order of generations', async () => {
    const [first, second] = [newGen(), newGen()].sort() as [string, string];
    const whole = (gen: string, from: number) => batchOf(databases, gen, from, from + 10, { events: [clickAt(from, slugs)] });
    const lock = await databases.begin('a', 'LOCK TABLE shard.ledger IN SHARE MODE');
    const both = Promise.all([
      ownCommitter(databases).commit([whole(first, 0), whole(second, 0), whole(first, 10)]),
      ownCommitter(databases).commit([whole(second, 10), whole(second, 0), whole(first, 20)]),
    ]);
    await untilWorkersBlocked(databases, 'a', 2);
    await lock.query('COMMIT');
    const done = await both;
    expect(done.reduce((sum, { events }) => sum + events, 0)).toBe(5);
    expect((await ledgerOf(first))?.committed).toEqual([[0, 30]]);
    expect((await ledgerOf(second))?.committed).toEqual([[0, 20]]);
    expect((await eventsOf(first)).map(({ off }) => off)).toEqual([0, 10, 20]);
    expect((await eventsOf(second)).map(({ off }) => off)).toEqual([0, 10]);
  });

  test('a worker that is cut off while it commits loses nothing and doubles nothing', async () => {
    const gen = newGen();
    const committer = ownCommitter(databases);
    const batch = batchOf(databases, gen, 0, 10, { events: [clickAt(0, slugs)] });
    const lock = await databases.begin('a', 'LOCK TABLE shard.ledger IN SHARE MODE');
    const cutOff = committer.commit([batch]);
    const outcome = expect(cutOff).rejects.toThrow();
    await untilWorkersBlocked(databases, 'a', 1);
    await databases.query(
      'a',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'clickledger_worker' AND wait_event_type = 'Lock'`,
    );
    await outcome;
    await lock.query('COMMIT');
    expect(await eventsOf(gen)).toEqual([]);
    expect(await committer.commit([batch])).toMatchObject({ events: 1, repeated: 0 });
    expect(await eventsOf(gen)).toHaveLength(1);
  });
});

describe('ranges and sizes', () => {
  test('the same batch twice in one group counts once', async () => {
    const gen = newGen();
    const batch = batchOf(databases, gen, 0, 10, { events: [clickAt(3, slugs)], skipped: { 'not-served': 2 } });
    expect(await ownCommitter(databases).commit([batch, batch])).toMatchObject({ batches: 1, repeated: 1, events: 1 });
    expect(await eventsOf(gen)).toHaveLength(1);
    expect(await skippedOf(gen)).toEqual({ 'not-served': 2 });
  });

  test('an empty closing batch records the size, however often it comes and even first', async () => {
    const gen = newGen();
    const committer = ownCommitter(databases);
    const closing = batchOf(databases, gen, 50, 50, { size: 50 });
    await committer.commit([closing]);
    expect(await ledgerOf(gen)).toEqual({ committed: [], size: 50 });
    await committer.commit([batchOf(databases, gen, 0, 50, { events: [clickAt(49, slugs)] })]);
    await committer.commit([closing, closing]);
    expect(await ledgerOf(gen)).toEqual({ committed: [[0, 50]], size: 50 });
    expect(await eventsOf(gen)).toHaveLength(1);
  });

  test('a batch beyond the recorded size is committed and reported, one within it only committed', async () => {
    const gen = newGen();
    const committer = ownCommitter(databases);
    await committer.commit([batchOf(databases, gen, 20, 20, { size: 20 })]);
    expect(await committer.commit([batchOf(databases, gen, 0, 20, { events: [clickAt(0, slugs)] })])).toMatchObject({
      beyondSize: 0,
      events: 1,
    });
    expect(await committer.commit([batchOf(databases, gen, 20, 30, { events: [clickAt(20, slugs)] })])).toMatchObject({
      beyondSize: 1,
      events: 1,
    });
    expect(await eventsOf(gen)).toHaveLength(2);
  });

  test('nothing to commit is nothing committed', async () => {
    expect(await ownCommitter(databases).commit([])).toEqual({
      batches: 0,
      repeated: 0,
      events: 0,
      dead: [],
      skipped: {},
      folded: { referrer: 0, 'user-agent': 0, version: 0 },
      beyondSize: 0,
    });
  });
});

describe('rows', () => {
  test('signs of a machine are those of the link, the time of sending, the age of the browser and the path', async () => {
    const gen = newGen();
    const slug = slugs.encode({ link: 3, recipient: 9 });
    const sentAt = Date.UTC(2026, 4, 1, 8);
    const old = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/79.0.3945.136 Safari/537.36';
    const events = [
      clickAt(0, slugs, { slug, t: sentAt - 1 }),
      clickAt(1, slugs, { slug, t: sentAt }),
      clickAt(2, slugs, { slug, t: sentAt + 59_999 }),
      clickAt(3, slugs, { slug, t: sentAt + 60_000 }),
      clickAt(4, slugs, { slug, t: sentAt + 90_000, ua: old }),
      clickAt(5, slugs, { slug: slugs.encode({ link: 31, recipient: 9 }), t: sentAt + 300_000 }),
      clickAt(7, slugs, { slug, t: sentAt + 600_000, altered: true }),
      // The other campaign was not sent.
      clickAt(6, slugs, { slug: slugs.encode({ link: 1, recipient: 9 }), t: sentAt }),
    ];
    await ownCommitter(databases).commit([batchOf(databases, gen, 0, 10, { events })]);
    const rows = await databases.query('a', 'SELECT signals, verdict FROM shard.event WHERE gen = $1 ORDER BY off', [gen]);
    expect(rows).toEqual([
      { signals: null, verdict: 'human' },
      { signals: ['early'], verdict: 'human' },
      { signals: ['early'], verdict: 'human' },
      { signals: null, verdict: 'human' },
      { signals: ['old-browser'], verdict: 'human' },
      { signals: ['honeypot'], verdict: 'honeypot' },
      { signals: null, verdict: 'human' },
      { signals: ['altered'], verdict: 'human' },
    ]);
  });

  test('an unsubscribe is stored with its recipient and campaign, and is no hit', async () => {
    const gen = newGen();
    const t = Date.UTC(2026, 4, 1, 8);
    const slugOf = (link: number): string => slugs.encode({ link, recipient: 9 });
    const events = [
      clickAt(0, slugs, { kind: 'unsubscribe', slug: slugOf(32), t }),
      clickAt(1, slugs, { slug: slugOf(1) }),
      // The links of a letter, the pixel and the hidden link unsubscribe nobody.
      clickAt(2, slugs, { kind: 'unsubscribe', slug: slugOf(1) }),
      clickAt(3, slugs, { kind: 'unsubscribe', slug: slugOf(31) }),
      // The catalog was restored from a backup that does not have the link yet.
      clickAt(4, slugs, { kind: 'unsubscribe', slug: slugOf(4000), t }),
      clickAt(5, slugs, { kind: 'unsubscribe', slug: unlistedKeyCodec.encode({ link: 32, recipient: 9 }) }),
    ];
    const committed = await ownCommitter(databases).commit([batchOf(databases, gen, 0, 10, { events })]);
    expect(committed).toMatchObject({ events: 3, skipped: { forged: 3 } });
    expect(
      await databases.query('a', 'SELECT at, off, recipient_id, link_id, campaign_id FROM shard.unsubscribe WHERE gen = $1 ORDER BY off', [
        gen,
      ]),
    ).toEqual([
      { at: new Date(t), off: 0, recipient_id: 9, link_id: 32, campaign_id: 2 },
      { at: new Date(t), off: 4, recipient_id: 9, link_id: 4000, campaign_id: 0 },
    ]);
    expect(await databases.query('a', 'SELECT off, kind::text FROM shard.event WHERE gen = $1', [gen])).toEqual([
      { off: 1, kind: 'click' },
    ]);
  });

  test('an event is stored with everything it says', async () => {
    const gen = newGen();
    const recipient = 77;
    const event = clickAt(5, slugs, {
      rid: 'fedcba9876543210fedcba9876543210',
      t: 1_763_000_000_123,
      kind: 'open',
      slug: slugs.encode({ link: 4, recipient }),
      link: null,
      head: true,
      purpose: 'prefetch',
      ref: 'https://Mail.Example.com/inbox?secret=1',
      country: null,
      net: 'apple-mpp',
      visitor: '-9223372036854775808',
    });
    await ownCommitter(databases).commit([batchOf(databases, gen, 0, 10, { events: [event] })]);
    const [row] = await databases.query(
      'a',
      `SELECT e.*, extract(epoch FROM at)::float8 * 1000 AS ms, visitor::text AS visitor, rid::text AS rid, u.client, u.version, u.system, u.device
       FROM shard.event e JOIN shard.user_agent u ON u.id = agent_id WHERE gen = $1`,
      [gen],
    );
    expect(row).toMatchObject({
      ms: 1_763_000_000_123,
      off: 5,
      rid: 'fedcba98-7654-3210-fedc-ba9876543210',
      recipient_id: recipient,
      link_id: 4,
      campaign_id: 2,
      visitor: '-9223372036854775808',
      link_version: null,
      rules: RULES_VERSION,
      kind: 'open',
      verdict: 'head',
      signals: ['head', 'prefetch'],
      country: null,
      net: 'apple-mpp',
      referrer: 'mail.example.com',
      client: 'Firefox',
      version: '140',
      system: 'Linux',
      device: 'desktop',
    });
    expect(JSON.stringify(row)).not.toContain('secret');
  });

  const hostile = [
    '\0',
    'a\0b',
    '\\',
    '\\.',
    '\n\\.\n',
    '\\N',
    '\\x00',
    '\t',
    'a\tb\tc',
    '\n',
    '\r\n',
    '\v\f\b',
    '{"},"',
    "'; DROP TABLE shard.event; --",
    '\ud800',
    'x\udfffy',
    '\ufffe\uffff',
    '💩',
    'é'.repeat(4000),
    'x'.repeat(8192),
    '\\'.repeat(8192),
    '\t\n'.repeat(4096),
  ];

  test('no text of a client breaks the COPY or its neighbours', async () => {
    const gen = newGen();
    const events = hostile.map((text, i) =>
      clickAt(i, slugs, { ua: text, ref: `https://x.example/${text}`, net: text, purpose: text, country: text.slice(0, 2) }),
    );
    events.push(...hostile.map((text, i) => clickAt(100 + i, slugs, { ref: text, ua: `Mozilla/5.0 ${text}` })));
    const done = await ownCommitter(databases).commit([batchOf(databases, gen, 0, 200, { events })]);
    expect(done).toMatchObject({ events: events.length, dead: [] });
    const rows = await databases.query<{ net: string | null; referrer: string | null; client: string }>(
      'a',
      'SELECT net, referrer, client FROM shard.event JOIN shard.user_agent u ON u.id = agent_id WHERE gen = $1 ORDER BY off',
      [gen],
    );
    expect(rows).toHaveLength(events.length);
    expect(rows.slice(0, hostile.length).map(({ net }) => net)).toEqual(hostile.map((text) => text.replaceAll('\0', '').toWellFormed()));
    expect(new Set(rows.map(({ referrer }) => referrer))).toEqual(new Set(['x.example', null]));
  });

  test.each([
    ['version 1', encodeV1],
    ['version 2', encodeBatch],
  ])('the same through the wire format, %s, as far as it lets them pass', async (_, encode) => {
    const gen = newGen();
    const events = hostile.map((text, i) => clickAt(i, slugs, { ua: text.slice(0, 512), ref: text.slice(0, 512), net: text.slice(0, 64) }));
    const batch = decodeBatch(encode(batchOf(databases, gen, 0, 100, { events })));
    expect(await ownCommitter(databases).commit([batch])).toMatchObject({ events: events.length, dead: [] });
  });

  test('rows of no month go to the default partition', async () => {
    const gen = newGen();
    const events = [Date.UTC(2001, 0, 1), Date.UTC(2099, 0, 1), Date.now()].map((t, i) => clickAt(i, slugs, { t }));
    await ownCommitter(databases).commit([batchOf(databases, gen, 0, 10, { events })]);
    const rows = await databases.query<{ off: number; partition: string }>(
      'a',
      'SELECT off, tableoid::regclass::text AS partition FROM shard.event WHERE gen = $1 ORDER BY off',
      [gen],
    );
    const month = new Date().toISOString().slice(0, 7).replace('-', '_');
    expect(rows.map(({ partition }) => partition)).toEqual(['shard.event_default', 'shard.event_default', `shard.event_${month}`]);
  });
});

describe('rows that the database refuses', () => {
  let own: Databases;
  const offsOf = (table: string, gen: string) =>
    own
      .query<{ off: number }>('a', `SELECT off FROM shard.${table} WHERE gen = $1 ORDER BY off`, [gen])
      .then((rows) => rows.map(({ off }) => off));

  beforeAll(async () => {
    own = await createDatabases(1);
  });

  test('each becomes a dead letter, and all its neighbours are committed', async () => {
    const codec = createSlugCodec(own.keys);
    await own.query('a', `ALTER TABLE shard.event ADD CONSTRAINT taste CHECK (referrer <> 'poison.example')`);
    const gen = newGen();
    const other = newGen();
    const event = (off: number) =>
      clickAt(off, codec, { ref: [3, 4, 17].includes(off) ? 'http://poison.example/' : 'http://good.example/' });
    const events = Array.from({ length: 20 }, (_, i) => event(i));
    const done = await ownCommitter(own).commit([
      batchOf(own, gen, 0, 10, { events: events.slice(0, 10), dead: [{ off: 0, reason: 'torn', length: 1, hash: '' }] }),
      batchOf(own, gen, 10, 20, { events: events.slice(10), skipped: { 'not-served': 1 } }),
      batchOf(own, other, 0, 20, { events: events.filter(({ ref }) => !ref.includes('poison')) }),
    ]);
    expect(done).toMatchObject({ events: 34, batches: 3, skipped: { 'not-served': 1 } });
    expect(done.dead.map(({ off, reason }) => [off, reason])).toEqual([
      [0, 'torn'],
      [3, 'rejected'],
      [4, 'rejected'],
      [17, 'rejected'],
    ]);
    expect(await offsOf('event', gen)).toEqual([0, 1, 2, ...Array.from({ length: 12 }, (_, i) => i + 5), 18, 19]);
    expect(await offsOf('dead_letter', gen)).toEqual([0, 3, 4, 17]);
    expect(await offsOf('event', other)).toHaveLength(17);
    const [ledger] = await own.query<{ committed: string }>('a', 'SELECT committed::text AS committed FROM shard.ledger WHERE gen = $1', [
      gen,
    ]);
    expect(ledger?.committed).toBe('{[0,20)}');
  });

  test('it is told of, also where another worker was faster with the rest of the group', async () => {
    const codec = createSlugCodec(own.keys);
    const gen = newGen();
    const poisoned = batchOf(own, gen, 0, 10, { events: [clickAt(0, codec, { ref: 'http://poison.example/' }), clickAt(1, codec)] });
    const contested = batchOf(own, gen, 10, 20, { events: [clickAt(10, codec)] });
    let other: Promise<Committed> | undefined;
    function* group(): Generator<Batch> {
      yield poisoned;
      // The committer reads the ledger before it asks for the next batch, so it has read the ledger at this time.
      other = ownCommitter(own).commit([contested]);
      yield contested;
    }
    const done = await ownCommitter(own).commit(group());
    const lost = await other;
    expect(done.dead.map(({ off, reason }) => [off, reason])).toEqual([[0, 'rejected']]);
    expect(done.events + (lost?.events ?? 0)).toBe(2);
    expect(done.repeated + (lost?.repeated ?? 0)).toBe(1);
    expect(await offsOf('event', gen)).toEqual([1, 10]);
    expect(await offsOf('dead_letter', gen)).toEqual([0]);
  });

  test('a row for which there is no partition is held, never made a dead letter', async () => {
    const codec = createSlugCodec(own.keys);
    const gen = newGen();
    const batch = batchOf(own, gen, 0, 10, { events: [clickAt(0, codec, { t: Date.UTC(2001, 0) }), clickAt(1, codec)] });
    const committer = ownCommitter(own);
    await own.query('a', 'ALTER TABLE shard.event DETACH PARTITION shard.event_default');
    await expect(committer.commit([batch])).rejects.toMatchObject({ code: '23514' });
    await own.query('a', 'ALTER TABLE shard.event ATTACH PARTITION shard.event_default DEFAULT');
    expect(await offsOf('dead_letter', gen)).toEqual([]);
    expect(await committer.commit([batch])).toMatchObject({ events: 2, dead: [] });
  });

  test('fewer rows than were sent are not committed', async () => {
    const codec = createSlugCodec(own.keys);
    const gen = newGen();
    await own.query('a', `CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`);
    await own.query(
      'a',
      `CREATE TRIGGER swallow BEFORE INSERT ON shard.event FOR EACH ROW WHEN (NEW.referrer = 'swallowed.example') EXECUTE FUNCTION public.swallow()`,
    );
    const batch = batchOf(own, gen, 0, 10, { events: [clickAt(0, codec), clickAt(1, codec, { ref: 'http://swallowed.example' })] });
    await expect(ownCommitter(own).commit([batch])).rejects.toThrow('COPY stored 1 of 2 rows');
    expect(await offsOf('event', gen)).toEqual([]);
    expect(await own.query('a', 'SELECT FROM shard.ledger WHERE gen = $1', [gen])).toEqual([]);
  });
});

describe('whose database and whose slugs', () => {
  test('a database of another shard or another list is refused before anything is written', async () => {
    const other = await createDatabases(2);
    const gen = newGen();
    const batch = batchOf(databases, gen, 0, 10, { events: [clickAt(0, slugs)] });
    const byOtherList = { ...batch, shards: other.shards.fingerprint };
    await expect(ownCommitter(databases, { shardsFingerprint: other.shards.fingerprint }).commit([byOtherList])).rejects.toMatchObject({
      code: 'wrong-database',
    });
    const swapped: Databases = { ...other, shardUrlAs: (shard, role) => other.shardUrlAs(shard === 'a' ? 'b' : 'a', role) };
    await expect(ownCommitter(swapped).commit([batchOf(other, gen, 0, 10)])).rejects.toMatchObject({ code: 'wrong-database' });
    expect(await eventsOf(gen)).toEqual([]);
    expect(await other.query('b', 'SELECT FROM shard.ledger')).toEqual([]);
  });

  test.each([
    ['another shard', { shard: 'b' }],
    ['another list', { shards: '0123456789abcdef' }],
  ])('a batch that an agent made for %s is held', async (_, changes) => {
    const gen = newGen();
    const batches = [batchOf(databases, gen, 0, 10), batchOf(databases, gen, 10, 20, changes)];
    await expect(ownCommitter(databases).commit(batches)).rejects.toMatchObject({ code: 'bad-settings' });
    expect(await ledgerOf(gen)).toBeUndefined();
  });

  test('where a listed key is missing nothing is called forged: the batch is held until the key is there', async () => {
    const own = await createDatabases(1);
    const codec = createSlugCodec(own.keys);
    const committer = ownCommitter(own);
    const text = '34'.repeat(32);
    const [newKey] = parseSlugKeys(text) as [ReturnType<typeof parseSlugKeys>[number]];
    await own.query('catalog', 'INSERT INTO catalog.signing_key (fingerprint) VALUES ($1)', [newKey.fingerprint]);
    const byNewKey = clickAt(5, codec, { slug: createSlugCodec([newKey]).encode({ link: 1, recipient: 1 }) });
    const held = batchOf(own, newGen(), 0, 10, { events: [clickAt(0, codec), byNewKey] });
    await expect(committer.commit([held])).rejects.toMatchObject({ code: 'bad-settings' });
    expect(await own.query('a', 'SELECT FROM shard.ledger')).toEqual([]);
    // The missing key is not needed for a slug that a known key signed, or for a slug that a backend has verified.
    expect(await committer.commit([batchOf(own, newGen(), 0, 10, { events: [clickAt(0, codec)] })])).toMatchObject({ events: 1 });
    const verifiedByBackend = { ...byNewKey, link: '1.1' };
    expect(await committer.commit([batchOf(own, newGen(), 0, 10, { events: [verifiedByBackend] })])).toMatchObject({
      events: 1,
      skipped: {},
    });
    expect(await ownCommitter(own, { keys: [...own.keys, newKey] }).commit([held])).toMatchObject({ events: 2, skipped: {} });
  });

  test('a site event of a known site needs no catalog, and the id of a site is the slug of no hit', async () => {
    const own = await createDatabases(1);
    const codec = createSlugCodec(own.keys);
    const committer = ownCommitter(own);
    const [site] = await own.query<{ id: number }>('catalog', `INSERT INTO catalog.site (host) VALUES ('shop.example') RETURNING id::int`);
    const id = codec.encode({ link: site?.id as number, recipient: 0 });
    const visit = (off: number) => clickAt(off, codec, { kind: 'visit', slug: '-', site: { site: id, name: '', dropped: 0 } });
    const open = clickAt(1, codec, { kind: 'open', slug: id });
    const gen = newGen();
    expect(await committer.commit([batchOf(own, gen, 0, 10, { events: [visit(0), open] })])).toMatchObject({
      events: 1,
      skipped: { forged: 1 },
    });
    await own.query('catalog', 'REVOKE ALL ON ALL TABLES IN SCHEMA catalog FROM clickledger_worker');
    expect(await committer.commit([batchOf(own, gen, 10, 20, { events: [visit(10)] })])).toMatchObject({ events: 1, skipped: {} });
  });

  test('a forged slug is skipped and counted, with a made-up X-Link too', async () => {
    const gen = newGen();
    const forged = unlistedKeyCodec.encode({ link: 1, recipient: 1 });
    const events = [
      clickAt(0, slugs, { slug: forged }),
      clickAt(1, slugs, { slug: forged, link: '2.1' }),
      clickAt(2, slugs, { slug: 'x' }),
    ];
    const done = await ownCommitter(databases).commit([
      batchOf(databases, gen, 0, 10, { events, skipped: { forged: 2, 'not-served': 1 } }),
    ]);
    expect(done).toMatchObject({ events: 0, skipped: { 'not-served': 1 } });
    expect((await skippedOf(gen))['not-served']).toBe(1);
    expect((await skippedOf(gen))['forged']).toBeGreaterThanOrEqual(3);
  });

  test('an alias, a fallback and a served version are told by the link that the backend answered', async () => {
    const gen = newGen();
    const slug = slugs.encode({ link: 6, recipient: 9 });
    await ownCommitter(databases).commit([
      batchOf(databases, gen, 0, 10, {
        events: [
          clickAt(0, slugs, { slug: 'black-friday', link: '6.2' }),
          clickAt(1, slugs, { slug, link: '6.0' }),
          clickAt(2, slugs, { slug, link: '6.3' }),
          clickAt(3, slugs, { slug, link: null }),
          clickAt(4, slugs, { slug: slugs.encode({ link: 900, recipient: 0 }), link: '900.1' }),
        ],
      }),
    ]);
    const rows = await databases.query(
      'a',
      'SELECT link_id, link_version, recipient_id, campaign_id FROM shard.event WHERE gen = $1 ORDER BY off',
      [gen],
    );
    expect(rows).toEqual([
      { link_id: 6, link_version: 2, recipient_id: 0, campaign_id: 1 },
      { link_id: 6, link_version: 0, recipient_id: 9, campaign_id: 1 },
      { link_id: 6, link_version: 3, recipient_id: 9, campaign_id: 1 },
      { link_id: 6, link_version: null, recipient_id: 9, campaign_id: 1 },
      { link_id: 900, link_version: 1, recipient_id: 0, campaign_id: 0 },
    ]);
  });
});

describe('months ahead', () => {
  const ensure = (pool: pg.Pool, month: string) =>
    pool
      .query<{ created: boolean }>('SELECT shard.ensure_month($1) AS created', [`${month}-15T00:00:00Z`])
      .then(({ rows }) => rows[0]?.created);
  const asWorker = () => {
    const pool = createPool(databases.shardUrlAs('a', 'worker'), { max: 2, name: 'test' });
    onTestFinished(() => pool.end());
    return pool;
  };
  const thisMonth = new Date().toISOString().slice(0, 7);

  test('are made while somebody reads this month, by the worker, once', async () => {
    const pool = asWorker();
    await databases.begin(
      'a',
      `SELECT count(*) FROM shard.event WHERE at >= '${thisMonth}-01T00:00:00Z' AND at < '${thisMonth}-28T00:00:00Z'`,
    );
    expect(await ensure(pool, '2031-05')).toBe(true);
    expect(await ensure(pool, '2031-05')).toBe(false);
    const gen = newGen();
    const events = ['2031-04-30T23:59:59.999Z', '2031-05-01T00:00:00Z', '2031-05-31T23:59:59.999Z', '2031-06-01T00:00:00Z'].map((at, i) =>
      clickAt(i, slugs, { t: Date.parse(at) }),
    );
    await ownCommitter(databases).commit([batchOf(databases, gen, 0, 10, { events })]);
    const rows = await databases.query<{ partition: string }>(
      'a',
      'SELECT tableoid::regclass::text AS partition FROM shard.event WHERE gen = $1 ORDER BY off',
      [gen],
    );
    expect(rows.map(({ partition }) => partition.replace('shard.event_', ''))).toEqual(['default', '2031_05', '2031_05', 'default']);
  });

  test('behind a reader of everything the attempt gives up soon, commits go on, and it succeeds afterwards', async () => {
    const pool = asWorker();
    const reader = await databases.begin('a', 'SELECT count(*) FROM shard.event');
    await expect(ensure(pool, '2031-07')).rejects.toMatchObject({ code: '55P03' });
    const gen = newGen();
    await ownCommitter(databases).commit([batchOf(databases, gen, 0, 10, { events: [clickAt(0, slugs, { t: Date.UTC(2001, 0) })] })]);
    expect(await eventsOf(gen)).toHaveLength(1);
    await reader.query('COMMIT');
    expect(await ensure(pool, '2031-07')).toBe(true);
  });

  test('a month whose rows are in the default partition already stays there', async () => {
    const gen = newGen();
    await ownCommitter(databases).commit([batchOf(databases, gen, 0, 10, { events: [clickAt(0, slugs, { t: Date.UTC(2031, 8, 3) })] })]);
    expect(await ensure(asWorker(), '2031-09')).toBe(false);
    expect(await eventsOf(gen)).toHaveLength(1);
  });

  test('several at once from two workers are made once each', async () => {
    const [first, second] = [asWorker(), asWorker()];
    const created = await Promise.all(
      ['2032-01', '2032-02', '2032-01', '2032-02'].map((month, i) => ensure(i < 2 ? first : second, month)),
    );
    expect(created.filter(Boolean)).toHaveLength(2);
  });
});
