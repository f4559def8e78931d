import { AckPolicy, DiscardPolicy, JetStreamApiError, type JetStreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { consumerName, eventsSubject, STREAM, STREAM_SUBJECTS } from '../core/subjects.ts';

// How long the messages of a killed worker wait for another. A commit that takes longer is only delivered twice, and dropped the second time.
const ACK_WAIT_NS = 10_000_000_000;
const MAX_ACK_PENDING = 512;
const NOT_FOUND = [404];

/**
 * Makes the stream and a shard's consumer where they are missing: at the first start, and after somebody deleted them or
 * wiped the store, from which the logs recover.
 */
export async function ensureConsumer(manager: JetStreamManager, shard: string, streamMaxBytes: number): Promise<void> {
  if (!(await exists(() => manager.streams.info(STREAM)))) {
    await manager.streams.add({
      name: STREAM,
      subjects: [STREAM_SUBJECTS],
      storage: StorageType.File,
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      max_bytes: streamMaxBytes,
    });
  }
  if (!(await exists(() => manager.consumers.info(STREAM, consumerName(shard))))) {
    await manager.consumers.add(STREAM, {
      durable_name: consumerName(shard),
      filter_subject: eventsSubject(shard),
      ack_policy: AckPolicy.Explicit,
      ack_wait: ACK_WAIT_NS,
      max_deliver: -1,
      max_ack_pending: MAX_ACK_PENDING,
    });
  }
}

async function exists(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (error instanceof JetStreamApiError && NOT_FOUND.includes(error.status)) return false;
    throw error;
  }
}
