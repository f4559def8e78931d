import { type Consumer, type ConsumerMessages, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import { manager } from '../core/nats.ts';
import { consumerName, eventsSubject, STREAM } from '../core/subjects.ts';
import { natsConnection, startTestNats } from '../test/support/servers.ts';
import { gather, type Group, MAX_GROUP_BYTES } from './group-messages.ts';
import { ensureConsumer } from './ensure-consumer.ts';

const MIB = 1024 * 1024;

async function start(): Promise<{
  connection: NatsConnection;
  consumer: Consumer;
  publish: (payload: string | Uint8Array) => Promise<unknown>;
}> {
  const nats = await startTestNats();
  const connection = await natsConnection(nats.url);
  onTestFinished(() => connection.close());
  await ensureConsumer(await manager(connection), 'a', 256 * MIB);
  const stream = jetstream(connection);
  const consumer = await stream.consumers.get(STREAM, consumerName('a'));
  return { connection, consumer, publish: (payload) => stream.publish(eventsSubject('a'), payload) };
}

async function consume(consumer: Consumer): Promise<ConsumerMessages> {
  const messages = await consumer.consume({ max_messages: 512 });
  onTestFinished(() => messages.stop());
  return messages;
}

const textsOf = (group: Group | undefined): string[] | undefined => group?.map((message) => message.string());

describe('groups of messages', () => {
  test('what is there is one group, in order, and a lone message need not wait for another', async () => {
    const { consumer, publish } = await start();
    const sent = ['one', '', 'three'];
    for (const text of sent) await publish(text);
    const groups = gather(await consume(consumer));
    expect(textsOf((await groups.next()).value)).toEqual(sent);
    await publish('late');
    expect(textsOf((await groups.next()).value)).toEqual(['late']);
  });

  test('a group is closed as soon as it has enough bytes, and the next one begins with the next message', async () => {
    const { consumer, publish } = await start();
    const sizes = Array.from({ length: 32 }, (_, i) => 100_000 + 10_000 * i);
    for (const size of sizes) await publish(Buffer.alloc(size, 0x20));
    const groups = gather(await consume(consumer));
    const found: number[] = [];
    let largest = 0;
    while (found.length < sizes.length) {
      const group: Group = (await groups.next()).value ?? [];
      const lengths = group.map(({ data }) => data.length);
      // Without its last message it had room for one more.
      expect(lengths.slice(0, -1).reduce((a, b) => a + b, 0)).toBeLessThan(MAX_GROUP_BYTES);
      found.push(...lengths);
      largest = Math.max(largest, lengths.length);
    }
    expect(found).toEqual(sizes);
    expect(largest).toBeGreaterThan(1);
  });

  test('when the consumer is stopped the last group still comes, and then the end', async () => {
    const { consumer, publish } = await start();
    const messages = await consume(consumer);
    const groups = gather(messages);
    const first = groups.next();
    await publish('last');
    expect(textsOf((await first).value)).toEqual(['last']);
    const end = groups.next();
    messages.stop();
    expect((await end).done).toBe(true);
  });
});
