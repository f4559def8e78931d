import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { NO_RANGES, parseMultirange, type Ranges } from '../core/ranges.ts';
import { sleep } from '../core/time.ts';

// Knows which ranges of a shard may be delivered: those that are committed and that the judge has looked at. All subscriptions of a forwarder share it.
//
// The judge merges deltas in the order of their ids. So when all deltas are gone that were there at a reading of the ledger, the judge has looked at all
// hits of that reading.

/** How often the ledger is read, in milliseconds. */
const POLL_MS = 500;
/** A commit is visible later than its time in the ledger, by the duration of its transaction. */
const OVERLAP_MS = 300_000;
/** How often all generations are read. A restored shard lacks ranges, and its ledger shows no recent time for them. */
const ALL_MS = 30_000;

export interface ShardFeed {
  /** The ranges by generation that may be delivered now. */
  readonly ready: ReadonlyMap<string, Ranges>;
  /** Calls `listener` whenever the ranges of a generation change. Returns a function that ends this. */
  onChange(listener: (gen: string, ranges: Ranges) => void): () => void;
  /** Reads all generations at the next poll, because the ledger seems to have lost ranges. */
  readAll(): void;
  /** The last failure to read the shard. Undefined if the last attempt succeeded. */
  failure(): unknown;
  /** Resolves when the shard was read once. */
  readonly started: Promise<void>;
  /** Polls until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

interface StateRow {
  now: Date;
  newest_delta: number | null;
  oldest_delta: number | null;
  gen: string | null;
  committed: string | null;
}

export function createShardFeed(pool: Pool, log: Logger, pollMs = POLL_MS, allMs = ALL_MS): ShardFeed {
  const ready = new Map<string, Ranges>();
  const listeners = new Set<(gen: string, ranges: Ranges) => void>();
  /** The committed ranges as text, by generation, to notice changes. */
  const known = new Map<string, string>();
  /** The generations that changed since the reading `waiting`, and its newest delta. */
  let waiting: { newest: number; gens: Map<string, string> } | undefined;
  let changed = new Map<string, string>();
  let since = new Date(0);
  let allReadMs = Number.NEGATIVE_INFINITY;
  let failure: unknown;
  let resolveStarted: () => void;
  const started = new Promise<void>((resolve) => {
    resolveStarted = resolve;
  });

  async function poll(): Promise<void> {
    const isAll = performance.now() - allReadMs >= allMs;
    const { rows } = await pool.query<StateRow>('SELECT * FROM shard.feed_state($1)', [isAll ? new Date(0) : since]);
    const { now, newest_delta: newest, oldest_delta: oldest } = rows[0] as StateRow;
    since = new Date(now.getTime() - OVERLAP_MS);
    const lost = isAll ? new Set(known.keys()) : new Set<string>();
    for (const { gen, committed } of rows) {
      if (gen === null || committed === null) continue;
      lost.delete(gen);
      if (known.get(gen) === committed) continue;
      known.set(gen, committed);
      changed.set(gen, committed);
    }
    for (const gen of lost) {
      known.delete(gen);
      changed.set(gen, '{}');
    }
    if (isAll) allReadMs = performance.now();
    // A restored shard gives ids of deltas again that it gave before. The deltas of the reading that are left have no later ids than the newest delta.
    if (waiting !== undefined && newest !== null) waiting.newest = Math.min(waiting.newest, newest);
    if (waiting !== undefined && (oldest === null || oldest > waiting.newest)) {
      publish(waiting.gens);
      waiting = undefined;
    }
    if (waiting !== undefined || changed.size === 0) return;
    if (oldest === null) publish(changed);
    else waiting = { newest: newest as number, gens: changed };
    changed = new Map();
  }

  function publish(gens: ReadonlyMap<string, string>): void {
    for (const [gen, committed] of gens) {
      const ranges = parseMultirange(committed);
      if (ranges.length === 0) ready.delete(gen);
      else ready.set(gen, ranges);
      for (const listener of listeners) listener(gen, ranges.length === 0 ? NO_RANGES : ranges);
    }
  }

  return {
    ready,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    readAll() {
      allReadMs = Number.NEGATIVE_INFINITY;
    },
    failure: () => failure,
    started,
    async run(signal) {
      while (!signal.aborted) {
        try {
          await poll();
          failure = undefined;
          resolveStarted();
        } catch (error) {
          if (failure === undefined) log.warn({ err: error }, 'cannot read the ledger of a shard; retrying');
          failure = error;
        }
        await sleep(pollMs, signal);
      }
    },
  };
}
