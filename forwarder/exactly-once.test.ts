import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Event } from '../core/batch-v1.ts';
import { parseAddressRanges } from '../core/address-ranges.ts';
import type { Batch } from '../core/event.ts';
import { createLogger } from '../core/log.ts';
import { createPool, type Pool } from '../core/postgres.ts';
import { createSlugCodec, type SlugCodec } from '../core/slug.ts';
import { sleep } from '../core/time.ts';
import { judgeOnce } from '../event-worker/judge.ts';
import type { Filter } from '../feed/filter.ts';
import { createShardFeed } from '../feed/shard-feed.ts';
import { addSubscription, findSubscription } from '../operating/subscriptions.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../test/support/batches.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { keepCopy, PUT_SHARD_BACK, putBack, SHARD_TABLES } from '../test/support/put-back.ts';
import { runs } from '../test/support/runs.ts';
import { eventually } from '../test/support/servers.ts';
import { knownVerdicts, startWebhookServer } from '../test/support/webhook-server.ts';
import { createReceiver } from './create-receiver.ts';
import { deliverShard } from './deliver-shard.ts';
import { createDeliveryState } from './delivery-state.ts';
import { takeLeases } from './lease.ts';
import { createForwarderMetrics } from './metrics.ts';

// Deliveries against a model: whatever order of commits, steps of the judge, crashes of the forwarder, refusals of the receiver and restorations of either
// database, in the end the receiver has the events of the shard, each once, with their present verdicts.

let databases: Databases;
let slugs: SlugCodec;
let owner: Pool;
let worker: Pool;
let catalog: Pool;
let shardPool: Pool;

beforeAll(async () => {
  databases = await createDatabases(1);
  slugs = createSlugCodec(databases.keys);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) SELECT 'campaign ' || n FROM generate_series(1, 2) n`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) SELECT 1 + n % 2, CASE WHEN n = 14 THEN 'unsubscribe' ELSE 'url' END, 'http://x/' || n FROM generate_series(1, 14) n`,
  );
  owner = createPool(databases.ownerUrl, { max: 2, name: 'test' });
  worker = createPool(databases.shardUrlAs('a', 'worker'), { max: 2, name: 'test' });
  catalog = createPool(databases.roleUrls.forwarder, { max: 4, name: 'test' });
  shardPool = createPool(databases.shardUrlAs('a', 'forwarder'), { max: 6, name: 'test' });
});
afterAll(async () => {
  await Promise.all([owner, worker, catalog, shardPool].map((pool) => pool.end()));
});

const RECEIVER_TABLES = ['clickledger.event', 'clickledger.delivered', 'clickledger.delivery'];

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      gen: fc.nat(1),
      hole: fc.boolean(),
      burst: fc.boolean(),
      n: fc.integer({ min: 0, max: 12 }),
      seed: fc.nat(1000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('judge' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(150) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('failing' as const), isFailing: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('keep shard' as const, 'put shard back' as const, 'keep receiver' as const, 'put receiver back' as const),
    }),
  },
);

interface Stored {
  id: string;
  verdict: string | null;
}
const byId = (a: Stored, b: Stored): number => (a.id < b.id ? -1 : 1);

test.each([
  { kind: 'webhook' as const, verdicts: ['human'] },
  { kind: 'webhook' as const, verdicts: null },
  { kind: 'postgres' as const, verdicts: ['human', 'unsure'] },
  { kind: 'postgres' as const, verdicts: null },
])('in the end, a receiver ($kind, verdicts $verdicts) has every event once', { timeout: 300_000 }, async ({ kind, verdicts }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), fc.integer({ min: 1, max: 7 }), async (steps, batch) => {
      await run(kind, verdicts, steps, batch);
    }),
    { ...runs(5), endOnFailure: true },
  );
});

