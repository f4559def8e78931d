import { JetStreamApiError, jetstreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import { messageOf } from '../../core/errors.ts';
import { currentReplicas } from '../../core/replicas.ts';
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
  /** The number of servers that store each message; how many of them have all messages now; and the name of the leader, only in a cluster. */
  replicas: number | null;
  current_replicas: number | null;
  leader: string | null;
}

const UNKNOWN: Omit<StreamStatus, 'answers'> = {
  messages: null,
  bytes: null,
  limit_bytes: null,
  replicas: null,
  current_replicas: null,
  leader: null,
};
/** The error of JetStream while too few servers of a cluster work together. */
const UNAVAILABLE = 10008;
/** A replica from which the leader has heard nothing for this time is not only behind. */
const SILENT_NS = 10e9;

interface NatsStatus {
  stream: StreamStatus;
  /** The number of batches that are published and not acked, by shard. */
  waiting: Map<string, number>;
  problems: StatusProblem[];
}

/**
 * Reads the state of the stream and of its consumers. `replicas` is the number that the stream should have. Never throws: an error is one of
 * the problems in the result.
 */
export async function readNats(options: NodeConnectionOptions, shards: ShardMap, replicas: number): Promise<NatsStatus> {
  const status: NatsStatus = {
    stream: { answers: false, ...UNKNOWN },
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
      if (stream) status.problems.push(...problemsOfReplicas(stream, replicas));
      for (const { name } of stream ? shards.list : []) {
        const consumer = await undefinedIfMissing(manager.consumers.info(STREAM, consumerName(name)));
        if (consumer) status.waiting.set(name, consumer.num_pending + consumer.num_ack_pending);
        else status.problems.push(statusProblem(`shard ${name}`, 'consumer-missing'));
      }
    } finally {
      await connection.close();
    }
  } catch (error) {
    const isLeaderless = error instanceof JetStreamApiError && error.code === UNAVAILABLE;
    const isReported = status.problems.some(({ code }) => code === 'stream-leaderless');
    if (!isReported) status.problems.push(statusProblem('nats', isLeaderless ? 'stream-leaderless' : 'nats-unreachable', messageOf(error)));
  }
  return status;
}

function describeStream(stream: StreamInfo | undefined): StreamStatus {
  if (!stream) return { answers: true, ...UNKNOWN };
  const { state, config, cluster } = stream;
  return {
    answers: true,
    messages: state.messages,
    bytes: state.bytes,
    limit_bytes: config.max_bytes,
    replicas: config.num_replicas,
    current_replicas: currentReplicas(stream),
    leader: cluster?.leader ?? null,
  };
}

function problemsOfReplicas({ config, cluster }: StreamInfo, wanted: number): StatusProblem[] {
  const problems: StatusProblem[] = [];
  if (config.num_replicas < wanted) problems.push(statusProblem('nats', 'replicas-few', `${config.num_replicas} of ${wanted}`));
  if (cluster && !cluster.leader) problems.push(statusProblem('nats', 'stream-leaderless'));
  for (const { name, current, offline, active, lag } of cluster?.replicas ?? []) {
    // nats-server 2.9 sets `offline` late or never.
    if (offline || (!current && active > SILENT_NS)) problems.push(statusProblem(`nats ${name}`, 'replica-offline'));
    else if (!current) problems.push(statusProblem(`nats ${name}`, 'replica-behind', lag ? `${lag} messages` : undefined));
  }
  return problems;
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
