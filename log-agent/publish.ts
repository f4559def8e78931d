import { type JetStreamClient, jetstream, JetStreamApiError } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from '../core/log.ts';
import { eventsSubject } from '../core/subjects.ts';
import { sleep } from '../core/time.ts';
import type { AgentMetrics } from './metrics.ts';

// Publishes batches to JetStream, several at the same time. An ack of JetStream only controls the pace. Only the ledger shows whether a
// batch is committed.

/** Called with the result of publishing one message. */
export interface DeliveryCallbacks {
  stored(sequence: number): void;
  failed(): void;
}

export interface Publisher {
  /**
   * Resolves when the next message may be sent, not when this message is stored. `batch` is the name of the batch in the log. Never
   * rejects.
   */
  send(shard: string, payload: Buffer, delivery: DeliveryCallbacks, batch: string): Promise<void>;
  /** Resolves when every message sent so far is stored or has failed. */
  flushed(): Promise<void>;
  /** Returns the reason why the last batch was not stored, or undefined if it was stored. */
  failure(): 'stream-full' | 'publish-failing' | undefined;
}

const MAX_UNACKED_BYTES = 8 * 1024 * 1024;
/** JetStream's error for a message that it could not store. Its text has the reason. */
const NOT_STORED = 10077;
/** After a failure (the stream is full or does not exist), the lines stay in flight for this long before they can be published again. */
const RETRY_PAUSE_MS = 500;

export function createPublisher(connection: NatsConnection, log: Logger, metrics: AgentMetrics): Publisher {
  const client: JetStreamClient = jetstream(connection, { timeout: 5_000 });
  const unacked = new Set<Promise<void>>();
  let unackedBytes = 0;
  let lastFailure: string | undefined;

  async function publish(shard: string, payload: Buffer, delivery: DeliveryCallbacks, batch: string): Promise<void> {
    unackedBytes += payload.length;
    try {
      const ack = await client.publish(eventsSubject(shard), payload, { retries: 0 });
      delivery.stored(ack.seq);
      metrics.batches.inc({ shard });
      lastFailure = undefined;
    } catch (error) {
      const reason = reasonOf(error);
      metrics.publishFailures.inc({ reason });
      if (lastFailure !== reason) log.warn({ err: error, batch }, 'JetStream did not store a batch; it is published again from the log');
      lastFailure = reason;
      await sleep(RETRY_PAUSE_MS);
      delivery.failed();
    } finally {
      unackedBytes -= payload.length;
    }
  }

  return {
    async send(shard, payload, delivery, batch) {
      const published = publish(shard, payload, delivery, batch).finally(() => unacked.delete(published));
      unacked.add(published);
      while (unackedBytes > MAX_UNACKED_BYTES) await Promise.race(unacked);
    },
    async flushed() {
      await Promise.all(unacked);
    },
    failure() {
      if (lastFailure === undefined) return undefined;
      return lastFailure === 'stream-full' ? 'stream-full' : 'publish-failing';
    },
  };
}

/** Returns why a message was not stored: `stream-full`, another error code of JetStream, or the name of an error of the client. */
function reasonOf(error: unknown): string {
  if (!(error instanceof JetStreamApiError)) return error instanceof Error ? error.name : 'unknown';
  // JetStream uses the same code if the stream is full and if it cannot write to its disk.
  return error.code === NOT_STORED && /maximum (bytes|messages) exceeded/.test(error.message) ? 'stream-full' : String(error.code);
}
