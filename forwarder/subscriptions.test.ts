import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createPool } from '../core/postgres.ts';
import { createSlugCodec, type SlugCodec } from '../core/slug.ts';
import { sleep } from '../core/time.ts';
import { judgeOnce } from '../event-worker/judge.ts';
import { createDue } from '../feed/due.ts';
import { NO_CHANGES, readEvents } from '../feed/read-events.ts';
import { slicesOf } from '../feed/slices.ts';
import { pauseSubscription, readSubscriptionStatus, resumeSubscription } from '../operating/subscriptions.ts';
import { batchOf, clickAt, newGen, ownCommitter } from '../test/support/batches.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { eventually } from '../test/support/servers.ts';
import { EVERYTHING, LOOPBACK, ownPool, startForwarder, subscribe } from '../test/support/subscriptions.ts';
import { knownVerdicts, startWebhookServer, type WebhookServer } from '../test/support/webhook-server.ts';
import { createReceiver } from './create-receiver.ts';
import { releaseLeases, takeLeases } from './lease.ts';
import { DeliveryError } from './receiver.ts';

let databases: Databases;
let slugs: SlugCodec;

beforeAll(async () => {
  databases = await createDatabases(1);
  slugs = createSlugCodec(databases.keys);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('one')`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) SELECT 1, 'url', 'http://x/' || n FROM generate_series(1, 9) n`,
  );
});
beforeEach(async () => {
  await databases.query('catalog', 'DELETE FROM catalog.subscription');
  await databases.query('a', 'TRUNCATE shard.event, shard.ledger, shard.delta, shard.verdict_change');
});

async function ownServer(): Promise<WebhookServer> {
  const server = await startWebhookServer();
  onTestFinished(() => server.close());
  return server;
}

/** Commits clicks of one recipient on different links: `n` clicks, `stepMs` apart, at the offsets 1, 11, 21 … of a new generation. */
async function commitClicks(
  n: number,
  { gen = newGen(), from = 0, stepMs = 200_000, recipient = 1, at = Date.now() - 3_600_000 * 10 } = {},
): Promise<string> {
  const events = Array.from({ length: n }, (_, i) =>
    clickAt(from + 1 + i * 10, slugs, { slug: slugs.encode({ link: 1 + (i % 9), recipient }), t: at + i * stepMs }),
  );
  await ownCommitter(databases).commit([batchOf(databases, gen, from, from + n * 10 + 5, { events })]);
  return gen;
}
const judge = () => judgeOnce(ownPool(databases.shardUrlAs('a', 'worker'), 2));

