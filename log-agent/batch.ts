import { type Batch, type DeadLetter, type Event, MAX_BATCH_BYTES, type SkipReason } from '../core/event.ts';

// Collects one shard's share of consecutive lines of one generation until it is worth a message.

export const MAX_BATCH_EVENTS = 500;
// The longest an event can become as JSON, with every character of its texts escaped, is well below this.
const ROOM_FOR_ONE_BYTES = 16 * 1024;

export interface BatchBuilder {
  readonly from: number;
  /** Up to where lines are accounted for. */
  readonly to: number;
  readonly empty: boolean;
  readonly full: boolean;
  /** Epoch milliseconds of the first thing in it. */
  readonly since: number;
  addEvent(event: Event): void;
  addDead(letter: DeadLetter): void;
  addSkipped(reason: SkipReason): void;
  /** Says that every line of the shard before this offset has been added. */
  extend(to: number): void;
  /** The message. */
  payload(): Buffer;
}

export function createBatch(head: { gen: string; shard: string; shards: string; from: number; since: number }): BatchBuilder {
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
  return {
    from: head.from,
    since: head.since,
    get to() {
      return batch.to;
    },
    get empty() {
      return events.length === 0 && batch.dead.length === 0 && skipped === 0;
    },
    get full() {
      return events.length + batch.dead.length >= MAX_BATCH_EVENTS || bytes > MAX_BATCH_BYTES - ROOM_FOR_ONE_BYTES;
    },
    addEvent(event) {
      const text = JSON.stringify(event);
      bytes += Buffer.byteLength(text);
      events.push(text);
    },
    addDead(letter) {
      batch.dead.push(letter);
      bytes += 128;
    },
    addSkipped(reason) {
      batch.skipped[reason] = (batch.skipped[reason] ?? 0) + 1;
      skipped++;
    },
    extend(to) {
      batch.to = to;
    },
    payload() {
      return Buffer.from(`${JSON.stringify(batch).slice(0, -1)},"events":[${events.join(',')}]}`);
    },
  };
}

/** The message that tells how long a final generation is: it touches no byte. */
export function closingPayload(head: { gen: string; shard: string; shards: string; size: number }): Buffer {
  const { gen, shard, shards, size } = head;
  const batch: Batch = { v: 1, gen, shard, shards, from: size, to: size, size, skipped: {}, dead: [], events: [] };
  return Buffer.from(JSON.stringify(batch));
}
