import { JetStreamApiError, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import { messageOf } from '../../core/errors.ts';
import type { ShardMap } from '../../core/shards.ts';
import { consumerName, LEDGER_API, STREAM } from '../../core/subjects.ts';
import { type Trouble, trouble } from './trouble.ts';

/** Above this share of its limit the stream counts as nearly full. */
const NEARLY_FULL = 0.8;
const PATIENCE_MS = 2_000;

export interface StreamStatus {
  /** Whether NATS said anything; null in the rest: it did not, or there is no stream. */
  answers: boolean;
  messages: number | null;
  bytes: number | null;
  limit_bytes: number | null;
}

interface NatsLook {
  stream: StreamStatus;
  waiting: Map<string, number>;
  problems: Trouble[];
}

export async function lookAtNats(options: NodeConnectionOptions, shards: ShardMap): Promise<NatsLook> {
  const look: NatsLook = {
    stream: { answers: false, messages: null, bytes: null, limit_bytes: null },
    waiting: new Map(),
    problems: [],
  };
  try {
    const connection = await connect({ ...options, reconnect: false, timeout: PATIENCE_MS });
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: PATIENCE_MS, apiPrefix: LEDGER_API });
      const stream = await unlessMissing(manager.streams.info(STREAM));
      look.stream = describeStream(stream);
      if (!stream) look.problems.push(trouble('nats', 'stream-missing'));
      else if (stream.config.max_bytes > 0 && stream.state.bytes > NEARLY_FULL * stream.config.max_bytes)
        look.problems.push(trouble('nats', 'stream-full', `${Math.round((100 * stream.state.bytes) / stream.config.max_bytes)} %`));
      for (const { name } of stream ? shards.list : []) {
        const consumer = await unlessMissing(manager.consumers.info(STREAM, consumerName(name)));
        if (consumer) look.waiting.set(name, consumer.num_pending + consumer.num_ack_pending);
        else look.problems.push(trouble(`shard ${name}`, 'consumer-missing'));
      }
    } finally {
      await connection.close();
    }
  } catch (error) {
    look.problems.push(trouble('nats', 'nats-unreachable', messageOf(error)));
  }
  return look;
}

function describeStream(stream: StreamInfo | undefined): StreamStatus {
  if (!stream) return { answers: true, messages: null, bytes: null, limit_bytes: null };
  return { answers: true, messages: stream.state.messages, bytes: stream.state.bytes, limit_bytes: stream.config.max_bytes };
}

/** What JetStream says; undefined where it says that there is no such stream or consumer. */
async function unlessMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return undefined;
    throw error;
  }
}
