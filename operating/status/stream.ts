import { JetStreamApiError, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import { messageOf } from '../../core/errors.ts';
import type { ShardMap } from '../../core/shards.ts';
import { consumerName, LEDGER_API, STREAM } from '../../core/subjects.ts';
import { statusProblem, type StatusProblem } from './status-problem.ts';

/** The stream is reported as nearly full above this fraction of its limit. */
const NEARLY_FULL = 0.8;
const TIMEOUT_MS = 2_000;

/** The state of the stream. The values are null if NATS does not answer or if the stream does not exist. */
export interface StreamStatus {
  /** Whether NATS answers. */
  answers: boolean;
  messages: number | null;
  bytes: number | null;
  limit_bytes: number | null;
}

interface NatsStatus {
  stream: StreamStatus;
  /** The number of batches that are published and not acked, by shard. */
  waiting: Map<string, number>;
  problems: StatusProblem[];
}

/** Reads the state of the stream and of its consumers. Never throws: an error is one of the problems in the result. */
export async function readNats(options: NodeConnectionOptions, shards: ShardMap): Promise<NatsStatus> {
  const status: NatsStatus = {
    stream: { answers: false, messages: null, bytes: null, limit_bytes: null },
    waiting: new Map(),
    problems: [],
  };
  try {
    const connection = await connect({ ...options, reconnect: false, timeout: TIMEOUT_MS });
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: TIMEOUT_MS, apiPrefix: LEDGER_API });
      const stream = await undefinedIfMissing(manager.streams.info(STREAM));
      status.stream = describeStream(stream);
      if (!stream) status.problems.push(statusProblem('nats', 'stream-missing'));
      else if (stream.config.max_bytes > 0 && stream.state.bytes > NEARLY_FULL * stream.config.max_bytes)
        status.problems.push(statusProblem('nats', 'stream-full', `${Math.round((100 * stream.state.bytes) / stream.config.max_bytes)} %`));
      for (const { name } of stream ? shards.list : []) {
        const consumer = await undefinedIfMissing(manager.consumers.info(STREAM, consumerName(name)));
        if (consumer) status.waiting.set(name, consumer.num_pending + consumer.num_ack_pending);
        else status.problems.push(statusProblem(`shard ${name}`, 'consumer-missing'));
      }
    } finally {
      await connection.close();
    }
  } catch (error) {
    status.problems.push(statusProblem('nats', 'nats-unreachable', messageOf(error)));
  }
  return status;
}

function describeStream(stream: StreamInfo | undefined): StreamStatus {
  if (!stream) return { answers: true, messages: null, bytes: null, limit_bytes: null };
  return { answers: true, messages: stream.state.messages, bytes: stream.state.bytes, limit_bytes: stream.config.max_bytes };
}

/** Resolves with the response of JetStream, or with undefined if the stream or the consumer does not exist. */
async function undefinedIfMissing<T>(response: Promise<T>): Promise<T | undefined> {
  try {
    return await response;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return undefined;
    throw error;
  }
}
