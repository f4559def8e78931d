import { jetstream, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../core/log.ts';
import { createJetStreamManager } from '../core/nats.ts';
import { STREAM } from '../core/subjects.ts';
import { sleep } from '../core/time.ts';
import { startTestCluster } from '../test/support/nats-cluster.ts';
import { deleteStreamFiles, eventually, natsConnection, startTestNats, type TestNats } from '../test/support/servers.ts';
import { ensureConsumer } from './ensure-consumer.ts';
import { keepStreamStoring } from './keep-stream.ts';

const SIZE = { maxBytes: 1_000_000, replicas: 1 };

interface Setting {
  nats: TestNats;
  /** All permissions. */
  operator: NatsConnection;
  streams: JetStreamManager;
  deleted: () => number;
  startWorker: () => Promise<void>;
}

async function connectAs(url: string): Promise<NatsConnection> {
  const connection = await natsConnection(url);
  onTestFinished(() => connection.close());
  return connection;
}

/** Starts what a worker does: it keeps stream and consumer, acks messages, and tests the stream. */
async function startWorkerAt(url: string, onDeleted: () => void): Promise<void> {
  const connection = await connectAs(url);
  const manager = await createJetStreamManager(connection);
  const ended = new AbortController();
  const { signal } = ended;
  const work = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await ensureConsumer(manager, 'a', SIZE, () => sleep(500, signal));
        const consumer = await jetstream(connection).consumers.get(STREAM, 'worker-a');
        for await (const message of await consumer.fetch({ max_messages: 10, expires: 1_000 })) message.ack();
      } catch {
        await sleep(50, signal);
      }
    }
  };
  const log = createLogger('test', 'silent');
  const times = { idleMs: 200, silentMs: 2_000, lookEveryMs: 50 };
  const working = Promise.all([work(), keepStreamStoring({ connection, manager, shard: 'a', log, signal, onDeleted, ...times })]);
  onTestFinished(async () => {
    ended.abort();
    await working;
  });
}

async function setUp(): Promise<Setting> {
  const nats = await startTestNats();
  const operator = await connectAs(nats.url);
  const streams = await createJetStreamManager(operator);
  let deleted = 0;
  return {
    nats,
    operator,
    streams,
    deleted: () => deleted,
    startWorker: () => startWorkerAt(nats.urlOf('worker'), () => deleted++),
  };
}

/** Publishes a message. Returns whether it was stored, or refused by the stream; undefined if there is no stream at the moment. */
async function store(connection: NatsConnection, text = 'x'): Promise<'stored' | 'refused' | undefined> {
  try {
    await jetstream(connection, { timeout: 1_000 }).publish('events.a', text, { retries: 0 });
    return 'stored';
  } catch (error) {
    return error instanceof JetStreamApiError ? 'refused' : undefined;
  }
}

/**
 * Makes a stream that stores nothing, by creating it while it is deleted. If the server does not break it in several rounds, the directory of the
 * stream is removed after a restart, when its files are not open. The result is the same.
 */
async function breakStream({ nats, operator, streams }: Setting): Promise<void> {
  const other = await createJetStreamManager(await connectAs(nats.url));
  for (let round = 0; round < 6; round++) {
    await ensureConsumer(streams, 'a', SIZE);
    let active = true;
    const creating = (async () => {
      while (active) await ensureConsumer(other, 'a', SIZE).catch(() => {});
    })();
    await sleep(20);
    await streams.streams.delete(STREAM).catch(() => {});
    await sleep(100);
    active = false;
    await creating;
    if ((await store(operator)) === 'refused') return;
    await streams.streams.delete(STREAM);
  }
  await ensureConsumer(streams, 'a', SIZE);
  await store(operator);
  await deleteStreamFiles(nats, streams);
}

test('a stream that stores nothing is deleted and created anew', async () => {
  const setting = await setUp();
  await breakStream(setting);
  expect(await store(setting.operator)).toBe('refused');
  const { created } = await setting.streams.streams.info(STREAM);
  await setting.startWorker();
  await eventually('the stream stores messages', async () => (await store(setting.operator)) === 'stored');
  expect(setting.deleted()).toBe(1);
  expect((await setting.streams.streams.info(STREAM)).created).not.toBe(created);
  const agent = await connectAs(setting.nats.urlOf('agent'));
  expect(await store(agent)).toBe('stored');
});

test('a healthy stream is tested while it is idle, and stays', async () => {
  const { streams, startWorker, deleted } = await setUp();
  await ensureConsumer(streams, 'a', SIZE);
  const { created } = await streams.streams.info(STREAM);
  await startWorker();
  await eventually('the worker has tested the stream five times', async () => (await streams.streams.info(STREAM)).state.last_seq >= 5);
  expect([deleted(), (await streams.streams.info(STREAM)).created]).toEqual([0, created]);
});

test('a full stream stays, with all its messages', async () => {
  const { operator, streams, startWorker, deleted } = await setUp();
  // No consumer takes this message, so the stream stays full.
  await ensureConsumer(streams, 'b', { ...SIZE, maxBytes: 1_000 });
  await jetstream(operator).publish('events.z', 'x'.repeat(500));
  expect(await store(operator, 'x'.repeat(600))).toBe('refused');
  await startWorker();
  const until = performance.now() + 1_500;
  await eventually('the worker has looked many times', () => performance.now() > until);
  expect([deleted(), (await streams.streams.info(STREAM)).state.messages]).toEqual([0, 1]);
});

test('a stream about which the servers of a cluster do not answer is deleted and created anew', async () => {
  const cluster = await startTestCluster();
  const streams = await createJetStreamManager(await connectAs(cluster.url()));
  await ensureConsumer(streams, 'a', SIZE);
  const { cluster: group } = await streams.streams.info(STREAM);
  const frozen = cluster.member(group?.leader ?? '');
  const others = cluster.members.filter((member) => member !== frozen).map(({ name }) => name);
  const operator = await connectAs(cluster.url(...others));
  // Only this server has the stream, so nobody can answer. The others still agree on what exists.
  frozen.running().signal('SIGSTOP');
  let deleted = 0;
  await startWorkerAt(cluster.urlOf('worker', ...others), () => deleted++);
  await eventually('the stream stores messages', async () => (await store(operator)) === 'stored', 90_000);
  // The server does not answer the deletion, so the worker reports it later.
  await eventually('the worker has deleted the stream', () => deleted > 0);
}, 120_000);
