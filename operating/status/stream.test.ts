import { expect, onTestFinished, test } from 'vitest';
import { createJetStreamManager, natsOptions } from '../../core/nats.ts';
import { parseNatsUrl } from '../../core/nats-url.ts';
import { parseShards } from '../../core/shards.ts';
import { STREAM } from '../../core/subjects.ts';
import { ensureConsumer } from '../../event-worker/ensure-consumer.ts';
import { startTestCluster } from '../../test/support/nats-cluster.ts';
import { eventually, natsConnection, startTestNats } from '../../test/support/servers.ts';
import { readNats } from './stream.ts';

const shards = parseShards('a=00=postgres://127.0.0.1/a');

test('the status names the servers of a cluster that are down, and says when too few are left', async () => {
  const cluster = await startTestCluster();
  const connection = await natsConnection(cluster.url());
  onTestFinished(() => connection.close());
  const streams = await createJetStreamManager(connection);
  await ensureConsumer(streams, 'a', { maxBytes: 1_000_000, replicas: 1 });
  const read = () => readNats(natsOptions(parseNatsUrl(cluster.urlOf('analyst'))), shards, 3);
  expect((await read()).problems.map(({ code }) => code)).toEqual(['replicas-few']);
  // What an operator does with the replicas of a stream that exists.
  await streams.streams.update(STREAM, { num_replicas: 3 });
  await eventually('all is well', async () => (await read()).problems.length === 0);
  const leader = (await streams.streams.info(STREAM)).cluster?.leader;
  expect((await read()).stream).toMatchObject({ answers: true, replicas: 3, current_replicas: 3, leader });

  const [first, second] = cluster.members.filter(({ name }) => name !== leader);
  await first?.running().kill();
  await eventually('the server is reported as offline', async () => {
    const { problems, stream } = await read();
    return (
      problems.some(({ where, code }) => where === `nats ${first?.name}` && code === 'replica-offline') && stream.current_replicas === 2
    );
  });
  await second?.running().kill();
  await eventually('the stream has no leader', async () => (await read()).problems.some(({ code }) => code === 'stream-leaderless'));
});

test('the status says that a stream has fewer replicas than it should', async () => {
  const nats = await startTestNats();
  const connection = await natsConnection(nats.url);
  onTestFinished(() => connection.close());
  await ensureConsumer(await createJetStreamManager(connection), 'a', { maxBytes: 1_000_000, replicas: 1 });
  const read = (replicas: number) => readNats(natsOptions(parseNatsUrl(nats.urlOf('analyst'))), shards, replicas);
  expect((await read(1)).problems).toEqual([]);
  expect((await read(3)).problems.map(({ code, what }) => [code, what])).toEqual([['replicas-few', expect.stringContaining('(1 of 3)')]]);
});