describe('one receiver', () => {
  test('that hangs or fails delays no other', { timeout: 60_000 }, async () => {
    const [good, hanging, failing] = [await ownServer(), await ownServer(), await ownServer()];
    hanging.answer = () => {};
    failing.answer = (response) => response.writeHead(500).end();
    for (const server of [hanging, good, failing]) await subscribe(databases, server.url, { batch: 3 });
    startForwarder(databases);
    for (let i = 0; i < 5; i++) {
      await commitClicks(4, { recipient: i + 1 });
      await judge();
    }
    await eventually('the good receiver has all', () => knownVerdicts(good).size === 20);
    expect(hanging.accepted).toEqual([]);
    // Otherwise the stop of the forwarder would wait for its answer.
    await hanging.close();
    expect(failing.accepted).toEqual([]);
  });

  test('that answers 410 is paused at once; resumed, it gets everything', { timeout: 60_000 }, async () => {
    const server = await ownServer();
    server.answer = (response) => response.writeHead(410).end();
    const { name } = await subscribe(databases, server.url);
    await commitClicks(3);
    await judge();
    const { subscriptions } = startForwarder(databases);
    const owner = ownPool(databases.ownerUrl);
    await eventually('it is paused', async () => (await readSubscriptionStatus(owner))[0]?.pauseReason?.includes('410') === true);
    await eventually('the forwarder reports it', () => subscriptions.paused().includes(name) && subscriptions.states().length === 0);
    expect(server.requests.length).toBe(1);
    server.answer = (response) => response.writeHead(204).end();
    await resumeSubscription(owner, name);
    await eventually('it has everything', () => knownVerdicts(server).size === 3);
  });

  test('that fails for too long is paused, with the reason', { timeout: 60_000 }, async () => {
    const server = await ownServer();
    server.answer = (response) => response.writeHead(502).end();
    await subscribe(databases, server.url);
    await commitClicks(1);
    await judge();
    startForwarder(databases, { giveUp: 100 });
    const owner = ownPool(databases.ownerUrl);
    await eventually('it is paused', async () => (await readSubscriptionStatus(owner))[0]?.subscription.pausedAt !== null);
    expect((await readSubscriptionStatus(owner))[0]?.pauseReason).toContain('502');
    // Each of these attempts has the same id.
    expect(new Set(server.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(server.requests.length).toBeGreaterThan(1);
  });

  test('that finds deliveries too large gets smaller ones', { timeout: 60_000 }, async () => {
    const server = await ownServer();
    server.answer = (response, { body }) => response.writeHead(body.length > 3_000 ? 413 : 204).end();
    await subscribe(databases, server.url, { batch: 100 });
    await commitClicks(40);
    await judge();
    startForwarder(databases);
    await eventually('it has everything', () => knownVerdicts(server).size === 40);
    expect(server.events().length).toBe(40);
  });
});

test('a receiver that hangs does not delay a change of the subscriptions', { timeout: 90_000 }, async () => {
  const [good, hanging] = [await ownServer(), await ownServer()];
  let isOpen = false;
  hanging.answer = (response) => {
    isOpen = true;
    response.on('close', () => {
      isOpen = false;
    });
  };
  const { name } = await subscribe(databases, hanging.url);
  await commitClicks(2);
  await judge();
  startForwarder(databases);
  await eventually('it hangs', () => isOpen);
  await pauseSubscription(ownPool(databases.ownerUrl), name);
  await sleep(2_500);
  await subscribe(databases, good.url);
  await eventually('the other one is delivered', () => knownVerdicts(good).size === 2, 40_000);
  expect(isOpen).toBe(true);
  await hanging.close();
});

test('a shard that does not answer does not delay the stop of a subscription', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  const { name } = await subscribe(databases, server.url);
  await databases.query('a', 'REVOKE EXECUTE ON FUNCTION shard.feed_state FROM clickledger_forwarder');
  onTestFinished(async () => {
    await databases.query('a', 'GRANT EXECUTE ON FUNCTION shard.feed_state TO clickledger_forwarder');
  });
  const { subscriptions, stop } = startForwarder(databases);
  await eventually('it is tried', () => subscriptions.states().length === 1);
  const owner = ownPool(databases.ownerUrl);
  await pauseSubscription(owner, name);
  await eventually('it is stopped', () => subscriptions.paused().length === 1);
  await resumeSubscription(owner, name);
  await databases.query('a', 'GRANT EXECUTE ON FUNCTION shard.feed_state TO clickledger_forwarder');
  await commitClicks(2);
  await judge();
  await eventually('it continues', () => knownVerdicts(server).size === 2);
  await databases.query('a', 'REVOKE EXECUTE ON FUNCTION shard.feed_state FROM clickledger_forwarder');
  await stop();
});

test('a forwarder stops while a shard does not answer', { timeout: 20_000 }, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url);
  await databases.query('a', 'REVOKE EXECUTE ON FUNCTION shard.feed_state FROM clickledger_forwarder');
  try {
    const { subscriptions, stop } = startForwarder(databases);
    await eventually('it is tried', () => subscriptions.states().length === 1);
    await stop();
  } finally {
    await databases.query('a', 'GRANT EXECUTE ON FUNCTION shard.feed_state TO clickledger_forwarder');
  }
});

