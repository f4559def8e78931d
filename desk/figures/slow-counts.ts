import { LRUCache } from 'lru-cache';

// Counts that take longer than a reader should wait. A page shows the last one, and a new one is computed meanwhile. So the first view of a page may
// have none, and the next refresh has it.

/** A count is computed again after this time. */
const FRESH_MS = 10_000;
const MOST_COUNTS = 1_000;

export interface SlowCounts {
  /** Returns the last count of `key`. Waits a little for the first one, and returns undefined if it takes longer. */
  read(key: string, compute: () => Promise<number>): Promise<number | undefined>;
}

interface Entry {
  last: number | undefined;
  computedMs: number;
  running: Promise<void> | undefined;
}

/** `patienceMs` is how long a page waits for a first count. */
export function createSlowCounts(patienceMs: number, now: () => number = () => performance.now()): SlowCounts {
  const entries = new LRUCache<string, Entry>({ max: MOST_COUNTS });
  return {
    async read(key, compute) {
      const entry = entries.get(key) ?? { last: undefined, computedMs: Number.NEGATIVE_INFINITY, running: undefined };
      entries.set(key, entry);
      if (entry.running === undefined && now() - entry.computedMs > FRESH_MS) {
        entry.running = compute()
          .then((count) => {
            entry.last = count;
            entry.computedMs = now();
          })
          .finally(() => {
            entry.running = undefined;
          });
        // A failure that no page waits for must not end the process.
        entry.running.catch(() => undefined);
      }
      if (entry.last !== undefined || entry.running === undefined) return entry.last;
      const { promise: timeout, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, patienceMs);
      await Promise.race([entry.running, timeout]).finally(() => clearTimeout(timer));
      return entry.last;
    },
  };
}
