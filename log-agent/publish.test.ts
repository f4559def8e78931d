import { Registry } from 'prom-client';
import { expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../core/log.ts';
import { createJetStreamManager } from '../core/nats.ts';
import { STREAM } from '../core/subjects.ts';
import { ensureConsumer } from '../event-worker/ensure-consumer.ts';
import { deleteStreamFiles, natsConnection, startTestNats } from '../test/support/servers.ts';
import { createAgentMetrics } from './metrics.ts';
import { createPublisher } from './publish.ts';

async function setUp(maxBytes: number) {
  const nats = await startTestNats();
  const connection = await natsConnection(nats.url);
  onTestFinished(() => connection.close());
  const streams = await createJetStreamManager(connection);
  await ensureConsumer(streams, 'a', { maxBytes, replicas: 1 });
  const registry = new Registry();
  const publisher = createPublisher(connection, createLogger('test', 'silent'), createAgentMetrics(registry));
  return {
    nats,
    streams,
    /** Publishes a message of 1,000 bytes. Returns the failure that is reported then, and the reasons of all failures in the metrics. */
    publish: async () => {
      let stored = false;
      await publisher.send('a', Buffer.alloc(1_000), { stored: () => (stored = true), failed: () => {} }, 'batch');
      await publisher.flushed();
      const metrics = await registry.getMetricsAsJSON();
      const failures = metrics.find(({ name }) => name === 'clickledger_agent_publish_failures_total')?.values ?? [];
      return { stored, failure: publisher.failure(), reasons: failures.map(({ labels }) => labels['reason']) };
    },
  };
}

test('a full stream is reported as full, until there is room again', async () => {
  const { streams, publish } = await setUp(1_500);
  expect(await publish()).toEqual({ stored: true, failure: undefined, reasons: [] });
  expect(await publish()).toEqual({ stored: false, failure: 'stream-full', reasons: ['stream-full'] });
  await streams.streams.purge(STREAM);
  expect(await publish()).toMatchObject({ stored: true, failure: undefined });
});

test('a stream whose files cannot be written is not reported as full', async () => {
  const { nats, streams, publish } = await setUp(1_000_000);
  await deleteStreamFiles(nats, streams);
  expect(await publish()).toEqual({ stored: false, failure: 'publish-failing', reasons: ['10077'] });
});