test('a failure of the catalog does not pause a subscription', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url);
  await databases.query('catalog', 'REVOKE SELECT ON catalog.subscription_report FROM clickledger_forwarder');
  onTestFinished(async () => {
    await databases.query('catalog', 'GRANT SELECT ON catalog.subscription_report TO clickledger_forwarder');
  });
  const { subscriptions } = startForwarder(databases);
  const owner = ownPool(databases.ownerUrl);
  await eventually(
    'it is reported',
    async () => subscriptions.failure() !== undefined || (await readSubscriptionStatus(owner))[0]?.subscription.pausedAt !== null,
  );
  expect((await readSubscriptionStatus(owner))[0]).toMatchObject({ pauseReason: null, subscription: { pausedAt: null } });
  await databases.query('catalog', 'GRANT SELECT ON catalog.subscription_report TO clickledger_forwarder');
  await commitClicks(2);
  await judge();
  await eventually('it is delivered', () => knownVerdicts(server).size === 2);
});

test('a subscription that is paused and resumed at once goes on', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  const { name } = await subscribe(databases, server.url);
  await commitClicks(2);
  await judge();
  const owner = ownPool(databases.ownerUrl);
  server.answer = (response) => response.writeHead(410).end();
  startForwarder(databases);
  await eventually('it is paused', async () => (await readSubscriptionStatus(owner))[0]?.subscription.pausedAt !== null);
  server.answer = (response) => response.writeHead(204).end();
  await resumeSubscription(owner, name);
  await eventually('it is delivered', () => knownVerdicts(server).size === 2);
});

test('without an answer of the catalog, the deliveries end before another forwarder may take over', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url);
  const { subscriptions } = startForwarder(databases);
  await eventually('it is delivered', () => subscriptions.states().length === 1);
  const lock = await databases.begin('catalog', 'LOCK TABLE catalog.subscription IN ACCESS EXCLUSIVE MODE');
  await eventually('the deliveries end', () => subscriptions.states().length === 0, 30_000);
  await lock.query('ROLLBACK');
  await eventually('they begin again', () => subscriptions.states().length === 1);
});

test('a click waits as long as the subscription says; opens do not wait, and another log does not either', {
  timeout: 60_000,
}, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url, { filter: { waitMs: 3_600_000 } });
  const at = Date.now() - 60_000;
  const gen = newGen();
  const events = [
    clickAt(1, slugs, { kind: 'open', slug: slugs.encode({ link: 1, recipient: 1 }), t: at }),
    clickAt(11, slugs, { slug: slugs.encode({ link: 1, recipient: 1 }), t: at - 7_200_000 }),
    clickAt(21, slugs, { slug: slugs.encode({ link: 2, recipient: 1 }), t: at }),
    clickAt(31, slugs, { kind: 'open', slug: slugs.encode({ link: 1, recipient: 1 }), t: at }),
  ];
  await ownCommitter(databases).commit([batchOf(databases, gen, 0, 45, { events })]);
  await judge();
  startForwarder(databases);
  await eventually('what is old enough is there', () => server.events().length === 2);
  await commitClicks(2, { recipient: 3, at: at - 7_200_000, stepMs: 1 });
  await judge();
  await eventually('the other log is there', () => server.events().length === 4);
  expect(
    server
      .events()
      .slice(0, 2)
      .map(({ off }) => off),
  ).toEqual([1, 11]);
});

test('clicks are delivered after the judge has looked at them', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url);
  startForwarder(databases);
  await commitClicks(2);
  await judge();
  await eventually('the forwarder works', () => server.events().length === 2);
  await commitClicks(5, { recipient: 2, stepMs: 10 });
  // Much longer than the pauses of this forwarder.
  await sleep(400);
  expect(server.events().length).toBe(2);
  await judge();
  await eventually('the others are there', () => server.events().length === 7);
  expect(
    server
      .events()
      .slice(2)
      .map(({ type, verdict }) => `${type} ${verdict}`),
  ).toEqual(Array(5).fill('click burst'));
});

