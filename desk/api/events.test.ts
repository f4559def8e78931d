import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createSlugCodec, type SlugCodec } from '../../core/slug.ts';
import { revokeKey } from '../../operating/api-keys.ts';
import { type ApiAnswer, createTestApi, expectProblem, linesOf, startTestApi, type TestApi } from '../../test/support/api.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../../test/support/batches.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { mergeAll } from '../../test/support/merge.ts';
import { eventually } from '../../test/support/servers.ts';
import { closeDesk } from '../app.ts';
import { newSecret, openPage, sealPage } from './cursor.ts';
import { MAX_READERS, removeUnusedReaders } from './event-reader.ts';

// Reading events by cursor: pages, waiting, filters and errors, on two shards. events-exactly-once.test.ts has random histories.

vi.setConfig({ testTimeout: 60_000 });

let databases: Databases;
let api: TestApi;
let slugs: SlugCodec;
let author: Pool;

beforeAll(async () => {
  databases = await createDatabases(2);
  slugs = createSlugCodec(databases.keys);
  api = await startTestApi(databases);
  author = createPool(databases.roleUrls.author, { max: 1, name: 'test' });
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('first'), ('second')`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) VALUES (1, 'url', 'http://x/'), (2, 'url', 'http://y/')`,
  );
});
afterAll(async () => {
  await author?.end();
  await api?.app.close();
});
beforeEach(() => databases.query('catalog', 'DELETE FROM catalog.event_reader'));
afterEach(() => expect(api.onError).not.toHaveBeenCalled());

interface Line {
  id: string;
  type: string;
  shard: string;
  verdict: string;
  campaign_id: number;
  at: string;
}
interface CursorLine {
  after: string;
  more: boolean;
  missing: string[];
}

/** A page: its events, and its cursor. */
function pageOf({ status, lines, body }: Pick<ApiAnswer, 'status' | 'lines' | 'body'>): { events: Line[]; cursor: CursorLine } {
  expect(status, body).toBe(200);
  const cursor = lines.at(-1) as CursorLine;
  expect(cursor).toMatchObject({ type: 'cursor' });
  return { events: lines.slice(0, -1) as Line[], cursor };
}
const get = (query: string, key?: string): Promise<ApiAnswer> =>
  api.call('GET', `/events?${query}`, undefined, key === undefined ? {} : { key });
const read = async (query: string): Promise<ReturnType<typeof pageOf>> => pageOf(await get(query));

/** Commits clicks at some offsets of a generation, and judges them. Returns their ids. */
async function commitClicks(
  gen: string,
  from: number,
  to: number,
  changes: { shard?: string; at?: number; link?: number; ua?: string } = {},
): Promise<string[]> {
  const { shard = 'a', at = Date.now(), link = 1, ua } = changes;
  const offs = Array.from({ length: (to - from) / 10 }, (_, i) => from + i * 10);
  const events = offs.map((off) =>
    clickAt(off, slugs, { t: at, slug: slugs.encode({ link, recipient: 0 }), ...(ua === undefined ? {} : { ua }) }),
  );
  await ownCommitter(databases, { shard }).commit([batchOf(databases, gen, from, to, { shard, events })]);
  await mergeAll(databases.shardUrlAs(shard, 'worker'));
  const uuid = gen.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return offs.map((off) => `${uuid}:${off}`);
}
const idsOf = (events: readonly Line[]): string[] => events.map(({ id }) => id).toSorted();

