import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FORMER_PRIMARY } from '../core/failover-pool.ts';
import { createPool, type Pool } from '../core/postgres.ts';
import { createRandom } from '../test/chaos/random.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../test/support/batches.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { createSlugCodec } from '../core/slug.ts';
import { Epochs } from '../log-agent/epochs.ts';

// The epoch of a shard. A promotion is simulated by another timeline in shard.identity: the database then finds that its timeline differs.
// test/e2e/failover.test.ts promotes a real standby.

const SERVERS = ['a', 'b', 'c'];
let databases: Databases;
/** One connection to each database, as its owner. */
let pools: Record<string, Pool>;

beforeAll(async () => {
  databases = await createDatabases(SERVERS.length);
  pools = Object.fromEntries(
    SERVERS.map((server) => [server, createPool(databases.shardUrlAs(server, 'owner'), { max: 1, name: 'test' })]),
  );
});

afterAll(() => Promise.all(Object.values(pools).map((pool) => pool.end())));

async function query<Row extends object>(server: string, sql: string, values: unknown[] = []): Promise<Row[]> {
  return ((await pools[server]?.query<Row>(sql, values)) as { rows: Row[] }).rows;
}

beforeEach(async () => {
  for (const server of SERVERS) await query(server, 'UPDATE shard.identity SET epoch = 0, timeline = NULL, is_settled = false');
});

/** A worker uses the database. Returns its epoch, or undefined if it is a former primary. */
async function enter(server: string, known: number): Promise<number | undefined> {
  try {
    const [row] = await query<{ epoch: number }>(server, 'SELECT shard.enter($1) AS epoch', [known]);
    return row?.epoch;
  } catch (error) {
    expect(error).toMatchObject({ code: FORMER_PRIMARY });
    return undefined;
  }
}

const promote = (server: string): Promise<unknown> => query(server, 'UPDATE shard.identity SET timeline = timeline - 1');

/** Makes `copy` a standby of `original` that has everything. */
async function replicate(original: string, copy: string): Promise<void> {
  const [row] = await query<{ epoch: string; timeline: string; settled: boolean }>(
    original,
    'SELECT epoch, timeline, is_settled AS settled FROM shard.identity',
  );
  await query(copy, 'UPDATE shard.identity SET epoch = $1, timeline = $2, is_settled = $3', [row?.epoch, row?.timeline, row?.settled]);
}

