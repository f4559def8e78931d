import { covers, NO_RANGES, parseMultirange, type Range, type Ranges, sizeOf, subtract, union } from '../core/ranges.ts';

// The ranges of one shard that a subscription still has to deliver. Ranges before its start are left out.
//
//   ready ──take──► being delivered ──delivered──► done
//
// A generation with nothing to deliver costs nothing: only generations that changed are looked at.

/** Ranges by generation. */
export type Ledger = ReadonlyMap<string, Ranges>;

/** Makes a ledger of texts of Postgres. Skips pairs of nulls: a query with LEFT JOIN returns them if there are no generations. */
export function ledgerFrom(texts: Iterable<readonly [gen: string | null, ranges: string | null]>): Map<string, Ranges> {
  const ledger = new Map<string, Ranges>();
  for (const [gen, ranges] of texts) if (gen !== null && ranges !== null) ledger.set(gen, parseMultirange(ranges));
  return ledger;
}

/** A range of a generation. */
export interface DueRange {
  readonly gen: string;
  readonly range: Range;
}

/** The union of ranges, by generation. The generations are sorted. */
export function byGeneration(ranges: readonly DueRange[]): [gen: string, ranges: Ranges][] {
  const found = Map.groupBy(ranges, ({ gen }) => gen);
  return Array.from(found, ([gen, some]): [string, Ranges] => [gen, union(some.map(({ range }) => range))]).sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
}

export interface Due {
  /** The ranges of a generation that may be delivered now. They replace those that were set before. */
  setReady(gen: string, ranges: Ranges): void;
  /**
   * Returns ranges that are to be delivered, with at most `mostBytes` bytes together. They stay due until setDelivered. Generations take turns, so
   * a long one does not delay the others.
   */
  take(mostBytes: number): DueRange[];
  /** Leaves a generation out of `take` for some milliseconds, because its next events are too young. */
  hold(gen: string, ms: number): void;
  setDelivered(gen: string, ranges: Ranges): void;
  /** Whether the event at an offset was delivered, or perhaps delivered. False for an event before the start of the subscription. */
  wasDelivered(gen: string, off: number): boolean;
  /** The number of bytes that are to be delivered. */
  bytes(): number;
  /** The time since when the oldest of them wait, in milliseconds of performance.now(). It may be too early, but never too late. Undefined: nothing waits. */
  waitsSince(): number | undefined;
  /** What waits, for `continueFrom`. */
  waiting(): { readonly older: Waiting; readonly younger: Waiting };
  /** Takes over from `before` since when what is due now has waited. Without this, it would seem to wait only since this object was created. */
  continueFrom(before: Due): void;
}

/** Ranges that wait, and the time since when the oldest of them do. */
export interface Waiting {
  sinceMs: number;
  readonly ranges: Map<string, Ranges>;
}

/**
 * `start` has the ranges before the start of the subscription, `delivered` those that were delivered already. `attempted` has ranges that were perhaps
 * delivered, by a forwarder that died before it knew. They are due.
 */
export function createDue(
  start: Ledger,
  delivered: Ledger,
  attempted: Ledger = new Map(),
  now: () => number = () => performance.now(),
): Due {
  const done = new Map(delivered);
  const due = new Map<string, Ranges>();
  const heldUntil = new Map<string, number>();
  // What waits, in two sets: the older one is complete before the younger one becomes the older one. So two times are enough, however long it waits.
  let older = newWaiting(now());
  let younger = newWaiting(now());

  const without = (gen: string, ranges: Ranges): Ranges =>
    subtract(subtract(ranges, start.get(gen) ?? NO_RANGES), done.get(gen) ?? NO_RANGES);

  function removeWaiting(gen: string, ranges: Ranges): void {
    for (const waiting of [older, younger]) put(waiting.ranges, gen, subtract(waiting.ranges.get(gen) ?? NO_RANGES, ranges));
    if (older.ranges.size > 0) return;
    older = younger;
    younger = newWaiting(now());
  }

  return {
    setReady(gen, ranges) {
      const before = due.get(gen) ?? NO_RANGES;
      const after = without(gen, ranges);
      put(due, gen, after);
      const gone = subtract(before, after);
      if (gone.length > 0) removeWaiting(gen, gone);
      const added = subtract(after, before);
      if (added.length === 0) return;
      const waiting = older.ranges.size === 0 ? older : younger;
      if (waiting.ranges.size === 0) waiting.sinceMs = now();
      put(waiting.ranges, gen, union(waiting.ranges.get(gen) ?? NO_RANGES, added));
    },
    take(mostBytes) {
      const taken: DueRange[] = [];
      let left = mostBytes;
      for (const [gen, ranges] of Array.from(due)) {
        if (left <= 0) break;
        if ((heldUntil.get(gen) ?? 0) > now()) continue;
        heldUntil.delete(gen);
        for (const [from, to] of ranges) {
          if (left <= 0) break;
          taken.push({ gen, range: [from, Math.min(to, from + left)] });
          left -= Math.min(to - from, left);
        }
        due.delete(gen);
        due.set(gen, ranges);
      }
      return taken;
    },
    hold(gen, ms) {
      heldUntil.set(gen, now() + ms);
    },
    setDelivered(gen, ranges) {
      done.set(gen, union(done.get(gen) ?? NO_RANGES, ranges));
      put(due, gen, subtract(due.get(gen) ?? NO_RANGES, ranges));
      removeWaiting(gen, ranges);
    },
    wasDelivered: (gen, off) => (isIn(done, gen, off) || isIn(attempted, gen, off)) && !isIn(start, gen, off),
    bytes: () => [...due.values()].reduce((sum, ranges) => sum + sizeOf(ranges), 0),
    waiting: () => ({ older, younger }),
    continueFrom(before) {
      const { older: first, younger: second } = before.waiting();
      older = newWaiting(first.sinceMs);
      younger = newWaiting(second.ranges.size > 0 ? second.sinceMs : now());
      for (const [gen, ranges] of due) {
        const rest = subtract(ranges, first.ranges.get(gen) ?? NO_RANGES);
        put(older.ranges, gen, subtract(ranges, rest));
        put(younger.ranges, gen, rest);
      }
      removeWaiting('', NO_RANGES);
    },
    waitsSince: () => (older.ranges.size > 0 ? older.sinceMs : undefined),
  };
}

const isIn = (ledger: Ledger, gen: string, off: number): boolean => covers(ledger.get(gen) ?? NO_RANGES, off, off + 1);

const newWaiting = (sinceMs: number): Waiting => ({ sinceMs, ranges: new Map() });

/** Sets the ranges of a generation. Removes the generation if it has none, so that the map has only generations with ranges. */
function put(ledger: Map<string, Ranges>, gen: string, ranges: Ranges): void {
  if (ranges.length === 0) ledger.delete(gen);
  else ledger.set(gen, ranges);
}