describe('pages', () => {
  test('a reading begins now, has each event once, and gives a page again until its cursor is sent', async () => {
    await commitClicks(newGen(), 0, 30);
    const begun = await read('settle=0');
    expect(begun).toEqual({ events: [], cursor: { type: 'cursor', after: expect.any(String), more: false, missing: [] } });
    const [gen, other] = [newGen(), newGen()];
    const ids = [...(await commitClicks(gen, 0, 50)), ...(await commitClicks(other, 0, 30, { shard: 'b' }))];
    const first = await get(`after=${begun.cursor.after}&wait=30&limit=3`);
    const page = pageOf(first);
    expect(page.events).toHaveLength(3);
    expect((await get(`after=${begun.cursor.after}`)).body).toBe(first.body);
    expect((await get(`after=${begun.cursor.after}&limit=1&wait=5`)).body).toBe(first.body);
    const seen = [...page.events];
    let { cursor } = page;
    while (seen.length < ids.length) {
      const next = await read(`after=${cursor.after}&wait=30&limit=3`);
      seen.push(...next.events);
      cursor = next.cursor;
    }
    expect(idsOf(seen)).toEqual(ids.toSorted());
    expect(seen[0]).toMatchObject({ type: 'click', campaign_id: 1, verdict: 'human', signals: [], request_id: expect.any(String) });
    const end = await read(`after=${cursor.after}`);
    expect(end).toMatchObject({ events: [], cursor: { after: cursor.after, more: false } });
  });

  test('a filled hole, a late event and another desk repeat nothing', async () => {
    const gen = newGen();
    const begun = await read('settle=0&verdict=any');
    const late = await commitClicks(gen, 100, 130);
    const page = await read(`after=${begun.cursor.after}&wait=30`);
    expect(idsOf(page.events)).toEqual(late.toSorted());
    const { app } = createTestApi(databases);
    const hole = await commitClicks(gen, 0, 100, { at: Date.now() - 86_400_000 });
    const answer = await app.inject({
      url: `/api/v1/events?after=${page.cursor.after}&wait=30`,
      headers: { authorization: `Bearer ${api.analyst}` },
    });
    expect(idsOf(pageOf({ status: answer.statusCode, body: answer.body, lines: linesOf(answer.body) }).events)).toEqual(hole.toSorted());
    await app.close();
  });

  test('the filter says which events, and stays with the cursor', async () => {
    const since = new Date(Date.now() - 3_600_000);
    const gen = newGen();
    const old = await commitClicks(gen, 0, 20, { at: since.getTime() - 60_000 });
    const recent = await commitClicks(gen, 20, 40, { link: 2 });
    const bots = await commitClicks(gen, 40, 60, { ua: 'Googlebot/2.1' });
    const all = async (query: string): Promise<string[]> => {
      const seen: Line[] = [];
      let page = await read(`${query}&settle=0&wait=30`);
      for (;;) {
        seen.push(...page.events);
        if (!page.cursor.more && page.events.length === 0) return idsOf(seen).filter((id) => [...old, ...recent, ...bots].includes(id));
        page = await read(`after=${page.cursor.after}`);
      }
    };
    expect(await all('from=everything&verdict=any')).toEqual([...old, ...recent, ...bots].toSorted());
    expect(await all('from=everything')).toEqual([...old, ...recent].toSorted());
    expect(await all(`from=${encodeURIComponent(since.toISOString())}&verdict=bot-ua,human`)).toEqual([...recent, ...bots].toSorted());
    expect(await all('from=everything&campaign=2,2&kind=open,click')).toEqual(recent.toSorted());
  });

  test('a click is delivered when it is as old as the reading asks for', async () => {
    const begun = await read('settle=86400');
    const gen = newGen();
    const young = await commitClicks(gen, 0, 10);
    const old = await commitClicks(newGen(), 0, 10, { at: Date.now() - 2 * 86_400_000 });
    const page = await read(`after=${begun.cursor.after}&wait=30`);
    expect(idsOf(page.events)).toEqual(old);
    expect(page.events.map(({ id }) => id)).not.toContain(young[0]);
  });

  test('what was read without an event to deliver counts as done', async () => {
    const begun = await read('settle=0&campaign=2');
    await commitClicks(newGen(), 0, 50);
    const delivered = async (): Promise<number> =>
      (
        await databases.query<{ n: number }>(
          'catalog',
          'SELECT coalesce(sum(upper(r) - lower(r)), 0)::int AS n FROM catalog.event_reader_ledger, unnest(delivered) AS r',
        )
      )[0]?.n ?? 0;
    await eventually(
      'the range is done',
      async () => {
        expect(await read(`after=${begun.cursor.after}`)).toMatchObject({ events: [], cursor: { after: begun.cursor.after } });
        return (await delivered()) === 50;
      },
      5_000,
    );
  });

  test('two requests at once with one cursor get the same page', async () => {
    const begun = await read('settle=0');
    await commitClicks(newGen(), 0, 50);
    const answers = await Promise.all([1, 2, 3, 4].map((limit) => get(`after=${begun.cursor.after}&wait=30&limit=${limit}`)));
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    expect(answers[0]?.lines.length).toBeGreaterThan(1);
  });

  test('a shard that does not answer is named, and its events come later', async () => {
    const begun = await read('settle=0');
    const here = await commitClicks(newGen(), 0, 20);
    const there = await commitClicks(newGen(), 0, 20, { shard: 'b' });
    const database = new URL(databases.shardUrlAs('b', 'owner')).pathname.slice(1);
    const allow = (is: boolean) => databases.query('catalog', `ALTER DATABASE ${database} ALLOW_CONNECTIONS ${is}`);
    await allow(false);
    try {
      await databases.query('catalog', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
      const page = await read(`after=${begun.cursor.after}&wait=30`);
      expect(idsOf(page.events)).toEqual(here.toSorted());
      const again = await read(`after=${page.cursor.after}`);
      expect(again).toMatchObject({ events: [], cursor: { missing: ['b'], more: false } });
      expectProblem(await get('from=now'), 503, 'unavailable');
      await allow(true);
      await eventually('the shard answers', async () => (await read(`after=${page.cursor.after}&limit=1`)).cursor.missing.length === 0);
      const next = await read(`after=${page.cursor.after}&wait=30`);
      const last = await read(`after=${next.cursor.after}&wait=30`);
      expect(idsOf([...next.events, ...last.events])).toEqual(there.toSorted());
    } finally {
      await allow(true);
    }
  });
});

describe('waiting', () => {
  test('a request that waits is answered as soon as there is an event, and holds no connection', async () => {
    const begun = await Promise.all([1, 2, 3, 4].map(() => read('settle=0')));
    const waiting = await untilWaiting(() => Promise.all(begun.map(({ cursor }) => get(`after=${cursor.after}&wait=60`))));
    expectProblem(await get(`after=${begun[0]?.cursor.after}`), 429, 'too-many-requests');
    // The four waiting requests would use up the pool, which has four connections here. So this request shows that they hold none.
    expect((await api.call('GET', '/campaigns')).status).toBe(200);
    const ids = await commitClicks(newGen(), 0, 10);
    for (const answer of await waiting.answer) expect(idsOf(pageOf(answer).events)).toEqual(ids);
  });

  test('without an event, the answer is empty after the time', async () => {
    const begun = await read('settle=0');
    expect(await read(`after=${begun.cursor.after}&wait=1`)).toEqual({ events: [], cursor: begun.cursor });
  });

  test('a desk that stops answers the requests that wait', async () => {
    const begun = await read('settle=0');
    const { app } = createTestApi(databases);
    const address = await app.listen({ port: 0, host: '127.0.0.1' });
    const waiting = await untilWaiting(() =>
      fetch(`${address}/api/v1/events?after=${begun.cursor.after}&wait=60`, { headers: { authorization: `Bearer ${api.analyst}` } }),
    );
    await closeDesk(app);
    expect(linesOf(await (await waiting.answer).text())).toEqual([begun.cursor]);
  });

  test('a client that goes changes nothing', async () => {
    const begun = await read('settle=0');
    const { app } = createTestApi(databases);
    const address = await app.listen({ port: 0, host: '127.0.0.1' });
    const controller = new AbortController();
    const waiting = await untilWaiting(() =>
      fetch(`${address}/api/v1/events?after=${begun.cursor.after}&wait=60`, {
        headers: { authorization: `Bearer ${api.analyst}` },
        signal: controller.signal,
      }),
    );
    controller.abort();
    await expect(waiting.answer).rejects.toThrow();
    const ids = await commitClicks(newGen(), 0, 10);
    expect(idsOf((await read(`after=${begun.cursor.after}&wait=30`)).events)).toEqual(ids);
    await app.close();
  });

  test('a key that is revoked during the time gets nothing', async () => {
    const { key, name } = await api.newKey('analyst');
    const begun = pageOf(await get('settle=0', key));
    const waiting = await untilWaiting(() => get(`after=${begun.cursor.after}&wait=60`, key));
    await revokeKey(api.owner, name);
    await commitClicks(newGen(), 0, 10);
    expectProblem(await waiting.answer, 401, 'not-authenticated');
    expectProblem(await get(`after=${begun.cursor.after}`, key), 401, 'not-authenticated');
  });
});

/** Sends requests, and waits until each reading was found by one of them. Only a request that waits can be so late. */
async function untilWaiting<T>(send: () => Promise<T>): Promise<{ answer: Promise<T> }> {
  await databases.query('catalog', `UPDATE catalog.event_reader SET used_at = now() - interval '2 minutes'`);
  const answer = send();
  answer.catch(() => {});
  await eventually('the requests have found their readings', async () => {
    const [row] = await databases.query<{ n: number }>(
      'catalog',
      `SELECT count(*)::int AS n FROM catalog.event_reader WHERE used_at < now() - interval '1 minute'`,
    );
    return row?.n === 0;
  });
  return { answer };
}

describe('errors', () => {
  test('input that cannot be used', async () => {
    const { cursor } = await read('settle=0');
    for (const query of [
      'after=x',
      `after=${cursor.after}x`,
      `after=${cursor.after}&kind=click`,
      `after=${cursor.after}&settle=0`,
      'kind=opens',
      'kind=click&kind=open',
      'verdict=human,any,x',
      'from=yesterday',
      'from=2026-13-01T00:00:00Z',
      'campaign=x',
      `campaign=${Array.from({ length: 101 }, (_, i) => i + 1).join(',')}`,
      'limit=0',
      'limit=10001',
      'wait=61',
      'wait=-1',
      'settle=86401',
      'repeat=yes',
      'nothing=1',
    ])
      expectProblem(await get(query), 400, 'bad-input');
    expect(expectProblem(await get(`after=${cursor.after}&kind=click&from=now`), 400, 'bad-input').errors).toHaveLength(2);
    expectProblem(await get('campaign=1,77'), 404, 'not-found');
  });

  test('a reading belongs to its key', async () => {
    const { cursor } = await read('settle=0');
    const other = await api.newKey('analyst');
    expectProblem(await get(`after=${cursor.after}`, other.key), 404, 'not-found');
  });

  test('a cursor before the last two, and one of an unknown reading, are gone', async () => {
    const begun = await read('settle=0');
    await commitClicks(newGen(), 0, 20);
    const first = await read(`after=${begun.cursor.after}&wait=30&limit=1`);
    const second = await read(`after=${first.cursor.after}&limit=1`);
    expect(second.events).toHaveLength(1);
    expect(expectProblem(await get(`after=${begun.cursor.after}`), 410, 'gone').detail).toContain('begin a new reading');
    expectProblem(await get(`after=${begun.cursor.after}&repeat=true`), 410, 'gone');
    expect(await read(`after=${first.cursor.after}`)).toEqual(second);
    await read(`after=${second.cursor.after}`);
    expectProblem(await get(`after=${first.cursor.after}`), 410, 'gone');
    const unknown = second.cursor.after.replace(/^[^.]+/, newSecret());
    expect(expectProblem(await get(`after=${unknown}`), 410, 'gone').detail).toContain('from=everything');
  });

  test('a key has a limited number of readings, also if it begins them at the same time', async () => {
    const { id, key } = await api.newKey('analyst');
    await databases.query(
      'catalog',
      `INSERT INTO catalog.event_reader (secret_hash, key_id, kinds, wait_seconds, page_check)
       SELECT sha256(n::text::bytea), '${id}', '{click}', 0, 'x' FROM generate_series(1, ${MAX_READERS - 1}) n`,
    );
    const answers = await Promise.all([get('', key), get('', key), get('', key)]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409, 409]);
    expectProblem(await get('', key), 409, 'conflict');
  });

  test('readings that nobody uses are removed, and those of revoked keys', async () => {
    const { cursor } = await read('settle=0');
    const old = await read('settle=0');
    await databases.query(
      'catalog',
      `UPDATE catalog.event_reader SET used_at = now() - interval '31 days' WHERE id = (SELECT max(id) FROM catalog.event_reader)`,
    );
    const { key, name } = await api.newKey('analyst');
    for (let i = 0; i < 25; i++) await get('', key);
    await revokeKey(api.owner, name);
    expect(await removeUnusedReaders(author)).toBe(26);
    expect(await removeUnusedReaders(author)).toBe(0);
    expectProblem(await get(`after=${old.cursor.after}`), 410, 'gone');
    expect((await read(`after=${cursor.after}`)).events).toEqual([]);
  });
});

