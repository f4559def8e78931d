import type { ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import { orTimeout } from '../core/time.ts';

/** Messages that are committed together. */
export type Group = readonly JsMsg[];

// Some 5,000 events. Laid out they take as much again, and a few groups are in memory at once.
export const MAX_GROUP_BYTES = 2 * 1024 * 1024;
const GATHER_MS = 250;

/** Collects messages from a consumer into groups: until there are two MiB, or 250 ms after the first message. */
export async function* gather(messages: ConsumerMessages): AsyncGenerator<Group> {
  const iterator = messages[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<JsMsg>> | undefined;
  for (;;) {
    next ??= iterator.next();
    const first = await next;
    next = undefined;
    if (first.done) return;
    const group = [first.value];
    let bytes = first.value.data.length;
    const deadline = performance.now() + GATHER_MS;
    while (bytes < MAX_GROUP_BYTES) {
      next ??= iterator.next();
      const step = await orTimeout(next, deadline - performance.now());
      if (!step || step.done) break;
      next = undefined;
      group.push(step.value);
      bytes += step.value.data.length;
    }
    yield group;
  }
}
