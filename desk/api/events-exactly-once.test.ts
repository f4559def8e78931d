import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FastifyInstance } from 'fastify';
import type { Event } from '../../core/batch-v1.ts';
import type { Batch } from '../../core/event.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createSlugCodec, type SlugCodec } from '../../core/slug.ts';
import { sleep } from '../../core/time.ts';
import { judgeOnce } from '../../event-worker/judge.ts';
import { createTestApi, linesOf, startTestApi, type TestApi } from '../../test/support/api.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../../test/support/batches.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { judgeAll } from '../../test/support/merge.ts';
import { keepCopy, PUT_SHARD_BACK, SHARD_TABLES } from '../../test/support/put-back.ts';
import { runs } from '../../test/support/runs.ts';

// A client that reads events by cursor, against a model. Whatever order of commits, steps of the judge, crashes of the client, restarts of the desk and
// restorations of a shard, in the end the client has the events of the shards, each once, with their present verdicts.

const SHARDS = ['a', 'b'] as const;

let databases: Databases;
let slugs: SlugCodec;
let api: TestApi;
let workers: Record<(typeof SHARDS)[number], Pool>;

beforeAll(async () => {
  databases = await createDatabases(2);
  slugs = createSlugCodec(databases.keys);
  api = await startTestApi(databases);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) SELECT 'campaign ' || n FROM generate_series(1, 2) n`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) SELECT 1 + n % 2, CASE WHEN n = 14 THEN 'unsubscribe' ELSE 'url' END, 'http://x/' || n FROM generate_series(1, 14) n`,
  );
  const workerOf = (shard: string): Pool => createPool(databases.shardUrlAs(shard, 'worker'), { max: 2, name: 'test' });
  workers = { a: workerOf('a'), b: workerOf('b') };
});
afterAll(async () => {
  await Promise.all([api?.app.close(), workers?.a.end(), workers?.b.end()]);
});

const EMPTY = `TRUNCATE ${SHARD_TABLES.join(', ')}`;

const shard = fc.constantFrom(...SHARDS);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      shard,
      gen: fc.nat(1),
      hole: fc.boolean(),
      burst: fc.boolean(),
      n: fc.integer({ min: 0, max: 12 }),
      seed: fc.nat(1000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('judge' as const), shard }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('read' as const, 'read' as const, 'crash before storing' as const, 'read twice' as const),
      limit: fc.integer({ min: 1, max: 9 }),
      wait: fc.constantFrom(0, 0, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('keep' as const, 'put back' as const), shard }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Line {
  id: string;
  type: string;
  event_id?: string;
  verdict?: string;
}
interface Stored {
  id: string;
  verdict: string | null;
}

test.each([{ verdict: 'any' }, { verdict: 'human' }, { verdict: 'human,unsure' }])(
  'in the end, a client (verdict=$verdict) has every event once',
  { timeout: 300_000 },
  async ({ verdict }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 18 }), (steps) => run(verdict, steps)),
      { ...runs(5), endOnFailure: true },
    );
  },
);

