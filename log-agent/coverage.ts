import { covers, firstGap, NO_RANGES, type Range, type Ranges, sizeOf, subtract, union } from '../core/ranges.ts';

// What the agent knows of one generation on one shard. Everything it does follows from three sets of bytes:
//
//   committed   the ledger said so, at the last answer
//   in flight   published, and neither committed nor known to be lost
//   needed      the rest, up to the end of the file: holes and fresh lines alike
//
// A range moves needed ──publish──► in flight ──ledger──► committed. It falls back to needed when publishing fails, when the
// consumer's ack floor has passed its message and the ledger still lacks it, when the stream was made anew, and (committed bytes) when
// the ledger forgets it, because the shard was restored.

interface Flight {
  ranges: Ranges;
  /** The closing message of a final generation: it has no bytes, it records the size. */
  closes: boolean;
  /** The message's sequence in the stream; undefined until JetStream has stored it. */
  sequence: number | undefined;
  /** Whether it was stored before the question that is on its way: only then must the stream that was looked at have it. */
  asked: boolean;
}

/** How far the shard's consumer is: everything at or below `floor` has been acked, `last` is the stream's last sequence. */
export interface Progress {
  floor: number;
  last: number;
}

export class Coverage {
  /** False until the ledger has answered for the first time: publishing before that would mostly repeat. */
  known = false;
  committed: Ranges = NO_RANGES;
  /** The length the ledger has on record, once the generation is final there. */
  recordedSize: number | null = null;
  #flights: Flight[] = [];
  #taken: Ranges | undefined;

  /** Committed or in flight. */
  get taken(): Ranges {
    this.#taken ??= union(this.committed, ...this.#flights.map((flight) => flight.ranges));
    return this.#taken;
  }

  /** In flight, as the checkpoint keeps it. */
  get inFlight(): Ranges {
    return union(...this.#flights.map((flight) => flight.ranges));
  }

  get unconfirmedBytes(): number {
    return this.#flights.reduce((sum, flight) => sum + sizeOf(flight.ranges), 0);
  }

  get hasFlights(): boolean {
    return this.#flights.length > 0;
  }

  /** The first stretch of [0, size) that has to be published; `building` is what is being collected for a message right now. */
  needed(size: number, building: Ranges): Range | undefined {
    return firstGap(building.length === 0 ? this.taken : union(this.taken, building), 0, size);
  }

  /** Whether nothing is left to do for a final generation of this size. */
  settled(size: number): boolean {
    return this.known && this.recordedSize === size && covers(this.committed, 0, size);
  }

  /** Says that a message goes out; `stored` or `failed` must follow. */
  publishing(ranges: Ranges, closes = false): { stored: (sequence: number) => void; failed: () => void } {
    const flight: Flight = { ranges, closes, sequence: undefined, asked: false };
    this.#flights.push(flight);
    this.#taken = undefined;
    return {
      stored: (sequence) => {
        flight.sequence = sequence;
      },
      failed: () => {
        this.#flights = this.#flights.filter((other) => other !== flight);
        this.#taken = undefined;
      },
    };
  }

  /** After a restart: these ranges were published by the agent's earlier life, at or before this sequence. */
  resume(ranges: Ranges, sequence: number): void {
    if (ranges.length === 0) return;
    this.#flights.push({ ranges, closes: false, sequence, asked: true });
    this.#taken = undefined;
  }

  /** Says that the ledger is about to be asked, and the stream to be looked at. */
  asking(): void {
    for (const flight of this.#flights) flight.asked = flight.sequence !== undefined;
  }

  /** Takes the ledger's answer. `progress` must have been asked before the ledger was, or a message in between would look lost. */
  confirm(committed: Ranges, recordedSize: number | null, progress: Progress): void {
    this.known = true;
    this.committed = committed;
    this.recordedSize = recordedSize;
    this.#flights = this.#flights.filter((flight) => {
      const arrived = flight.closes ? recordedSize !== null : covered(flight, committed);
      const { sequence, asked } = flight;
      const lost = sequence !== undefined && (sequence <= progress.floor || (asked && sequence > progress.last));
      return !arrived && !lost;
    });
    this.#taken = undefined;
  }

  /** The stream was made anew: no message of before is in it. */
  forgetFlights(): void {
    this.#flights = this.#flights.filter((flight) => flight.sequence === undefined);
    this.#taken = undefined;
  }
}

/** Drops from the flight what is committed; true when nothing is left of it. */
function covered(flight: Flight, committed: Ranges): boolean {
  flight.ranges = subtract(flight.ranges, committed);
  return flight.ranges.length === 0;
}