describe('a catalog that is restored from a backup', () => {
  const TABLES = ['event_reader', 'event_reader_ledger', 'event_reader_position'];
  const keep = () =>
    databases.query(
      'catalog',
      TABLES.map((t) => `DROP TABLE IF EXISTS public.${t}; CREATE TABLE public.${t} AS SELECT * FROM catalog.${t}`).join(';'),
    );
  const putBack = () =>
    databases.query(
      'catalog',
      `TRUNCATE ${TABLES.map((t) => `catalog.${t}`).join(', ')}; ${TABLES.map((t) => `INSERT INTO catalog.${t} OVERRIDING SYSTEM VALUE SELECT * FROM public.${t}`).join(';')}`,
    );

  test('a cursor that is later than the backup is refused, and with repeat=true the reading goes on without a loss', async () => {
    const begun = await read('settle=0');
    const ids = await commitClicks(newGen(), 0, 60);
    const one = await read(`after=${begun.cursor.after}&wait=30&limit=1`);
    const two = await read(`after=${one.cursor.after}&limit=1`);
    await keep();
    const three = await read(`after=${two.cursor.after}&limit=1`);
    const four = await read(`after=${three.cursor.after}&limit=1`);
    const events = [one, two, three, four].flatMap((page) => page.events);
    expect(new Set(idsOf(events)).size).toBe(4);
    await putBack();
    expect(expectProblem(await get(`after=${four.cursor.after}`), 410, 'gone').detail).toContain('repeat=true');
    // The page of the backup that was not acknowledged comes again, and then the others.
    let page = await read(`after=${four.cursor.after}&repeat=true&limit=4`);
    expect(page.events).toEqual(two.events);
    while (page.events.length > 0) {
      events.push(...page.events);
      page = await read(`after=${page.cursor.after}&limit=4`);
    }
    expect(new Set(idsOf(events))).toEqual(new Set(ids));
    await putBack();
    // A page has the number of another page from before the restoration, but not its cursor.
    await read(`after=${two.cursor.after}&limit=4`);
    expectProblem(await get(`after=${three.cursor.after}`), 410, 'gone');
    // With the cursors that the backup has, nothing is repeated.
    await putBack();
    expect((await read(`after=${one.cursor.after}`)).events).toEqual(two.events);
    expect(idsOf((await read(`after=${two.cursor.after}`)).events)).toEqual(
      ids.filter((id) => ![one, two].some((p) => p.events[0]?.id === id)).toSorted(),
    );
  });
});

test('a page in the catalog can be read only with its cursor', async () => {
  const secret = newSecret();
  const sealed = await sealPage(secret, 'a page\n');
  expect(await openPage(secret, sealed)).toBe('a page\n');
  await expect(openPage(newSecret(), sealed)).rejects.toThrow();
  const changed = Buffer.from(sealed);
  changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
  await expect(openPage(secret, changed)).rejects.toThrow();
});
