import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { type Batch, decodeBatch } from '../core/event.ts';
import { orTimeout } from '../core/time.ts';

/** Messages that are committed together. */
export interface Group {
  readonly messages: JsMsg[];
  readonly batches: Batch[];
  /** Messages that are no batch: they are acked, and what they stood for remains a hole that the agent fills again. */
  readonly unreadable: unknown[];
}

export const MAX_GROUP_EVENTS = 5_000;
const GATHER_MS = 250;
// Decoded, a group takes some four times as much, and a few are in memory at once.
const MAX_GROUP_BYTES = 4 * 1024 * 1024;

/** Collects messages from a consumer into groups: until there are 5,000 events, or 250 ms after the first message. */
export async function* gather(messages: ConsumerMessages): AsyncGenerator<Group> {
  const iterator = messages[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<JsMsg>> | undefined;
  for (;;) {
    next ??= iterator.next();
    const first = await next;
    next = undefined;
    if (first.done) return;
    const group: Group = { messages: [], batches: [], unreadable: [] };
    let { events, bytes } = take(group, first.value);
    const deadline = performance.now() + GATHER_MS;
    while (events < MAX_GROUP_EVENTS && bytes < MAX_GROUP_BYTES) {
      next ??= iterator.next();
      const step = await orTimeout(next, deadline - performance.now());
      if (!step) break;
      if (step.done) break;
      next = undefined;
      const taken = take(group, step.value);
      events += taken.events;
      bytes += taken.bytes;
    }
    yield group;
  }
}

function take(group: Group, message: JsMsg): { events: number; bytes: number } {
  group.messages.push(message);
  let events = 0;
  try {
    const batch = decodeBatch(message.data);
    group.batches.push(batch);
    events = batch.events.length;
  } catch (error) {
    group.unreadable.push(error);
  }
  return { events, bytes: message.data.length };
}
