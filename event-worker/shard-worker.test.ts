import { randomUUID } from 'node:crypto';
import { jetstream, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { encodeBatch } from '../core/batch.ts';
import { type Batch, type LedgerReply, parseLedgerReply } from '../core/event.ts';
import { createLogger } from '../core/log.ts';
import { createJetStreamManager } from '../core/nats.ts';
import { createPool } from '../core/postgres.ts';
import { createSlugCodec } from '../core/slug.ts';
import { consumerName, eventsSubject, ledgerSubject, STREAM } from '../core/subjects.ts';
import { batchOf, clickAt, newGen } from '../test/support/batches.ts';
import { encodeV1 } from '../test/support/events.ts';
import { createDatabases, type Databases, untilWorkersBlocked } from '../test/support/databases.ts';
import { eventually, natsConnection, startTestNats } from '../test/support/servers.ts';
import { createCatalog } from './catalog.ts';
import { createCommitter } from './commit.ts';
import { createKnownEpoch } from './known-epoch.ts';
import { createWorkerMetrics } from './metrics.ts';
import { createOutsideValues } from './outside-values.ts';
import { createShardWorker, type ShardWorker } from './shard-worker.ts';

const log = createLogger('test', 'silent');
let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(1);
});

interface Bench {
  /** A connection as the user `agent`. */
  connection: NatsConnection;
  /** A manager whose user has all permissions. */
  streams: JetStreamManager;
  nats: Awaited<ReturnType<typeof startTestNats>>;
  publish: (batch: Batch) => Promise<void>;
  publishText: (text: string) => Promise<void>;
  startWorker: () => Promise<{ worker: ShardWorker; stop: () => Promise<void>; metric: (name: string) => Promise<number> }>;
  /** Returns the number of batches that are published and not acked. */
  waiting: () => Promise<number>;
}

async function createBench(target: Databases = databases): Promise<Bench> {
  const nats = await startTestNats();
  const shard = target.shards.first;
  const shardsFingerprint = target.shards.fingerprint;
  const connection = await natsConnection(nats.urlOf('agent'));
  const operator = await natsConnection(nats.url);
  const streams = await createJetStreamManager(operator);
  onTestFinished(() => connection.close());
  onTestFinished(() => operator.close());
  const publishText = async (text: string) => {
    // The worker may not have created the stream yet, so publishing is retried. A retry after a timeout may repeat a message that is
    // already stored. All attempts have the same `msgID`, so the stream stores the message only once.
    const msgID = randomUUID();
    await eventually('the stream stores the message', () =>
      jetstream(connection)
        .publish(eventsSubject(shard.name), text, { msgID, timeout: 1000 })
        .then(
          () => true,
          () => false,
        ),
    );
  };
  return {
    connection,
    streams,
    nats,
    publishText,
    // Some of the batches are encoded in version 1 of the format, because agents of both versions may publish to one stream.
    publish: (batch) => publishText((batch.from % 20 === 0 ? encodeV1 : encodeBatch)(batch).toString()),
    async waiting() {
      const info = await streams.consumers.info(STREAM, consumerName(shard.name));
      return info.num_pending + info.num_ack_pending;
    },
    async startWorker() {
      const workerConnection = await natsConnection(nats.urlOf('worker'));
      const pool = createPool(target.shardUrlAs(shard.name, 'worker'), { max: 3, name: 'test' });
      const catalogPool = createPool(target.roleUrls.worker, { max: 1, name: 'test' });
      const registry = new Registry();
      const epoch = createKnownEpoch();
      const committer = createCommitter({
        epoch,
        pool,
        shard,
        shardsFingerprint,
        slugs: createSlugCodec(target.keys),
        catalog: createCatalog(catalogPool, target.keys),
        outside: createOutsideValues(pool, { referrer: 5000, 'user-agent': 5000 }),
      });
      const worker = createShardWorker({
        connection: workerConnection,
        manager: await createJetStreamManager(workerConnection),
        pool,
        epoch,
        committer,
        shard,
        shardsFingerprint,
        streamSize: { maxBytes: 64 * 1024 * 1024, replicas: 1 },
        keepEventsMonths: 0,
        metrics: createWorkerMetrics(registry, [shard.name]),
        log,
      });
      const controller = new AbortController();
      const ended = worker.run(controller.signal);
      let stopping: Promise<void> | undefined;
      const stop = () =>
        (stopping ??= (async () => {
          controller.abort();
          await ended;
          await workerConnection.drain();
          await Promise.all([pool.end(), catalogPool.end()]);
        })());
      onTestFinished(stop);
      const metric = async (name: string) => {
        const values = await registry.getSingleMetric(name)?.get();
        return (values?.values ?? []).reduce((sum, { value }) => sum + value, 0);
      };
      return { worker, stop, metric };
    },
  };
}

