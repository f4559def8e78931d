import type { Logger } from '../../core/log.ts';
import { NO_RANGES, type Ranges, union } from '../../core/ranges.ts';
import { sleep } from '../../core/time.ts';
import { createDue } from '../../feed/due.ts';
import { toJson } from '../../feed/event.ts';
import type { Filter } from '../../feed/filter.ts';
import { readEvents, type Reading } from '../../feed/read-events.ts';
import { slicesOf } from '../../feed/slices.ts';
import type { EventSource } from './event-sources.ts';
import type { Progress, ShardState } from './event-reader.ts';

// Reads the next page of a reading from all shards: what is ready there, without what was delivered. It changes nothing.
//
// read all shards ──► enough events, or a while has passed ──► page
//      ▲    └──► nothing is due ──► wait, without a connection ──┐
//      └────────────────────────────────────────────────────────┘

/** About so many bytes of the logs are read for one event. */
const BYTES_PER_EVENT = 400;
const MIN_BYTES = 64 * 1024;
const MAX_BYTES = 4 * 1024 * 1024;
/** A page without events is sent after this time of reading, so that the ranges that were read count as done. */
const READ_MS = 3_000;
/** A page that has events is filled for this time. */
const FILL_MS = 1_000;
/** How often a request that waits looks whether something is due. This needs no query. */
const LOOK_MS = 100;
/** How often it reads the changes of verdicts, although nothing is due. */
const CHANGES_MS = 5_000;

export interface Page {
  /** The events and changes of verdicts, each as a line of JSON. */
  readonly lines: readonly string[];
  readonly progress: readonly Progress[];
  /** Whether there is more that can be read at once. */
  readonly isMoreDue: boolean;
  /** The shards that did not answer. Their events come later. */
  readonly missing: readonly string[];
}

export interface PageWanted {
  readonly filter: Filter;
  /** The most lines. Only the changes of verdicts of one shard may be more. */
  readonly limit: number;
  /** The time of performance.now() until which to wait for events. */
  readonly waitUntilMs: number;
  /** The number of the page. The shards take turns in being the first. */
  readonly number: number;
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
  /** Aborts when the desk stops. */
  readonly stopping: AbortSignal;
}

export async function readPage(
  sources: readonly EventSource[],
  stateOf: (shard: string) => ShardState,
  wanted: PageWanted,
  log: Logger,
): Promise<Page> {
  const first = wanted.number % sources.length;
  const shards = [...sources.slice(first), ...sources.slice(0, first)].map((source) =>
    readShard(source, stateOf(source.shard), wanted, log),
  );
  const lines: string[] = [];
  const bytes = Math.min(Math.max(wanted.limit * BYTES_PER_EVENT, MIN_BYTES), MAX_BYTES);
  const readUntilMs = Math.max(wanted.waitUntilMs, performance.now() + READ_MS);
  let fillUntilMs = Number.POSITIVE_INFINITY;
  try {
    for (;;) {
      const readings = await Promise.all(shards.map((shard) => shard.read(bytes)));
      for (const [i, shard] of shards.entries()) shard.take(readings[i], lines, wanted.limit);
      if (lines.length > 0) fillUntilMs = Math.min(fillUntilMs, performance.now() + FILL_MS);
      const isMoreDue = shards.some((shard) => shard.isMoreDue());
      const isEnding = wanted.gone.aborted || wanted.stopping.aborted;
      const isFull = lines.length >= wanted.limit || isEnding;
      if (!isFull && isMoreDue && performance.now() < Math.min(readUntilMs, fillUntilMs)) continue;
      if (isFull || isMoreDue || lines.length > 0 || performance.now() >= wanted.waitUntilMs)
        return {
          lines,
          progress: shards.flatMap((shard) => shard.progress()),
          isMoreDue,
          missing: shards.flatMap((shard) => (shard.isMissing() ? [shard.name] : [])).toSorted(),
        };
      await untilDue(shards, wanted);
    }
  } finally {
    for (const shard of shards) shard.close();
  }
}

/** Waits until something is due, the time is over, or the changes of verdicts should be read. */
async function untilDue(shards: readonly ShardReader[], { waitUntilMs, gone, stopping }: PageWanted): Promise<void> {
  const untilMs = Math.min(waitUntilMs, performance.now() + CHANGES_MS);
  do {
    await sleep(Math.min(LOOK_MS, Math.max(1, untilMs - performance.now())), gone);
  } while (!gone.aborted && !stopping.aborted && performance.now() < untilMs && !shards.some((shard) => shard.isMoreDue()));
}

interface ShardReader {
  readonly name: string;
  /** Reads events from about `bytes` of the logs. Undefined if the shard does not answer. */
  read(bytes: number): Promise<Reading | undefined>;
  /** Adds what was read to the lines, as far as they may be more. */
  take(reading: Reading | undefined, lines: string[], limit: number): void;
  isMoreDue(): boolean;
  isMissing(): boolean;
  progress(): Progress[];
  close(): void;
}

function readShard({ shard, pool, feed, isAnswering }: EventSource, state: ShardState, { filter }: PageWanted, log: Logger): ShardReader {
  const due = createDue(state.before, state.delivered);
  for (const [gen, ranges] of feed.ready) due.setReady(gen, ranges);
  const close = feed.onChange((gen, ranges) => due.setReady(gen, ranges));
  const done = new Map<string, Ranges>();
  let position = state.position;
  let isMissing = false;
  /** Whether something that was read is left for the next page, or for the next reading. */
  let isRestLeft = false;
  /** Until then, nothing counts as due, because the shard does not have what its feed says. */
  let lackingUntilMs = 0;

  return {
    name: shard,
    async read(bytes) {
      isMissing = !isAnswering();
      if (isMissing) return undefined;
      try {
        return await readEvents(pool, due, due.take(bytes), filter, position);
      } catch (error) {
        isMissing = true;
        log.warn({ err: error, shard }, 'cannot read events of a shard; they are delivered later');
        return undefined;
      }
    },
    take(reading, lines, limit) {
      isRestLeft = false;
      if (reading === undefined) return;
      if (reading.isLacking) {
        feed.readAll();
        lackingUntilMs = performance.now() + CHANGES_MS;
      }
      const left = limit - lines.length;
      const { changes } = reading;
      // The position is reached only with the last change, so a page has all changes of a reading or none.
      if (left <= 0 || (changes.length > left && lines.length > 0)) {
        isRestLeft = changes.length > 0 || reading.events.length > 0;
        return;
      }
      const slices = slicesOf(reading, position, Math.max(left, changes.length));
      const slice = slices.next().value;
      if (slice === undefined) return;
      for (const item of slice.items) lines.push(JSON.stringify(toJson(item, shard)));
      for (const { gen, range } of slice.ranges) {
        done.set(gen, union(done.get(gen) ?? NO_RANGES, [range]));
        due.setDelivered(gen, [range]);
      }
      position = slice.position ?? position;
      isRestLeft = reading.areChangesLeft || slices.next().done !== true;
    },
    isMoreDue: () => !isMissing && (isRestLeft || (performance.now() >= lackingUntilMs && due.take(1).length > 0)),
    isMissing: () => isMissing,
    progress() {
      const isMoved = position !== state.position;
      return done.size === 0 && !isMoved ? [] : [{ shard, ranges: done, position: isMoved ? position : undefined }];
    },
    close,
  };
}
