import { type Batch, type DeadLetter, type Event, MAX_BATCH_BYTES, type SkipReason } from '../core/event.ts';

// Collects the events of one shard, from consecutive lines of one generation, into one message.

export const MAX_BATCH_EVENTS = 500;
// An event as JSON is well below this, even with every character of its texts escaped.
const MAX_EVENT_BYTES = 16 * 1024;

export interface BatchBuilder {
  /** Byte offset of the first line. */
  readonly from: number;
  /** Byte offset up to which all lines are accounted for. */
  readonly to: number;
  readonly empty: boolean;
  readonly full: boolean;
  /** When the batch was created, in epoch milliseconds. */
  readonly startedMs: number;
  addEvent(event: Event): void;
  addDeadLetter(letter: DeadLetter): void;
  addSkipped(reason: SkipReason): void;
  /** Bytes of the range that belong to lines that are too long. */
  readonly passedOver: number;
  /** Records that every line of the shard before this offset has been added. `passedOver` of the new bytes belong to too long lines. */
  extend(to: number, passedOver?: number): void;
  /** The batch as the JSON of a message. */
  payload(): Buffer;
}

export function createBatch(head: { gen: string; shard: string; shards: string; from: number; startedMs: number }): BatchBuilder {
  const events: string[] = [];
  const batch: Omit<Batch, 'events'> = {
    v: 1,
    gen: head.gen,
    shard: head.shard,
    shards: head.shards,
    from: head.from,
    to: head.from,
    skipped: {},
    dead: [],
  };
  let bytes = 0;
  let skipped = 0;
  let passedOver = 0;
  return {
    from: head.from,
    startedMs: head.startedMs,
    get to() {
      return batch.to;
    },
    get empty() {
      return events.length === 0 && batch.dead.length === 0 && skipped === 0;
    },
    get full() {
      return events.length + batch.dead.length >= MAX_BATCH_EVENTS || bytes > MAX_BATCH_BYTES - MAX_EVENT_BYTES;
    },
    addEvent(event) {
      const text = JSON.stringify(event);
      bytes += Buffer.byteLength(text);
      events.push(text);
    },
    addDeadLetter(letter) {
      batch.dead.push(letter);
      bytes += 128;
    },
    addSkipped(reason) {
      batch.skipped[reason] = (batch.skipped[reason] ?? 0) + 1;
      skipped++;
    },
    get passedOver() {
      return passedOver;
    },
    extend(to, newPassedOver = 0) {
      batch.to = to;
      passedOver += newPassedOver;
    },
    payload() {
      return Buffer.from(`${JSON.stringify(batch).slice(0, -1)},"events":[${events.join(',')}]}`);
    },
  };
}

/** The message that records the size of a final generation. Its range is empty. */
export function closingPayload(head: { gen: string; shard: string; shards: string; size: number }): Buffer {
  const { gen, shard, shards, size } = head;
  const batch: Batch = { v: 1, gen, shard, shards, from: size, to: size, size, skipped: {}, dead: [], events: [] };
  return Buffer.from(JSON.stringify(batch));
}
