import { randomBytes } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '../core/log.ts';
import { sleep } from '../core/time.ts';
import { SALT_BUCKET, SALTS_API } from '../core/subjects.ts';
import type { AgentMetrics } from './metrics.ts';

// The day's salt: made at random by whichever agent needs it first, the same for all, gone after 48 hours, from then on nobody can
// tell who a visitor was. Agents agree through a KV bucket, because creating a key there succeeds only once.

export type Salt = string;

const LIFETIME_MS = 48 * 3600_000;

/** UTC day of an epoch-millisecond time, e.g. `2026-11-22`. */
export function dayOf(t: number): string {
  return new Date(t).toISOString().slice(0, 10);
}

export interface Salts {
  /**
   * The salt of a UTC day, or null where that day is over by more than 48 hours. Waits as long as the bucket is out of
   * reach: a visitor under another salt would count twice.
   */
  of(day: string, signal: AbortSignal): Promise<Salt | null>;
  /** How many days' salts are in memory. */
  held(): number;
}

export function createSalts(connection: NatsConnection, log: Logger, metrics: AgentMetrics, now: () => number = Date.now): Salts {
  const known = new Map<string, Salt>();
  // Without the look at the whole account, which is none of an agent's business.
  const buckets = new Kvm(jetstream(connection, { apiPrefix: SALTS_API, checkAPI: false }));

  const isOver = (day: string): boolean => now() > Date.parse(day) + 24 * 3600_000 + LIFETIME_MS;

  async function agree(day: string): Promise<Salt> {
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
    held: () => known.size,
    async of(day, signal) {
      for (;;) {
        for (const old of known.keys()) if (isOver(old)) known.delete(old);
        if (isOver(day)) return null;
        const cached = known.get(day);
        if (cached !== undefined) return cached;
        signal.throwIfAborted();
        try {
          known.set(day, await agree(day));
        } catch (error) {
          metrics.saltFailures.inc();
          log.warn({ err: error, day }, 'cannot agree on the salt of the day; nothing is shipped until NATS answers');
          await sleep(1000, signal);
        }
      }
    },
  };
}
