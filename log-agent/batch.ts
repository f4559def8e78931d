import { encodeBatch, MAX_BATCH_BYTES } from '../core/batch.ts';
import {
  type Batch,
  type BatchHead,
  type DeadLetter,
  MAX_PURPOSE,
  MAX_TEXT,
  noEvents,
  type Origin,
  type SkipReason,
} from '../core/event.ts';
import { Listed } from '../core/listed.ts';
import type { Hit } from './parse.ts';

// Collects the events that consecutive lines of one generation have for one shard. The result is one message.

export const MAX_BATCH_EVENTS = 500;
/** The size of an event is smaller than this number of bytes, without the shared texts, which the batch lists separately. */
const EVENT_BYTES = 256;
/** An event adds fewer bytes than this, even if the batch lists none of its texts yet and every character is escaped. */
const MAX_EVENT_BYTES = 16 * 1024;

/** The data that the agent derives from the address of a hit. See enrich.ts. */
export interface Enrichment {
  origin: Origin;
  visitor: string | null;
}

export interface BatchBuilder {
  /** Byte offset of the first line. */
  readonly from: number;
  /** Byte offset up to which all lines are accounted for. */
  readonly to: number;
  readonly empty: boolean;
  readonly full: boolean;
  /** The time at which the batch was created, in epoch milliseconds. */
  readonly startedMs: number;
  /** Adds the hit of the line at `off`. The address and the whole user agent of the hit do not become part of the batch. */
  addEvent(hit: Hit, off: number, enrichment: Enrichment): void;
  addDeadLetter(letter: DeadLetter): void;
  addSkipped(reason: SkipReason): void;
  /** Bytes of the range that belong to lines that are too long. */
  readonly passedOver: number;
  /**
   * Records that every line of the shard before this offset has been added. `passedOver` is the number of new bytes that belong to lines
   * that are too long.
   */
  extend(to: number, passedOver?: number): void;
  /** The batch as the payload of a message. */
  payload(): Buffer;
}

/** What a batch says about itself: its generation, its shard, the fingerprint of the shard list, and the epoch of the shard if it is known. */
interface BatchOrigin {
  gen: string;
  shard: string;
  shards: string;
  epoch?: number | undefined;
}

export function createBatch(head: BatchOrigin & { from: number; startedMs: number }): BatchBuilder {
  const { gen, shard, shards, epoch, from, startedMs } = head;
  const events = noEvents();
  const batch: Batch = { gen, shard, shards, epoch, from, to: from, skipped: {}, dead: [], events };
  const agents = new Listed(events.agents);
  const referrers = new Listed(events.referrers);
  const purposes = new Listed(events.purposes);
  const origins = new Listed(events.origins);
  let bytes = 0;
  let skipped = 0;
  let passedOver = 0;

  /**
   * Cuts a text to `max` characters and returns its index in the list. A text that is new in the list is added to it, and its size to
   * `bytes`.
   */
  function indexOf(list: Listed<string>, text: string, max: number): number {
    const short = text.length <= max ? text : text.slice(0, max).toWellFormed();
    const { length } = list;
    const index = list.indexOf(short, short);
    // The size includes the comma that follows the text.
    if (index === length) bytes += Buffer.byteLength(JSON.stringify(short)) + 1;
    return index;
  }

  return {
    from,
    startedMs,
    get to() {
      return batch.to;
    },
    get empty() {
      return events.off.length === 0 && batch.dead.length === 0 && skipped === 0;
    },
    get full() {
      return events.off.length + batch.dead.length >= MAX_BATCH_EVENTS || bytes > MAX_BATCH_BYTES - MAX_EVENT_BYTES;
    },
    addEvent(hit, off, { origin, visitor }) {
      events.off.push(String(off));
      events.rid.push(hit.rid);
      events.t.push(hit.t);
      events.kind.push(hit.kind);
      events.head.push(hit.head);
      events.altered.push(hit.altered);
      events.slug.push(hit.slug);
      events.link.push(hit.link);
      events.visitor.push(visitor);
      events.agent.push(indexOf(agents, hit.ua, MAX_TEXT));
      events.referrer.push(indexOf(referrers, hit.ref, MAX_TEXT));
      events.purpose.push(indexOf(purposes, hit.purpose, MAX_PURPOSE));
      events.origin.push(origins.indexOf(origin, origin));
      if (hit.site) {
        events.sites.push(hit.site);
        bytes += Buffer.byteLength(JSON.stringify(hit.site));
      }
      bytes += EVENT_BYTES;
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
    payload: () => encodeBatch(batch),
  };
}

/** The message that records the size of a final generation. Its range is empty. */
export function closingPayload(head: BatchOrigin & { size: number }): Buffer {
  const { gen, shard, shards, epoch, size } = head;
  const batch: BatchHead = { gen, shard, shards, epoch, from: size, to: size, size, skipped: {}, dead: [] };
  return encodeBatch({ ...batch, events: noEvents() });
}