/** Creates `count` adjacent batches from the beginning of a new generation. Each has 10 bytes and one event. */
function adjacentBatches(count: number, target: Databases = databases): { gen: string; batches: Batch[] } {
  const gen = newGen();
  const slugs = createSlugCodec(target.keys);
  return {
    gen,
    batches: Array.from({ length: count }, (_, i) => batchOf(target, gen, i * 10, i * 10 + 10, { events: [clickAt(i * 10, slugs)] })),
  };
}

async function offsOf(gen: string, target: Databases = databases): Promise<number[]> {
  const rows = await target.query<{ off: number }>('a', 'SELECT off FROM shard.event WHERE gen = $1 ORDER BY off', [gen]);
  return rows.map(({ off }) => off);
}

const untilCommitted = (gen: string, count: number, target: Databases = databases) =>
  eventually(`${count} events are committed`, async () => (await offsOf(gen, target)).length >= count);

const offsets = (count: number) => Array.from({ length: count }, (_, i) => i * 10);

describe('a worker of one shard', () => {
  test('makes stream and consumer, commits what comes, and acks it', async () => {
    const bench = await createBench();
    const { worker, metric } = await bench.startWorker();
    const { gen, batches } = adjacentBatches(30);
    for (const batch of batches) await bench.publish(batch);
    await untilCommitted(gen, 30);
    await eventually('everything is acked', async () => (await bench.waiting()) === 0);
    expect(await offsOf(gen)).toEqual(offsets(30));
    expect(worker.problems()).toEqual([]);
    expect(await metric('clickledger_worker_events_total')).toBe(30);
    expect((await bench.streams.streams.info(STREAM)).state.messages).toBe(0);
  });

  test('two workers of one shard share the work and count everything once, repetitions too', async () => {
    const bench = await createBench();
    const workers = [await bench.startWorker(), await bench.startWorker()];
    const { gen, batches } = adjacentBatches(60);
    for (const batch of [...batches, ...batches.toReversed()]) await bench.publish(batch);
    await untilCommitted(gen, 60);
    await eventually('everything is acked', async () => (await bench.waiting()) === 0);
    expect(await offsOf(gen)).toEqual(offsets(60));
    const repeated = await Promise.all(workers.map(({ metric }) => metric('clickledger_worker_repeated_batches_total')));
    expect(repeated.reduce((a, b) => a + b)).toBe(60);
  });

  test('a message that is no batch is counted and acked, and stops nothing', async () => {
    const bench = await createBench();
    const { metric } = await bench.startWorker();
    const { gen, batches } = adjacentBatches(2);
    await bench.publish(batches[0] as Batch);
    await bench.publishText('nonsense');
    await bench.publishText(
      encodeBatch(batches[0] as Batch)
        .toString()
        .replace('"v":2', '"v":7'),
    );
    await bench.publish(batches[1] as Batch);
    await untilCommitted(gen, 2);
    await eventually('everything is acked', async () => (await bench.waiting()) === 0);
    expect(await metric('clickledger_worker_unreadable_messages_total')).toBe(2);
  });

  test('goes on when its consumer is deleted', async () => {
    const bench = await createBench();
    await bench.startWorker();
    const { gen, batches } = adjacentBatches(2);
    await bench.publish(batches[0] as Batch);
    await untilCommitted(gen, 1);
    await bench.streams.consumers.delete(STREAM, consumerName('a'));
    await bench.publish(batches[1] as Batch);
    await untilCommitted(gen, 2);
    await eventually('everything is acked', async () => (await bench.waiting()) === 0);
  });

  test('goes on when the stream is deleted', async () => {
    const bench = await createBench();
    await bench.startWorker();
    const { gen, batches } = adjacentBatches(2);
    await bench.publish(batches[0] as Batch);
    await untilCommitted(gen, 1);
    await bench.streams.streams.delete(STREAM);
    await bench.publish(batches[1] as Batch);
    await untilCommitted(gen, 2);
  });

  test('goes on when NATS was killed and comes back, with what it had stored', async () => {
    const bench = await createBench();
    await bench.startWorker();
    const { gen, batches } = adjacentBatches(2);
    await bench.publish(batches[0] as Batch);
    await untilCommitted(gen, 1);
    await bench.nats.running().kill();
    await bench.nats.start();
    await bench.publish(batches[1] as Batch);
    await untilCommitted(gen, 2);
    expect(await offsOf(gen)).toEqual(offsets(2));
  });

  test('what it has not acked is delivered again after a stop', async () => {
    const own = await createDatabases(1);
    const bench = await createBench(own);
    const first = await bench.startWorker();
    await eventually('the consumer exists', () =>
      bench.waiting().then(
        () => true,
        () => false,
      ),
    );
    await own.query('a', 'ALTER TABLE shard.ledger RENAME TO ledger_away');
    const { gen, batches } = adjacentBatches(3, own);
    for (const batch of batches) await bench.publish(batch);
    await eventually('the worker reports a problem', () => first.worker.problems().length > 0);
    expect(await first.metric('clickledger_worker_failures_total')).toBeGreaterThan(0);
    await first.stop();
    expect(await bench.waiting()).toBe(3);
    expect(await offsOf(gen, own)).toEqual([]);
  });
});