describe('the epoch of a database', () => {
  test('stays while it is the same primary', async () => {
    const epoch = await enter('a', 0);
    expect(epoch).toBeGreaterThan(0);
    expect(await enter('a', epoch as number)).toBe(epoch);
    expect(await enter('a', 0)).toBe(epoch);
  });

  test('rises with a promotion, and then the former primary refuses', async () => {
    const first = (await enter('a', 0)) as number;
    await enter('a', first);
    await replicate('a', 'b');
    await promote('b');
    const second = (await enter('b', first)) as number;
    expect(second).toBeGreaterThan(first);
    expect(await enter('a', first)).toBe(first);
    expect(await enter('a', second)).toBeUndefined();
    expect(await enter('b', second)).toBe(second);
  });

  test('of a new database rises above what agents have seen, even if the first worker did not know it', async () => {
    const known = 7 * 2 ** 20;
    expect(await enter('a', 0)).toBeLessThan(known);
    expect(await enter('a', known)).toBeGreaterThan(known);
  });

  test('of two standbys that were promoted at the same time differs, and only one of them is used in the end', async () => {
    const first = (await enter('a', 0)) as number;
    await enter('a', first);
    for (const copy of ['b', 'c']) await replicate('a', copy);
    for (const copy of ['b', 'c']) await promote(copy);
    const epochs = [await enter('b', first), await enter('c', first)] as [number, number];
    expect(epochs[0]).not.toBe(epochs[1]);
    const agent = Math.max(...epochs);
    const used = [await enter('b', agent), await enter('c', agent)].filter((epoch) => epoch !== undefined);
    expect(used).toHaveLength(1);
  });

  test('rises again for a database that an operator accepts', async () => {
    const first = (await enter('a', 0)) as number;
    await enter('a', first);
    const later = first + 5 * 2 ** 20;
    expect(await enter('a', later)).toBeUndefined();
    await query('a', 'UPDATE shard.identity SET timeline = NULL');
    expect(await enter('a', later)).toBeGreaterThan(later);
  });

  test.each(Array.from({ length: 15 }, (_, seed) => seed))(
    'never lets two databases work for one agent, and always leaves one that works (seed %i)',
    async (seed) => {
      const random = createRandom(seed);
      const agents = [new Epochs(), new Epochs()];
      await enter('a', 0);
      for (const copy of ['b', 'c']) await replicate('a', copy);
      /** The databases that were a primary at some time: the others are standbys, which nobody enters. */
      const primaries = new Set(['a']);
      for (let step = 0; step < 20; step++) {
        const agent = random.pick(agents);
        const server = random.pick([...primaries]);
        const kind = random.whole(0, 9);
        if (kind === 0) {
          const standby = random.pick(SERVERS);
          if (!primaries.has(standby)) await replicate(server, standby);
          primaries.add(standby);
          await promote(standby);
        } else {
          const known = agent.of('x') ?? 0;
          const epoch = await enter(server, known);
          if (epoch !== undefined) {
            expect(epoch).toBeGreaterThanOrEqual(known);
            agent.see('x', epoch);
          }
        }
      }
      // Every agent asks every database until nothing changes.
      for (let round = 0; round < 4; round++)
        for (const agent of agents)
          for (const server of primaries) {
            const epoch = await enter(server, Math.max(...agents.map((each) => each.of('x') ?? 0)));
            if (epoch !== undefined) agent.see('x', epoch);
          }
      const highest = Math.max(...agents.map((each) => each.of('x') ?? 0));
      const working: string[] = [];
      for (const server of primaries) if ((await enter(server, highest)) !== undefined) working.push(server);
      expect(working).toHaveLength(1);
    },
  );
});

test('a worker commits nothing in a former primary, and says why', async () => {
  const slugs = createSlugCodec(databases.keys);
  const committer = ownCommitter(databases);
  const gen = newGen();
  const batch = (from: number, epoch?: number) => batchOf(databases, gen, from, from + 10, { events: [clickAt(from, slugs)], epoch });
  expect(await committer.commit([batch(0)])).toMatchObject({ events: 1 });
  const own = (await enter('a', 0)) as number;
  expect(await committer.commit([batch(10, own)])).toMatchObject({ events: 1 });
  const later = own + 2 ** 20;
  await expect(committer.commit([batch(20, later)])).rejects.toMatchObject({ code: FORMER_PRIMARY });
  // Batches of an agent that does not know of the failover are refused, too.
  await expect(committer.commit([batch(30)])).rejects.toMatchObject({ code: FORMER_PRIMARY });
  const [{ events } = { events: -1 }] = await query<{ events: number }>('a', 'SELECT count(*)::int AS events FROM shard.event');
  expect(events).toBe(2);
});

test('a worker whose database becomes a former primary between reading the ledger and committing commits nothing', async () => {
  const slugs = createSlugCodec(databases.keys);
  const committer = ownCommitter(databases);
  const gen = newGen();
  const own = (await enter('a', 0)) as number;
  await enter('a', own);
  function* batches() {
    yield batchOf(databases, gen, 0, 10, { events: [clickAt(0, slugs)], epoch: own });
    // The first batch is read and its ledger is known when the second one shows the later epoch.
    yield batchOf(databases, gen, 10, 20, { events: [clickAt(10, slugs)], epoch: own + 2 ** 20 });
  }
  await expect(committer.commit(batches())).rejects.toMatchObject({ code: FORMER_PRIMARY });
  expect(await query('a', 'SELECT FROM shard.event WHERE gen = $1', [gen])).toHaveLength(0);
});
