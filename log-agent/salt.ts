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
//
// The bucket can lose a salt, for example with the disks of the NATS servers. If an agent then created another salt for the same day, it would
// count visitors of this day again. So each agent puts the salt of the current day back while it runs. Salts of earlier days are not put back,
// because each would live for another 48 hours.

export type Salt = string;

const LIFETIME_MS = 48 * 3600_000;
const PUT_BACK_EVERY_MS = 5_000;

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
  /** Puts the salt of the current day back whenever the bucket has lost it. Runs until the signal aborts; never rejects. */
  keepInBucket(signal: AbortSignal): Promise<void>;
}

export function createSalts(deps: {
  connection: NatsConnection;
  /** The number of NATS servers that store the bucket, if it does not exist yet. */
  replicas: number;
  log: Logger;
  metrics: AgentMetrics;
  now?: () => number;
  putBackEveryMs?: number;
}): Salts {
  const { connection, replicas, log, metrics, now = Date.now, putBackEveryMs = PUT_BACK_EVERY_MS } = deps;
  const known = new Map<string, Salt>();
  // `checkAPI` would query the whole account, for which an agent has no permission.
  const buckets = new Kvm(jetstream(connection, { apiPrefix: SALTS_API, checkAPI: false }));

  const isExpired = (day: string): boolean => now() > Date.parse(day) + 24 * 3600_000 + LIFETIME_MS;

  /** Returns the salt in the bucket. If there is none, `fresh` becomes the salt. */
  async function agreeOnSalt(day: string, fresh: Salt): Promise<Salt> {
    const bucket = await buckets.create(SALT_BUCKET, { ttl: LIFETIME_MS, history: 1, replicas });
    const found = await bucket.get(day);
    if (found) return found.string();
    try {
      await bucket.create(day, fresh);
      return fresh;
    } catch (error) {
      const other = await bucket.get(day);
      if (other) return other.string();
      throw error;
    }
  }

  /** The days for which another agent has created a second salt. */
  const doubled = new Set<string>();

  async function putBack(): Promise<void> {
    const day = dayOf(now());
    const salt = known.get(day);
    if (salt === undefined || (await agreeOnSalt(day, salt)) === salt || doubled.has(day)) return;
    doubled.add(day);
    metrics.secondSalts.inc();
    log.warn(
      { day },
      'NATS had lost the salt of the day, and another agent created a second one; some visitors of this day are counted twice',
    );
  }

  return {
    async keepInBucket(signal) {
      for (;;) {
        await sleep(putBackEveryMs, signal);
        if (signal.aborted) return;
        await putBack().catch((error: unknown) => log.debug({ err: error }, 'cannot look for the salt of the day'));
      }
    },
    count: () => known.size,
    async of(day, signal) {
      for (;;) {
        for (const old of known.keys()) if (isExpired(old)) known.delete(old);
        if (isExpired(day)) return null;
        const cached = known.get(day);
        if (cached !== undefined) return cached;
        signal.throwIfAborted();
        try {
          known.set(day, await agreeOnSalt(day, randomBytes(16).toString('hex')));
        } catch (error) {
          metrics.saltFailures.inc();
          log.warn({ err: error, day }, 'cannot read or create the salt of the day in NATS; nothing is shipped until NATS answers');
          await sleep(1000, signal);
        }
      }
    },
  };
}