test('what waits does not seem to wait for a shorter time when the ledger is read again', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url, { filter: { waitMs: 36_000_000 } });
  await commitClicks(2, { at: Date.now() });
  await judge();
  const { subscriptions } = startForwarder(databases, { readAgain: 50 });
  const due = () => subscriptions.states()[0]?.due;
  await eventually('it waits', () => due()?.waitsSince() !== undefined);
  const [first, since] = [due(), due()?.waitsSince()];
  await eventually('the ledger is read again', () => due() !== undefined && due() !== first);
  expect(due()?.waitsSince()).toBe(since);
});

test('a shard that was put back is delivered from although the ids of its deltas are lower than before', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url);
  await databases.query('a', `SELECT setval('shard.delta_id_seq', 1000)`);
  startForwarder(databases);
  await commitClicks(1);
  await sleep(200);
  // One transaction, so there is always a delta that the judge has not looked at.
  await databases.query(
    'a',
    `CREATE TEMP TABLE kept AS SELECT * FROM shard.delta; TRUNCATE shard.delta; UPDATE kept SET id = 10;
     INSERT INTO shard.delta OVERRIDING SYSTEM VALUE SELECT * FROM kept; SELECT setval('shard.delta_id_seq', 10)`,
  );
  const worker = ownPool(databases.shardUrlAs('a', 'worker'), 2);
  for (let i = 0; i < 10; i++) {
    await commitClicks(1);
    await sleep(100);
    await judgeOnce(worker, 1);
  }
  expect(server.events().length).toBeGreaterThan(0);
});

test('a subscription from a time on leaves out what was before', { timeout: 60_000 }, async () => {
  const server = await ownServer();
  const at = Date.now() - 3_600_000;
  await commitClicks(10, { at, stepMs: 60_000 });
  await subscribe(databases, server.url, { beginning: new Date(at + 4 * 60_000), filter: { since: new Date(at + 4 * 60_000) } });
  await judge();
  startForwarder(databases);
  await eventually('the later ones are there', () => server.events().length === 6);
});

test('two forwarders: one delivers, and the other one takes over', { timeout: 90_000 }, async () => {
  const server = await ownServer();
  await subscribe(databases, server.url, { batch: 1 });
  const forwarders = [startForwarder(databases), startForwarder(databases)];
  await commitClicks(5);
  await judge();
  await eventually('it is delivered', () => server.events().length === 5);
  const isBusy = forwarders.map(({ subscriptions }) => subscriptions.states().length > 0);
  expect(isBusy.filter(Boolean).length).toBe(1);
  await forwarders[isBusy.indexOf(true)]?.stop();
  await commitClicks(5, { recipient: 2 });
  await judge();
  await eventually('the other one delivers', () => server.events().length === 10);
  expect(new Set(server.events().map(({ id }) => id)).size).toBe(10);
});

describe('leases', () => {
  test('only one holder at a time; a lease that ended or was given back can be taken', async () => {
    const { id } = await subscribe(databases, 'http://127.0.0.1:1/');
    const catalog = ownPool(databases.roleUrls.forwarder);
    const [one, two] = [randomUUID(), randomUUID()];
    expect(await takeLeases(catalog, one, [id])).toEqual(new Set([id]));
    expect(await takeLeases(catalog, two, [id])).toEqual(new Set());
    expect(await takeLeases(catalog, one, [id])).toEqual(new Set([id]));
    await databases.query('catalog', `UPDATE catalog.subscription SET held_until = now() - interval '1 ms'`);
    expect(await takeLeases(catalog, two, [id])).toEqual(new Set([id]));
    await releaseLeases(catalog, one, [id]);
    expect(await takeLeases(catalog, one, [id])).toEqual(new Set());
    await releaseLeases(catalog, two, [id]);
    expect(await takeLeases(catalog, one, [id])).toEqual(new Set([id]));
  });
});

