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

export const MAX_GROUP_EVENTS = 50_000;
const GATHER_MS = 250;
// A group in the making and one being committed: this keeps both within some ten MB each, even if few batches are full.
const MAX_GROUP_BYTES = 24 * 1024 * 1024;

/** Collects messages from a consumer into groups: until there are 50,000 events, or 250 ms after the first message. */
export async function* gather(messages: ConsumerMessages): AsyncGenerator<Group> {
  const iterator = messages[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<JsMsg>> | undefined;
  for (;;) {
    next ??= iterator.next();
    const first = await next;
    next = undefined;
    if (first.done) return;
    const group: Group = { messages: [], batches: [], unreadable: [] };
    let bytes = take(group, first.value);
    const deadline = performance.now() + GATHER_MS;
    while (eventsIn(group) < MAX_GROUP_EVENTS && bytes < MAX_GROUP_BYTES) {
      next ??= iterator.next();
      const step = await orTimeout(next, deadline - performance.now());
      if (!step) break;
      if (step.done) break;
      next = undefined;
      bytes += take(group, step.value);
    }
    yield group;
  }
}

function eventsIn(group: Group): number {
  return group.batches.reduce((sum, batch) => sum + batch.events.length, 0);
}

function take(group: Group, message: JsMsg): number {
  group.messages.push(message);
  try {
    group.batches.push(decodeBatch(message.data));
  } catch (error) {
    group.unreadable.push(error);
  }
  return message.data.length;
}