async function run(
  kind: 'webhook' | 'postgres',
  verdicts: readonly string[] | null,
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  batch: number,
): Promise<void> {
  await databases.query('a', `TRUNCATE ${SHARD_TABLES.join(', ')}`);
  const committer = ownCommitter(databases);
  const hook = await startWebhookServer();
  let isFailing = false;
  let turn = 0;
  hook.answer = (response) => response.writeHead(isFailing && turn++ % 2 === 0 ? 500 : 204).end();
  const name = `s${randomUUID().replaceAll('-', '')}`;
  const target = kind === 'webhook' ? hook.url : `${databases.ownerUrl.replace(/\/[^/]*$/, '')}/${name}`;
  if (kind === 'postgres') await databases.query('catalog', `CREATE DATABASE ${name}`);
  const receiverQuery = async (sql: string): Promise<Record<string, unknown>[]> => {
    const pool = createPool(target, { max: 1, name: 'test' });
    try {
      return (await pool.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await pool.end();
    }
  };

  // An event that was counted before the subscription began is not delivered.
  const batches: Batch[] = [];
  const ends = [0, 0];
  const gens = [newGen(), newGen()];
  const commit = async (gen: number, from: number, n: number, isBurst: boolean, seed: number): Promise<void> => {
    const events: Event[] = [];
    for (let i = 0; i < n; i++) {
      const what = (seed + i * 7) % 10;
      const recipient = 1 + ((seed + (isBurst ? 0 : i)) % 3);
      const link = what === 0 ? 14 : 1 + ((seed + i) % 13);
      events.push(
        clickAt(from + 1 + i * 10, slugs, {
          kind: what === 0 ? 'unsubscribe' : what === 1 ? 'open' : 'click',
          slug: slugs.encode({ link, recipient }),
          t: Date.now() - 60_000 + (isBurst ? i : i * 2_000),
          ua: what === 2 ? 'Googlebot/2.1' : 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
        }),
      );
    }
    const made = batchOf(databases, gens[gen] as string, from, from + 10 * n + 5, { events });
    batches.push(made);
    await committer.commit([made]);
  };
  await commit(0, 0, 3, false, 1);
  ends[0] = 35;
  const before = new Set((await source(null)).map(({ id }) => id));

  const filter: Filter = {
    kinds: ['click', 'open', 'unsubscribe'],
    campaigns: null,
    verdicts: verdicts as Filter['verdicts'],
    since: null,
    waitMs: 0,
  };
  await addSubscription(owner, databases.shards, databases.ownerUrl, {
    name,
    target,
    filter,
    beginning: 'now',
    batch,
    withAddresses: false,
    secret: undefined,
  });
  const subscription = await findSubscription(owner, name);

  const log = createLogger('test', 'silent');
  let stop: (() => Promise<void>) | undefined;
  const start = async (): Promise<void> => {
    const holder = randomUUID();
    await databases.query('catalog', 'UPDATE catalog.subscription SET held_until = NULL WHERE id = $1', [subscription.id]);
    await takeLeases(catalog, holder, [subscription.id]);
    const controller = new AbortController();
    const feed = createShardFeed(shardPool, log, 20, 200);
    const receiver = createReceiver({ subscription, catalog, holder, allowed: parseAddressRanges('127.0.0.0/8'), natsCaFile: '' });
    const metrics = createForwarderMetrics(new Registry());
    const state = createDeliveryState({
      subscription: name,
      subscriptionId: subscription.id,
      shard: 'a',
      waitMs: 0,
      metrics,
      before: undefined,
    });
    const times = { collect: 15, readAgain: 150, firstRetry: 10, giveUp: 600_000 };
    const done = [
      feed.run(controller.signal),
      deliverShard({
        subscription,
        shard: 'a',
        pool: shardPool,
        catalog,
        feed,
        receiver,
        state,
        log,
        times,
        signal: controller.signal,
        pause: async () => {},
      }),
    ];
    stop = async () => {
      controller.abort();
      await Promise.all(done);
      await receiver.close();
    };
  };
  await start();

  let isShardKept = false;
  let isReceiverKept = false;
  let crashes = 0;
  for (const action of steps) {
    switch (action.do) {
      case 'commit': {
        const from = (ends[action.gen] as number) + (action.hole ? 40 : 0);
        await commit(action.gen, from, action.n, action.burst, action.seed);
        ends[action.gen] = from + 10 * action.n + 5;
        break;
      }
      case 'judge':
        await judgeOnce(worker);
        break;
      case 'wait':
        await sleep(action.ms);
        break;
      case 'failing':
        isFailing = action.isFailing;
        break;
      case 'crash':
        crashes++;
        await stop?.();
        await start();
        break;
      case 'keep shard':
        await databases.query('a', keepCopy(SHARD_TABLES));
        isShardKept = true;
        break;
      case 'put shard back':
        if (!isShardKept) break;
        await databases.query('a', PUT_SHARD_BACK);
        // The agent publishes again what the ledger lacks.
        await committer.commit(batches);
        break;
      case 'keep receiver':
        if (kind !== 'postgres') break;
        isReceiverKept = await receiverQuery(keepCopy(RECEIVER_TABLES)).then(
          () => true,
          () => false,
        );
        break;
      case 'put receiver back':
        if (isReceiverKept) await receiverQuery(putBack(RECEIVER_TABLES));
        break;
    }
  }
  // Holes are filled in the end.
  for (const [gen, end] of ends.entries()) {
    for (let from = 0; from < end; from += 40) await commit(gen, from, 0, false, 0);
  }
  await committer.commit(batches);
  while ((await judgeOnce(worker))?.isMoreLeft);

  const has = async (): Promise<Stored[]> => {
    if (kind === 'webhook') {
      return Array.from(knownVerdicts(hook), ([id, verdict]) => ({ id, verdict }));
    }
    return (await receiverQuery(`SELECT gen || ':' || off AS id, verdict FROM clickledger.event`).catch(() => [])) as unknown as Stored[];
  };
  const passing = (all: readonly Stored[]): Stored[] =>
    all.filter(({ verdict }) => verdict === null || verdicts === null || verdicts.includes(verdict)).toSorted(byId);
  const wanted = (await source(verdicts)).filter(({ id }) => !before.has(id));
  try {
    await eventually(
      'the receiver has what the shard has',
      async () => JSON.stringify(passing(await has())) === JSON.stringify(wanted),
      15_000,
    ).catch(async () => {
      expect(passing(await has())).toEqual(wanted);
    });
    await sleep(60);
    expect(passing(await has())).toEqual(wanted);
    // Without a crash, a webhook gets nothing twice.
    if (kind === 'webhook' && crashes === 0) {
      const ids = hook.events().map(({ id }) => id);
      expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    }
  } finally {
    await stop?.();
    await hook.close();
    await databases.query('catalog', 'DELETE FROM catalog.subscription');
    if (kind === 'postgres') await databases.query('catalog', `DROP DATABASE ${name} WITH (FORCE)`);
  }

  async function source(some: readonly string[] | null): Promise<Stored[]> {
    const rows = await databases.query<{ id: string; verdict: string | null }>(
      'a',
      `SELECT gen || ':' || off AS id, verdict FROM shard_analytics.events WHERE $1::text[] IS NULL OR verdict = ANY ($1)
       UNION ALL SELECT gen || ':' || off, NULL FROM shard_analytics.unsubscribes`,
      [some],
    );
    return rows.map(({ id, verdict }) => ({ id, verdict })).toSorted(byId);
  }
}