describe('a forwarder that was frozen', () => {
  /** Reads everything that a subscription has to deliver, as a forwarder does. */
  async function readAll(receiver: ReturnType<typeof createReceiver>) {
    const shard = ownPool(databases.shardUrlAs('a', 'forwarder'));
    const { ledger, attempted, position } = await receiver.read('a');
    const due = createDue(new Map(), ledger, attempted);
    const rows = await databases.query<{ gen: string; to: number }>('a', 'SELECT gen, upper(committed)::int AS to FROM shard.ledger');
    for (const { gen, to } of rows) due.setReady(gen, [[0, to]]);
    const reading = await readEvents(shard, due, due.take(1_000_000), EVERYTHING, position);
    return { reading, slices: [...slicesOf(reading, position, 2)] };
  }

  test.each(['webhook', 'postgres'])('does not overwrite what another one has delivered since then: %s', async (kind) => {
    const server = await ownServer();
    const name = `f${randomUUID().replaceAll('-', '')}`;
    await databases.query('catalog', `CREATE DATABASE ${name}`);
    onTestFinished(async () => {
      await databases.query('catalog', `DROP DATABASE ${name} WITH (FORCE)`);
    });
    const target = kind === 'webhook' ? server.url : databases.ownerUrl.replace(/\/[^/]*$/, `/${name}`);
    const subscription = await subscribe(databases, target);
    const catalog = ownPool(databases.roleUrls.forwarder);
    const [frozen, other] = [randomUUID(), randomUUID()].map((holder) => ({
      holder,
      receiver: createReceiver({ subscription, catalog, holder, allowed: LOOPBACK, natsCaFile: '' }),
    })) as [
      { holder: string; receiver: ReturnType<typeof createReceiver> },
      { holder: string; receiver: ReturnType<typeof createReceiver> },
    ];
    onTestFinished(async () => {
      await Promise.all([frozen, other].map(({ receiver }) => receiver.close()));
    });
    await commitClicks(3);
    await judge();
    await takeLeases(catalog, frozen.holder, [subscription.id]);
    const old = await readAll(frozen.receiver);
    await databases.query('catalog', 'UPDATE catalog.subscription SET held_until = now()');
    await takeLeases(catalog, other.holder, [subscription.id]);
    const now = await readAll(other.receiver);
    for (const slice of now.slices) await other.receiver.deliver('a', slice);
    const after = await other.receiver.read('a');
    const requests = server.requests.length;
    for (const slice of [...old.slices, { items: [], ranges: [], position: old.reading.position }]) {
      const failure = await frozen.receiver.deliver('a', slice).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failure).toBeInstanceOf(DeliveryError);
      expect(failure).toMatchObject({ failure: 'conflict' });
    }
    // Its events may have other verdicts since then.
    expect(server.requests.length).toBe(requests);
    expect((await other.receiver.read('a')).ledger).toEqual(after.ledger);
    expect((await readAll(other.receiver)).reading).toMatchObject({ events: [], changes: [] });
  });

  test('died before it knew the answer: the receiver hears of a verdict that changed meanwhile', async () => {
    const server = await ownServer();
    const subscription = await subscribe(databases, server.url);
    const catalog = ownPool(databases.roleUrls.forwarder);
    const holder = randomUUID();
    await takeLeases(catalog, holder, [subscription.id]);
    const receiver = createReceiver({ subscription, catalog, holder, allowed: LOOPBACK, natsCaFile: '' });
    onTestFinished(() => receiver.close());
    const at = Date.now() - 3_600_000;
    const gen = await commitClicks(2, { at, stepMs: 10 });
    await judge();
    // The receiver accepts the events, but the answer does not arrive, and the forwarder dies.
    server.answer = (response, request) => {
      server.accepted.push(request);
      response.socket?.destroy();
    };
    const { slices } = await readAll(receiver);
    await expect(receiver.deliver('a', slices[0] as (typeof slices)[number])).rejects.toMatchObject({ failure: 'retry' });
    expect([...knownVerdicts(server).values()]).toEqual(['human', 'human']);
    // Three more links within the same second: all five clicks are a burst.
    const events = [3, 4, 5].map((link) => clickAt(100 + link, slugs, { slug: slugs.encode({ link, recipient: 1 }), t: at + link * 20 }));
    await ownCommitter(databases).commit([batchOf(databases, gen, 25, 200, { events })]);
    await judge();
    server.answer = (response) => response.writeHead(204).end();
    for (const slice of (await readAll(receiver)).slices) await receiver.deliver('a', slice);
    expect([...knownVerdicts(server).values()]).toEqual(['burst', 'burst', 'burst', 'burst', 'burst']);
  });
});