async function run(verdict: string, steps: readonly Step[]): Promise<void> {
  await Promise.all(SHARDS.map((name) => databases.query(name, `${EMPTY}; DROP SCHEMA IF EXISTS backup CASCADE`)));
  await databases.query('catalog', 'DELETE FROM catalog.event_reader');
  const committers = { a: ownCommitter(databases, { shard: 'a' }), b: ownCommitter(databases, { shard: 'b' }) };
  const batches: Record<(typeof SHARDS)[number], Batch[]> = { a: [], b: [] };
  const gens = [newGen(), newGen()];
  const ends = { a: [0, 0], b: [0, 0] };
  const kept = new Set<string>();

  async function commit(
    name: (typeof SHARDS)[number],
    gen: number,
    from: number,
    n: number,
    isBurst: boolean,
    seed: number,
  ): Promise<void> {
    const events = Array.from({ length: n }, (_, i): Event => {
      const what = (seed + i * 7) % 10;
      // Both shards have events of the same generations, at different offsets.
      return clickAt(from + (name === 'a' ? 1 : 3) + i * 10, slugs, {
        kind: what === 0 ? 'unsubscribe' : what === 1 ? 'open' : 'click',
        slug: slugs.encode({ link: what === 0 ? 14 : 1 + ((seed + i) % 13), recipient: 1 + ((seed + (isBurst ? 0 : i)) % 3) }),
        t: Date.now() - 60_000 + (isBurst ? i : i * 2_000),
        ua: what === 2 ? 'Googlebot/2.1' : 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      });
    });
    const made = batchOf(databases, gens[gen] as string, from, from + 10 * n + 5, { shard: name, events });
    batches[name].push(made);
    await committers[name].commit([made]);
  }
  async function source(verdicts: readonly string[] | null): Promise<Stored[]> {
    const rows = await Promise.all(
      SHARDS.map((name) =>
        databases.query<{ id: string; verdict: string | null }>(
          name,
          `SELECT gen || ':' || off AS id, verdict FROM shard_analytics.events WHERE $1::text[] IS NULL OR verdict = ANY ($1)
           UNION ALL SELECT gen || ':' || off, NULL FROM shard_analytics.unsubscribes`,
          [verdicts],
        ),
      ),
    );
    return rows.flat().toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  let desk: FastifyInstance = createTestApi(databases).app;
  const request = async (query: string): Promise<{ body: string; lines: Line[]; after: string; more: boolean }> => {
    const { statusCode, body } = await desk.inject({ url: `/api/v1/events?${query}`, headers: { authorization: `Bearer ${api.analyst}` } });
    expect(statusCode, body).toBe(200);
    const all = linesOf(body) as (Line & { after: string; more: boolean })[];
    const last = all.pop() as { after: string; more: boolean };
    return { body, lines: all, after: last.after, more: last.more };
  };
  /** What the client has stored in one transaction: the items, and the cursor. */
  const items: Line[] = [];
  let after = '';
  const store = (page: { lines: Line[]; after: string }): void => {
    items.push(...page.lines);
    after = page.after;
  };

  try {
    // An event that was counted before the reading began is not delivered. The generations go on after it.
    await commit('a', 0, 0, 3, false, 1);
    ends.a[0] = 35;
    const before = new Set((await source(null)).map(({ id }) => id));
    store(await request(`settle=0&verdict=${verdict}`));
    let unstored: { lines: Line[]; query: string } | undefined;
    for (const action of steps) {
      switch (action.do) {
        case 'commit': {
          const from = (ends[action.shard][action.gen] as number) + (action.hole ? 40 : 0);
          await commit(action.shard, action.gen, from, action.n, action.burst, action.seed);
          ends[action.shard][action.gen] = from + 10 * action.n + 5;
          break;
        }
        case 'judge':
          await judgeOnce(workers[action.shard]);
          break;
        case 'restart':
          await desk.close();
          desk = createTestApi(databases).app;
          break;
        case 'keep':
          await databases.query(action.shard, keepCopy(SHARD_TABLES));
          kept.add(action.shard);
          break;
        case 'put back':
          if (!kept.has(action.shard)) break;
          await databases.query(action.shard, PUT_SHARD_BACK);
          // The agent publishes again what the ledger lacks.
          await committers[action.shard].commit(batches[action.shard]);
          break;
        case 'read':
        case 'read twice':
        case 'crash before storing': {
          const query = `after=${after}&limit=${action.limit}&wait=${action.wait}`;
          const pages = await Promise.all(Array.from({ length: action.do === 'read twice' ? 2 : 1 }, () => request(query)));
          const page = pages.at(-1) as (typeof pages)[number];
          const withEvents = pages.filter(({ lines }) => lines.length > 0);
          expect(new Set(withEvents.map(({ body }) => body)).size).toBeLessThanOrEqual(1);
          // What was sent and not stored is sent again, whatever has happened since then.
          if (unstored?.query === after) expect(page.lines).toEqual(unstored.lines);
          unstored = action.do === 'crash before storing' && page.lines.length > 0 ? { lines: page.lines, query: after } : undefined;
          if (action.do !== 'crash before storing') store(withEvents.at(-1) ?? page);
          break;
        }
      }
    }
    // Holes are filled in the end.
    for (const name of SHARDS) {
      for (const [gen, end] of ends[name].entries()) for (let from = 0; from < end; from += 40) await commit(name, gen, from, 0, false, 0);
      await committers[name].commit(batches[name]);
      await judgeAll(workers[name]);
    }

    const verdicts = verdict === 'any' ? null : verdict.split(',');
    const wanted = (await source(verdicts)).filter(({ id }) => !before.has(id));
    const has = (): Stored[] => {
      const state = new Map<string, string | null>();
      for (const { id, event_id, verdict: now } of items) state.set(event_id ?? id, now ?? null);
      return Array.from(state, ([id, now]) => ({ id, verdict: now }))
        .filter(({ verdict: now }) => now === null || verdicts === null || verdicts.includes(now))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    };
    const deadlineMs = performance.now() + 15_000;
    for (let empty = 0; empty < 3 && performance.now() < deadlineMs; await sleep(40)) {
      const page = await request(`after=${after}`);
      store(page);
      const isSame = JSON.stringify(has()) === JSON.stringify(wanted);
      empty = isSame && page.lines.length === 0 ? empty + 1 : 0;
    }
    expect(has()).toEqual(wanted);
    const ids = items.map(({ id }) => id);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
  } finally {
    await desk.close();
  }
}
