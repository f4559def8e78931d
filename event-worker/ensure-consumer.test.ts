import { expect, onTestFinished, test } from 'vitest';
import { createJetStreamManager } from '../core/nats.ts';
import { STREAM } from '../core/subjects.ts';
import { natsConnection, startTestNats } from '../test/support/servers.ts';
import { ensureConsumer } from './ensure-consumer.ts';

test('a deleted stream is created after the given wait, and only once', async () => {
  const nats = await startTestNats();
  const connection = await natsConnection(nats.url);
  onTestFinished(() => connection.close());
  const manager = await createJetStreamManager(connection);
  const streams = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const name of manager.streams.names()) names.push(name);
    return names;
  };
  const waits: string[] = [];
  const ensure = (shard: string, beforeCreation?: () => Promise<unknown>) =>
    ensureConsumer(manager, shard, { maxBytes: 1_000_000, replicas: 1 }, beforeCreation);
  const wait = (shard: string) => async (): Promise<void> => {
    waits.push(`${shard} ${(await streams()).join()}`);
  };

  await ensure('a');
  await ensure('a', wait('a'));
  expect([await streams(), waits]).toEqual([[STREAM], []]);

  await manager.streams.delete(STREAM);
  // The other worker creates the stream while this one waits.
  await ensure('b', async () => {
    await wait('b')();
    await ensure('a', wait('a'));
  });
  expect(waits).toEqual(['b ', 'a ']);
  expect((await manager.streams.info(STREAM)).state.consumer_count).toBe(2);
});