test('a receiver that was put back gets what it lacks', { timeout: 60_000 }, async () => {
  const name = `r${randomUUID().replaceAll('-', '')}`;
  await databases.query('catalog', `CREATE DATABASE ${name}`);
  onTestFinished(async () => {
    await databases.query('catalog', `DROP DATABASE ${name} WITH (FORCE)`);
  });
  const target = databases.ownerUrl.replace(/\/[^/]*$/, `/${name}`);
  await subscribe(databases, target);
  await commitClicks(3);
  await judge();
  const { stop } = startForwarder(databases);
  const receiver = createPool(target, { max: 1, name: 'test' });
  const count = async (): Promise<number> =>
    (await receiver.query<{ n: number }>('SELECT count(*)::int AS n FROM clickledger.event').catch(() => ({ rows: [{ n: 0 }] }))).rows[0]
      ?.n ?? 0;
  await eventually('it has everything', async () => (await count()) === 3);
  await receiver.query('TRUNCATE clickledger.event, clickledger.delivered, clickledger.delivery');
  await eventually('it has everything again', async () => (await count()) === 3);
  await receiver.end();
  await stop();
});

describe('changes of verdicts', () => {
  const readChanges = (id: number, at: string, most = 10): Promise<{ id: number }[]> =>
    databases.query<{ id: number }>('a', 'SELECT id::int FROM shard.read_changes($1, $2, $3)', [id, at, most]);
  const addChange = (id: number, at: string): Promise<unknown> =>
    databases.query(
      'a',
      `INSERT INTO shard.verdict_change (id, changed_at, gen, off, was, becomes) OVERRIDING SYSTEM VALUE VALUES ($1, $2, gen_random_uuid(), 0, 'human', 'burst')`,
      [id, at],
    );

  test('have later and later times, also if the clock goes back', async () => {
    const at = Date.now() - 3_600_000;
    await addChange(1_000, new Date(Date.now() + 3_600_000).toISOString());
    await databases.query('a', `SELECT setval('shard.verdict_change_id_seq', 1000)`);
    const gen = await commitClicks(2, { at, stepMs: 10 });
    await judge();
    const events = [3, 4, 5].map((link) => clickAt(100 + link, slugs, { slug: slugs.encode({ link, recipient: 1 }), t: at + link * 20 }));
    await ownCommitter(databases).commit([batchOf(databases, gen, 25, 200, { events })]);
    await judge();
    const [row] = await databases.query<{ n: number; ordered: boolean }>(
      'a',
      `SELECT count(*)::int AS n, bool_and(changed_at >= before) AS ordered
       FROM (SELECT changed_at, lag(changed_at) OVER (ORDER BY id) AS before FROM shard.verdict_change) AS c WHERE before IS NOT NULL`,
    );
    expect(row).toEqual({ n: 5, ordered: true });
  });

  test('are read from the position on; those since a restoration have lower ids and later times', async () => {
    for (const id of [1, 2, 3]) await addChange(id, `2026-01-01 00:00:0${id}+00`);
    expect(await readChanges(0, '-infinity', 2)).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await readChanges(2, '2026-01-01 00:00:02+00')).toEqual([{ id: 3 }]);
    expect(await readChanges(3, '2026-01-01 00:00:03+00')).toEqual([]);
    // The position is that of a change which the restored shard does not have.
    expect(await readChanges(9, '2026-01-01 00:00:01.5+00')).toEqual([{ id: 2 }, { id: 3 }]);
    expect(await readChanges(2, '2026-01-01 00:00:01.5+00')).toEqual([{ id: 2 }, { id: 3 }]);
  });

  test('are not all read when a reader is far behind', async () => {
    await databases.query(
      'a',
      `INSERT INTO shard.verdict_change (gen, off, was, becomes) SELECT gen_random_uuid(), n, 'human', 'burst' FROM generate_series(1, 20000) n`,
    );
    // A function that returns rows in SQL is a part of the plan of its caller only without SECURITY DEFINER, so the rows that were read are counted.
    const client = await databases.begin('a');
    await client.query(`SELECT * FROM shard.read_changes(0, '-infinity', 100)`);
    const { rows } = await client.query<{ n: number }>(
      `SELECT (pg_stat_get_xact_tuples_returned(c.oid) + coalesce((SELECT sum(pg_stat_get_xact_tuples_returned(i.indexrelid)) FROM pg_index i WHERE i.indrelid = c.oid), 0))::int AS n
       FROM pg_class c WHERE c.oid = 'shard.verdict_change'::regclass`,
    );
    expect(rows[0]?.n).toBeLessThan(1_000);
  });
});

