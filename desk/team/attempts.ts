import { LRUCache } from 'lru-cache';
import { networkOf } from '../../core/client-network.ts';

// Limits how many passwords may be tried for one account, from all addresses together. Each desk counts in its own memory.

/** So many wrong passwords cause no pause. */
const FREE_FAILURES = 5;
/** The pause doubles with each further wrong password, up to this time. */
const MAX_PAUSE_MS = 30_000;
const FIRST_PAUSE_MS = 1_000;
/** Failures are forgotten after this time. */
const MEMORY_MS = 15 * 60_000;

export interface Attempts {
  /** Counts an attempt. Returns 0, or the seconds after which the next attempt is accepted; then this attempt does not count. */
  begin(name: string, address: string): number;
  /** The password was right. */
  succeed(name: string, address: string): void;
}

/** `now` returns milliseconds. */
export function createAttempts(now: () => number): Attempts {
  const accounts = new LRUCache<string, { failures: number; until: number; at: number }>({ max: 10_000 });
  // An attacker who guesses all the time would keep the account paused. So the pause does not apply to networks from which somebody has signed
  // in to the account.
  const known = new LRUCache<string, true>({ max: 10_000 });
  const keyOf = (name: string): string => name.toLowerCase();
  const placeOf = (name: string, address: string): string => `${networkOf(address)} ${keyOf(name)}`;
  return {
    begin(name, address) {
      if (known.get(placeOf(name, address))) return 0;
      const at = now();
      const found = accounts.get(keyOf(name));
      const current = found !== undefined && at - found.at < MEMORY_MS ? found : { failures: 0, until: 0, at };
      if (current.until > at) return Math.ceil((current.until - at) / 1000);
      // An attempt counts as a failure until it succeeds, so that many attempts at the same time are counted, too.
      const failures = current.failures + 1;
      const pause = failures < FREE_FAILURES ? 0 : Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - FREE_FAILURES));
      accounts.set(keyOf(name), { failures, until: at + pause, at });
      return 0;
    },
    succeed(name, address) {
      accounts.delete(keyOf(name));
      known.set(placeOf(name, address), true);
    },
  };
}