describe('a shard whose database is out of reach', () => {
  test('its batches are held, the worker says so, and afterwards all are committed exactly once', async () => {
    const own = await createDatabases(1);
    const bench = await createBench(own);
    const { worker } = await bench.startWorker();
    const { gen, batches } = adjacentBatches(20, own);
    for (const batch of batches.slice(0, 5)) await bench.publish(batch);
    await untilCommitted(gen, 5, own);

    const database = new URL(own.shards.first.url).pathname.slice(1);
    await own.query('catalog', `ALTER DATABASE ${database} ALLOW_CONNECTIONS false`);
    await own.query('catalog', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
    for (const batch of batches.slice(5)) await bench.publish(batch);
    await eventually('the worker reports a problem', () => worker.problems().length > 0);
    expect(worker.problems()).toMatchObject([{ code: 'database-unreachable', about: 'shard a' }]);
    expect(await bench.waiting()).toBe(15);
    await expect(requestLedger(bench, [gen])).rejects.toThrow();

    await own.query('catalog', `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
    await untilCommitted(gen, 20, own);
    await eventually('everything is acked', async () => (await bench.waiting()) === 0);
    expect(await offsOf(gen, own)).toEqual(offsets(20));
    // The failure of the judge is a separate problem. It is cleared by the next step of the judge.
    await eventually('the worker reports no problem', () => worker.problems().length === 0);
  });
});

async function requestLedger(bench: Bench, gens: string[]): Promise<LedgerReply> {
  const reply = await bench.connection.request(ledgerSubject('a'), JSON.stringify({ gens }), { timeout: 1_000 });
  return parseLedgerReply(reply.string());
}

const repliesToRequests = (bench: Bench): Promise<boolean> =>
  requestLedger(bench, []).then(
    () => true,
    () => false,
  );

describe('questions to the ledger', () => {
  test('are answered with ranges and size of what is known, and with nothing for what is not', async () => {
    const bench = await createBench();
    await bench.startWorker();
    const { gen, batches } = adjacentBatches(4);
    for (const batch of [batches[0], batches[1], batches[3]]) await bench.publish(batch as Batch);
    const finalGen = newGen();
    await bench.publish(batchOf(databases, finalGen, 0, 7));
    await bench.publish(batchOf(databases, finalGen, 7, 7, { size: 7 }));
    await eventually('the ledger has both', async () => {
      const { gens } = await requestLedger(bench, [gen, finalGen]);
      return gens[gen]?.committed.length === 2 && gens[finalGen]?.size === 7;
    });
    const unknown = newGen();
    expect(await requestLedger(bench, [gen, finalGen, unknown])).toEqual({
      shards: databases.shards.fingerprint,
      gens: {
        [gen]: {
          committed: [
            [0, 20],
            [30, 40],
          ],
          size: null,
        },
        [finalGen]: { committed: [[0, 7]], size: 7 },
      },
    });
    expect((await requestLedger(bench, [])).gens).toEqual({});
  });

  test('one that was taken is answered, though the worker is told to stop meanwhile', async () => {
    const bench = await createBench();
    const { stop } = await bench.startWorker();
    await eventually('the worker replies', () => repliesToRequests(bench));
    const lock = await databases.begin('a', 'LOCK TABLE shard.ledger IN ACCESS EXCLUSIVE MODE');
    const request = JSON.stringify({ gens: [newGen()] });
    const reply = bench.connection.request(ledgerSubject('a'), request, { timeout: 10_000 });
    await untilWorkersBlocked(databases, 'a', 1);
    const stopping = stop();
    // In this time, a stop that does not wait for the reply would be complete.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await lock.query('COMMIT');
    expect(parseLedgerReply((await reply).string()).gens).toEqual({});
    await stopping;
  });

  test('what is no question gets no answer, and the next one does', async () => {
    const bench = await createBench();
    await bench.startWorker();
    await eventually('a worker replies', () => repliesToRequests(bench));
    for (const text of ['', 'nonsense', '{"gens":["../.."]}'])
      await expect(bench.connection.request(ledgerSubject('a'), text, { timeout: 300 })).rejects.toThrow();
    expect((await requestLedger(bench, [])).shards).toBe(databases.shards.fingerprint);
  });
});
