import { covers, firstGap, NO_RANGES, type Range, type Ranges, sizeOf, subtract, union } from '../core/ranges.ts';

// The state of one generation on one shard. Every byte of the file is in one of three sets:
//
//   committed   in the ledger, according to its last reply
//   in flight   published, and neither committed nor known to be lost
//   needed      the rest, up to the end of the file: holes and new lines
//
// A range moves needed ──publish──► in flight ──ledger──► committed. A range in flight becomes needed again in four cases: publishing
// fails; the ledger lacks the range although the ack floor of the consumer has passed its message; the ledger lacks it although JetStream
// delivered the message long ago; or the stream was created again. A committed range becomes needed again when the ledger no longer has it,
// because the shard was restored.

// When nats-server crashes, JetStream can lose a message, and its ack floor can stay below this message permanently. So the agent publishes a
// message again if it was delivered and is still not committed after this time. The time is three times the ack wait, so JetStream itself has
// had the chance to deliver the message again. While nothing is committed, the time doubles. If Postgres refuses to write, for example,
// publishing again would only fill the stream.
const FIRST_PATIENCE_MS = 30_000;
const MAX_PATIENCE_MS = 3600_000;

interface Flight {
  ranges: Ranges;
  /** Whether the message is the closing message of a final generation. A closing message has no bytes and records the size. */
  closes: boolean;
  /** Bytes of the ranges that belong to lines that are too long. */
  passedOver: number;
  /** The sequence number of the message in the stream. Undefined until JetStream has stored the message. */
  sequence: number | undefined;
  /**
   * Whether the message was stored before the current query started. Only in this case must the stream contain the message at the time of
   * the query.
   */
  storedBeforeQuery: boolean;
  /** The time of the first reply that showed the message as delivered. */
  deliveredMs: number | undefined;
}

/**
 * Progress of the shard's consumer, as sequence numbers of the stream. All messages up to `floor` are acked. All messages up to `delivered`
 * were delivered at least once. `last` is the last message of the stream.
 */
export interface Progress {
  floor: number;
  delivered: number;
  last: number;
}

/** Coverage of one generation on one shard. Offsets and sizes are in bytes. */
export class Coverage {
  /** False until the first reply of the ledger. Publishing before this reply would mostly repeat committed lines. */
  known = false;
  committed: Ranges = NO_RANGES;
  /** The size of the final generation in the ledger. Null until the ledger has recorded it. */
  recordedSize: number | null = null;
  #flights: Flight[] = [];
  #patienceMs = FIRST_PATIENCE_MS;
  #committedOrInFlight: Ranges | undefined;

  get committedOrInFlight(): Ranges {
    this.#committedOrInFlight ??= union(this.committed, ...this.#flights.map((flight) => flight.ranges));
    return this.#committedOrInFlight;
  }

  /** The ranges in flight, as the checkpoint stores them. */
  get inFlight(): Ranges {
    return union(...this.#flights.map((flight) => flight.ranges));
  }

  get unconfirmedBytes(): number {
    return this.#flights.reduce((sum, flight) => sum + sizeOf(flight.ranges), 0);
  }

  /** The unconfirmed bytes that count for the window: all except the passed-over bytes. */
  get windowBytes(): number {
    return this.#flights.reduce((sum, { ranges, passedOver }) => sum + Math.max(0, sizeOf(ranges) - passedOver), 0);
  }

  get hasFlights(): boolean {
    return this.#flights.length > 0;
  }

  /** The first range of [0, size) that has to be published. `building` is the range of the open batch. */
  needed(size: number, building: Ranges): Range | undefined {
    return firstGap(building.length === 0 ? this.committedOrInFlight : union(this.committedOrInFlight, building), 0, size);
  }

  /** Whether nothing is left to do for a final generation of this size: all its bytes are committed, and its size is recorded. */
  settled(size: number): boolean {
    return this.known && this.recordedSize === size && covers(this.committed, 0, size);
  }

  /** Records that a message is being published. The caller must then call `stored` or `failed`. */
  startFlight(
    ranges: Ranges,
    { closes = false, passedOver = 0 }: { closes?: boolean; passedOver?: number } = {},
  ): { stored: (sequence: number) => void; failed: () => void } {
    const flight: Flight = { ranges, closes, passedOver, sequence: undefined, storedBeforeQuery: false, deliveredMs: undefined };
    this.#flights.push(flight);
    this.#committedOrInFlight = undefined;
    return {
      stored: (sequence) => {
        flight.sequence = sequence;
      },
      failed: () => {
        this.#flights = this.#flights.filter((other) => other !== flight);
        this.#committedOrInFlight = undefined;
      },
    };
  }

  /** Adds ranges that the agent published before a restart. Their messages have sequence numbers up to `sequence`. */
  resume(ranges: Ranges, sequence: number): void {
    if (ranges.length === 0) return;
    this.#flights.push({ ranges, closes: false, passedOver: 0, sequence, storedBeforeQuery: true, deliveredMs: undefined });
    this.#committedOrInFlight = undefined;
  }

  /** The caller must call this before it queries the ledger and the stream. */
  startQuery(): void {
    for (const flight of this.#flights) flight.storedBeforeQuery = flight.sequence !== undefined;
  }

  /**
   * Applies a reply of the ledger. The caller must read `progress` before it reads the ledger. Otherwise a message that was committed in
   * between would look lost. `nowMs` is the time of a monotonic clock.
   */
  confirm(committed: Ranges, recordedSize: number | null, progress: Progress, nowMs = performance.now()): void {
    this.known = true;
    const grew = sizeOf(committed) > sizeOf(this.committed);
    this.committed = committed;
    this.recordedSize = recordedSize;
    let isAnyOverdue = false;
    this.#flights = this.#flights.filter((flight) => {
      const arrived = flight.closes ? recordedSize !== null : dropCommitted(flight, committed);
      const { sequence, storedBeforeQuery } = flight;
      if (arrived) return false;
      if (sequence === undefined) return true;
      const lost = sequence <= progress.floor || (storedBeforeQuery && sequence > progress.last);
      if (sequence <= progress.delivered) flight.deliveredMs ??= nowMs;
      const overdue = flight.deliveredMs !== undefined && nowMs - flight.deliveredMs >= this.#patienceMs;
      if (overdue) isAnyOverdue = true;
      return !lost && !overdue;
    });
    if (grew) this.#patienceMs = FIRST_PATIENCE_MS;
    else if (isAnyOverdue) this.#patienceMs = Math.min(2 * this.#patienceMs, MAX_PATIENCE_MS);
    this.#committedOrInFlight = undefined;
  }

  /** The caller must call this when the stream was created again, because a new stream contains no earlier message. */
  forgetFlights(): void {
    this.#flights = this.#flights.filter((flight) => flight.sequence === undefined);
    this.#committedOrInFlight = undefined;
  }
}

/** Removes committed ranges from the flight. Returns true when no range is left. */
function dropCommitted(flight: Flight, committed: Ranges): boolean {
  flight.ranges = subtract(flight.ranges, committed);
  return flight.ranges.length === 0;
}
