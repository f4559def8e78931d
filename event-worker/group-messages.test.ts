import { type Consumer, type ConsumerMessages, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createJetStreamManager } from '../core/nats.ts';
import { consumerName, eventsSubject, STREAM } from '../core/subjects.ts';
import { natsConnection, startTestNats } from '../test/support/servers.ts';
import { type Group, groupMessages, MAX_GROUP_BYTES } from './group-messages.ts';
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
  await ensureConsumer(await createJetStreamManager(connection), 'a', { maxBytes: 256 * MIB, replicas: 1 });
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
    const groups = groupMessages(await consume(consumer));
    expect(textsOf((await groups.next()).value)).toEqual(sent);
    await publish('late');
    expect(textsOf((await groups.next()).value)).toEqual(['late']);
  });

  test('a group is closed as soon as it has enough bytes, and the next one begins with the next message', async () => {
    const { consumer, publish } = await start();
    const sizes = Array.from({ length: 32 }, (_, i) => 100_000 + 10_000 * i);
    for (const size of sizes) await publish(Buffer.alloc(size, 0x20));
    const groups = groupMessages(await consume(consumer));
    const grouped: number[] = [];
    let largestGroup = 0;
    while (grouped.length < sizes.length) {
      const group: Group = (await groups.next()).value ?? [];
      const lengths = group.map(({ data }) => data.length);
      // A group takes no more messages when it has reached the maximum. So without its last message, a group is smaller than the maximum.
      expect(lengths.slice(0, -1).reduce((a, b) => a + b, 0)).toBeLessThan(MAX_GROUP_BYTES);
      grouped.push(...lengths);
      largestGroup = Math.max(largestGroup, lengths.length);
    }
    expect(grouped).toEqual(sizes);
    expect(largestGroup).toBeGreaterThan(1);
  });

  test('when the consumer is stopped the last group still comes, and then the end', async () => {
    const { consumer, publish } = await start();
    const messages = await consume(consumer);
    const groups = groupMessages(messages);
    const first = groups.next();
    await publish('last');
    expect(textsOf((await first).value)).toEqual(['last']);
    const end = groups.next();
    messages.stop();
    expect((await end).done).toBe(true);
  });
});
