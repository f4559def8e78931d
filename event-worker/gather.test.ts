import { type Consumer, type ConsumerMessages, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Batch } from '../core/event.ts';
import { manager } from '../core/nats.ts';
import { createSlugCodec, parseSlugKeys } from '../core/slug.ts';
import { consumerName, eventsSubject, STREAM } from '../core/subjects.ts';
import { clickAt, newGen } from '../test/support/batches.ts';
import { natsConnection, startTestNats } from '../test/support/servers.ts';
import { gather, type Group, MAX_GROUP_EVENTS } from './gather.ts';
import { ensureConsumer } from './streams.ts';

const slugs = createSlugCodec(parseSlugKeys('ab'.repeat(32)));
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

const event = clickAt(0, slugs, { ua: '', slug: 'ab12345' });
const batch = (events: number): Batch => ({
  v: 1,
  gen: newGen(),
  shard: 'a',
  shards: 'f',
  from: 0,
  to: 10,
  skipped: {},
  dead: [],
  events: Array.from({ length: events }, () => event),
});

describe('groups of messages', () => {
  test('what is there is one group, in order, and a lone message need not wait for another', async () => {
    const { consumer, publish } = await start();
    const sent = [batch(1), batch(0), batch(3)];
    for (const one of sent) await publish(JSON.stringify(one));
    const groups = gather(await consume(consumer));
    const first = await groups.next();
    expect(first.value?.batches).toEqual(sent);
    expect(first.value?.messages).toHaveLength(3);
    const late = batch(2);
    await publish(JSON.stringify(late));
    expect((await groups.next()).value?.batches).toEqual([late]);
  });

  test('a message that is no batch is in the group, so that it is acked, but not among its batches', async () => {
    const { consumer, publish } = await start();
    const good = batch(1);
    for (const payload of ['nonsense', JSON.stringify(good), '', JSON.stringify({ ...good, v: 2 }), Uint8Array.of(0xff, 0)])
      await publish(payload);
    const { value } = await gather(await consume(consumer)).next();
    expect(value?.batches).toEqual([good]);
    expect(value?.messages).toHaveLength(5);
    expect(value?.unreadable).toHaveLength(4);
  });

  test('a group is closed as soon as it has enough events, and the next one begins with the next message', async () => {
    const { consumer, publish } = await start();
    const payload = JSON.stringify(batch(1000));
    const messages = MAX_GROUP_EVENTS / 1000 + 7;
    await Promise.all(Array.from({ length: messages }, () => publish(payload)));
    const groups = gather(await consume(consumer));
    const sizes: number[] = [];
    while (sizes.reduce((a, b) => a + b, 0) < messages * 1000) {
      const group: Group | undefined = (await groups.next()).value;
      sizes.push(group?.batches.reduce((sum, { events }) => sum + events.length, 0) ?? 0);
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_GROUP_EVENTS);
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(messages * 1000);
  });

  test('a group is closed as soon as it has enough bytes, however few its events are', async () => {
    const { consumer, publish } = await start();
    const payload = Buffer.alloc(900_000, 0x20);
    for (let i = 0; i < 32; i++) await publish(payload);
    const groups = gather(await consume(consumer));
    let left = 32;
    while (left > 0) {
      const length = (await groups.next()).value?.messages.length ?? 0;
      expect(length * payload.length).toBeLessThan(24 * MIB + payload.length);
      left -= length;
    }
    expect(left).toBe(0);
  });

  test('when the consumer is stopped the last group still comes, and then the end', async () => {
    const { consumer, publish } = await start();
    const messages = await consume(consumer);
    const groups = gather(messages);
    const first = groups.next();
    await publish(JSON.stringify(batch(1)));
    expect((await first).value?.batches).toHaveLength(1);
    const end = groups.next();
    messages.stop();
    expect((await end).done).toBe(true);
  });
});
