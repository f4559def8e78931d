import { randomBytes } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '../core/log.ts';
import { sleep } from '../core/time.ts';
import { SALT_BUCKET, SALTS_API } from '../core/subjects.ts';
import type { AgentMetrics } from './metrics.ts';

// The salt of a day. The first agent that needs the salt creates a random value, and all agents use the same value. They agree through a
// NATS KV bucket, in which a key can be created only once. The salt is deleted after 48 hours; then no visitor number can be recomputed.

export type Salt = string;

const LIFETIME_MS = 48 * 3600_000;

/** The UTC day of a time in epoch milliseconds, e.g. `2026-11-22`. */
export function dayOf(t: number): string {
  return new Date(t).toISOString().slice(0, 10);
}

export interface Salts {
  /**
   * The salt of a UTC day, or null if that day ended more than 48 hours ago. Waits while the bucket cannot be reached, because a visitor
   * with a second salt would be counted twice. Rejects when the signal aborts.
   */
  of(day: string, signal: AbortSignal): Promise<Salt | null>;
  /** The number of salts in memory. */
  count(): number;
}

export function createSalts(connection: NatsConnection, log: Logger, metrics: AgentMetrics, now: () => number = Date.now): Salts {
  const known = new Map<string, Salt>();
  // `checkAPI` would query the whole account, for which an agent has no permission.
  const buckets = new Kvm(jetstream(connection, { apiPrefix: SALTS_API, checkAPI: false }));

  const isExpired = (day: string): boolean => now() > Date.parse(day) + 24 * 3600_000 + LIFETIME_MS;

  async function agreeOnSalt(day: string): Promise<Salt> {
    const bucket = await buckets.create(SALT_BUCKET, { ttl: LIFETIME_MS, history: 1 });
    const found = await bucket.get(day);
    if (found) return found.string();
    const fresh = randomBytes(16).toString('hex');
    try {
      await bucket.create(day, fresh);
      return fresh;
    } catch (error) {
      const other = await bucket.get(day);
      if (other) return other.string();
      throw error;
    }
  }

  return {
    count: () => known.size,
    async of(day, signal) {
      for (;;) {
        for (const old of known.keys()) if (isExpired(old)) known.delete(old);
        if (isExpired(day)) return null;
        const cached = known.get(day);
        if (cached !== undefined) return cached;
        signal.throwIfAborted();
        try {
          known.set(day, await agreeOnSalt(day));
        } catch (error) {
          metrics.saltFailures.inc();
          log.warn({ err: error, day }, 'cannot read or create the salt of the day in NATS; nothing is shipped until NATS answers');
          await sleep(1000, signal);
        }
      }
    },
  };
}
