import { LRUCache } from 'lru-cache';
import { networkOf } from '../../core/client-network.ts';
import { ApiError } from './problems.ts';

// The limits of keys and of clients. They are counts in the memory of one desk.

/** A key may have this many requests at the same time, */
const MAX_CONCURRENT = 16;
/** and of these, this many that take long: reports, readings of events, and requests with many lines. */
const MAX_CONCURRENT_LONG = 4;
/** An address may fail to authenticate this often per minute. */
const MAX_FAILURES = 20;
const MINUTE_MS = 60_000;
/** The burst of a key is as many requests as it may make in this time. */
const BURST_SECONDS = 2;

const tooMany = (message: string, seconds: number): ApiError =>
  new ApiError('too-many-requests', message, { 'retry-after': String(Math.max(1, Math.ceil(seconds))) });

/** Limits the requests per second of each key with a token bucket. `now` returns milliseconds. */
export function createRateLimit(now: () => number): { take(key: string, rate: number): void } {
  const buckets = new LRUCache<string, { tokens: number; at: number }>({ max: 10_000 });
  return {
    /** Takes a token. Throws `too-many-requests` if there is none. */
    take(key, rate) {
      const at = now();
      const full = rate * BURST_SECONDS;
      const bucket = buckets.get(key) ?? { tokens: full, at };
      bucket.tokens = Math.min(full, bucket.tokens + ((at - bucket.at) / 1000) * rate);
      bucket.at = at;
      buckets.set(key, bucket);
      if (bucket.tokens < 1)
        throw tooMany(
          `this key may make ${rate} requests per second: send fewer, or many people in one request`,
          (1 - bucket.tokens) / rate,
        );
      bucket.tokens--;
    },
  };
}

/** Limits the requests that a key has at the same time. */
export function createConcurrencyLimit(): { enter(key: string, isLong: boolean): () => void } {
  const running = new Map<string, { all: number; long: number }>();
  return {
    /** Counts a request. Returns the function that ends it. Throws `too-many-requests` if the key has too many. */
    enter(key, isLong) {
      const counts = running.get(key) ?? { all: 0, long: 0 };
      if (counts.all >= MAX_CONCURRENT)
        throw tooMany(`this key may have ${MAX_CONCURRENT} requests at the same time: wait for an answer`, 1);
      if (isLong && counts.long >= MAX_CONCURRENT_LONG)
        throw tooMany(
          `this key may have ${MAX_CONCURRENT_LONG} reports, readings of events and imports at the same time: wait for an answer`,
          1,
        );
      running.set(key, counts);
      counts.all++;
      if (isLong) counts.long++;
      return () => {
        counts.all--;
        if (isLong) counts.long--;
        if (counts.all === 0) running.delete(key);
      };
    },
  };
}

/** Counts failures of authentication by address. IPv6 addresses count by their /64 network. `now` returns milliseconds. */
export function createFailureLimit(
  now: () => number,
  message = 'too many requests from this address had no valid key: wait a minute',
): { check(address: string): void; add(address: string): void } {
  const failures = new LRUCache<string, { count: number; until: number }>({ max: 10_000 });
  const current = (network: string) => {
    const found = failures.get(network);
    return found !== undefined && found.until > now() ? found : undefined;
  };
  return {
    /** Throws `too-many-requests` if the address has failed too often in the last minute. */
    check(address) {
      const found = current(networkOf(address));
      if (found !== undefined && found.count >= MAX_FAILURES) throw tooMany(message, (found.until - now()) / 1000);
    },
    add(address) {
      const network = networkOf(address);
      const found = current(network) ?? { count: 0, until: now() + MINUTE_MS };
      found.count++;
      failures.set(network, found);
    },
  };
}
