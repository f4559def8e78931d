import { type JetStreamClient, jetstream, JetStreamApiError } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '../core/log.ts';
import { eventsSubject } from '../core/subjects.ts';
import { sleep } from '../core/time.ts';
import type { AgentMetrics } from './metrics.ts';

// Sends batches to JetStream, several at once. An ack only paces: whether a batch arrived is for the ledger to say.

/** Told how a message fared. */
export interface Delivery {
  stored(sequence: number): void;
  failed(): void;
}

export interface Publisher {
  /** Resolves when there is room for the next message, not when this one is stored. Never rejects. */
  send(shard: string, payload: Buffer, delivery: Delivery, what: string): Promise<void>;
  /** Resolves when nothing is on its way any more. */
  drained(): Promise<void>;
  /** Why the last batch was not stored, if it was not. */
  refused(): 'stream-full' | 'publish-failing' | undefined;
}

const MAX_UNACKED_BYTES = 8 * 1024 * 1024;
/** JetStream's error for a message that would make the stream larger than max_bytes. */
const STREAM_FULL = '10077';
/** After a refusal (the stream is full, or not there) the shard's next message waits this long. */
const PAUSE_MS = 500;

export function createPublisher(connection: NatsConnection, log: Logger, metrics: AgentMetrics): Publisher {
  const client: JetStreamClient = jetstream(connection, { timeout: 5_000 });
  const unacked = new Set<Promise<void>>();
  let unackedBytes = 0;
  let complaint: string | undefined;

  async function deliver(shard: string, payload: Buffer, delivery: Delivery, what: string): Promise<void> {
    unackedBytes += payload.length;
    try {
      const ack = await client.publish(eventsSubject(shard), payload, { retries: 0 });
      delivery.stored(ack.seq);
      metrics.batches.inc({ shard });
      complaint = undefined;
    } catch (error) {
      const reason = error instanceof JetStreamApiError ? String(error.code) : error instanceof Error ? error.name : 'unknown';
      metrics.publishFailures.inc({ reason });
      if (complaint !== reason) log.warn({ err: error, what }, 'a batch was not stored; it stays in the log until it is');
      complaint = reason;
      await sleep(PAUSE_MS);
      delivery.failed();
    } finally {
      unackedBytes -= payload.length;
    }
  }

  return {
    async send(shard, payload, delivery, what) {
      const delivered = deliver(shard, payload, delivery, what).finally(() => unacked.delete(delivered));
      unacked.add(delivered);
      while (unackedBytes > MAX_UNACKED_BYTES) await Promise.race(unacked);
    },
    async drained() {
      await Promise.all(unacked);
    },
    refused() {
      if (complaint === undefined) return undefined;
      return complaint === STREAM_FULL ? 'stream-full' : 'publish-failing';
    },
  };
}
