import { AckPolicy, DiscardPolicy, JetStreamApiError, type JetStreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { consumerName, eventsSubject, STREAM, STREAM_SUBJECTS } from '../core/subjects.ts';

// The time after which JetStream delivers a message again if it was not acked, for example because the worker was killed. If a commit takes
// longer than this, its batches are delivered twice, and the second delivery is dropped.
const ACK_WAIT_NS = 10_000_000_000;
const MAX_ACK_PENDING = 512;
const NOT_FOUND = [404];

/** The size limit in bytes, and the number of servers that store each message, of a stream that is created. An existing stream keeps its own. */
export interface StreamSize {
  maxBytes: number;
  replicas: number;
}

/**
 * Creates the stream and the consumer of a shard if they do not exist: at the first start, or after they or all data of NATS were deleted.
 * After such a loss, the agents publish the lost batches again from the logs. A consumer has as many replicas as the stream.
 *
 * `beforeCreation` is awaited before the stream is created. When a stream is deleted, nats-server first removes it from its API, and a moment
 * later removes its directory. If the stream is created again in between, it loses its files, and delivers nothing until nats-server restarts.
 */
export async function ensureConsumer(
  manager: JetStreamManager,
  shard: string,
  { maxBytes, replicas }: StreamSize,
  beforeCreation?: () => Promise<unknown>,
): Promise<void> {
  const streamExists = (): Promise<boolean> => exists(() => manager.streams.info(STREAM));
  let isThere = await streamExists();
  if (!isThere && beforeCreation) {
    await beforeCreation();
    // Another worker may have created the stream in the meantime.
    isThere = await streamExists();
  }
  if (!isThere) {
    await manager.streams.add({
      name: STREAM,
      subjects: [STREAM_SUBJECTS],
      storage: StorageType.File,
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      max_bytes: maxBytes,
      num_replicas: replicas,
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

async function exists(readInfo: () => Promise<unknown>): Promise<boolean> {
  try {
    await readInfo();
    return true;
  } catch (error) {
    if (error instanceof JetStreamApiError && NOT_FOUND.includes(error.status)) return false;
    throw error;
  }
}
