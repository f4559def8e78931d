import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { orUndefinedAfter } from '../core/time.ts';

/** The messages whose batches are committed in one transaction. */
export type Group = readonly JsMsg[];

// A group of this size has about 5,000 events. Their rows need about the same amount of memory again, and a few groups are in memory at the
// same time.
export const MAX_GROUP_BYTES = 2 * 1024 * 1024;
const MAX_WAIT_MS = 250;

/** Collects the messages of a consumer into groups. A group is complete at 2 MiB, or 250 ms after its first message. */
export async function* groupMessages(messages: ConsumerMessages): AsyncGenerator<Group> {
  const iterator = messages[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<JsMsg>> | undefined;
  for (;;) {
    next ??= iterator.next();
    const first = await next;
    next = undefined;
    if (first.done) return;
    const group = [first.value];
    let bytes = first.value.data.length;
    const deadline = performance.now() + MAX_WAIT_MS;
    while (bytes < MAX_GROUP_BYTES) {
      next ??= iterator.next();
      const step = await orUndefinedAfter(next, deadline - performance.now());
      if (!step || step.done) break;
      next = undefined;
      group.push(step.value);
      bytes += step.value.data.length;
    }
    yield group;
  }
}