describe('a shard that was put back', () => {
  test('is not read where its ledger lacks the range', async () => {
    const gen = await commitClicks(3);
    await judge();
    const shard = ownPool(databases.shardUrlAs('a', 'forwarder'));
    const due = createDue(new Map(), new Map());
    due.setReady(gen, [[0, 35]]);
    await databases.query('a', 'TRUNCATE shard.event, shard.ledger, shard.delta');
    expect(await readEvents(shard, due, due.take(1_000), EVERYTHING, NO_CHANGES)).toMatchObject({
      isLacking: true,
      ranges: [],
      events: [],
    });
  });
});

test('a subscription that takes the name and the receiver of one that was removed begins anew', { timeout: 60_000 }, async () => {
  const database = `n${randomUUID().replaceAll('-', '')}`;
  await databases.query('catalog', `CREATE DATABASE ${database}`);
  onTestFinished(async () => {
    await databases.query('catalog', `DROP DATABASE ${database} WITH (FORCE)`);
  });
  const target = databases.ownerUrl.replace(/\/[^/]*$/, `/${database}`);
  const gen = newGen();
  const events = [
    clickAt(1, slugs, { slug: slugs.encode({ link: 1, recipient: 1 }), t: Date.now() - 3_600_000 }),
    clickAt(11, slugs, { kind: 'open', slug: slugs.encode({ link: 1, recipient: 1 }), t: Date.now() - 3_600_000 }),
  ];
  await ownCommitter(databases).commit([batchOf(databases, gen, 0, 25, { events })]);
  await judge();
  const receiver = createPool(target, { max: 1, name: 'test' });
  const kinds = async (): Promise<string[]> =>
    (await receiver.query<{ type: string }>('SELECT type FROM clickledger.event ORDER BY off').catch(() => ({ rows: [] }))).rows.map(
      ({ type }) => type,
    );
  const { stop } = startForwarder(databases);
  await subscribe(databases, target, { name: 'warehouse', filter: { kinds: ['click'] } });
  await eventually('it has the click', async () => (await kinds()).length === 1);
  await databases.query('catalog', 'DELETE FROM catalog.subscription');
  await subscribe(databases, target, { name: 'warehouse' });
  await eventually('it has the open, too', async () => (await kinds()).join() === 'click,open');
  await receiver.end();
  await stop();
});
