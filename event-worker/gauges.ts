import type { JetStreamManager } from '@nats-io/jetstream';
import type { Registry } from 'prom-client';
import { addGauge, addShardGauge } from '../core/metrics.ts';
import { currentReplicas } from '../core/replicas.ts';
import type { Pool } from '../core/postgres.ts';
import { consumerName, STREAM } from '../core/subjects.ts';
import { orUndefinedAfter, singleFlight } from '../core/time.ts';
import type { ShardWorker } from './shard-worker.ts';

// The gauges of a worker. Their values are read from JetStream and Postgres when Prometheus scrapes them.

/** A shard that this worker serves. */
export interface ObservedShard {
  name: string;
  worker: ShardWorker;
  pool: Pool;
}

/** The longest time that reading a value may delay a scrape. */
const TIMEOUT_MS = 1_000;

/** Adds the gauges of the stream, the consumers and the judge. `isConnected`: whether NATS is connected at the moment. */
export function addWorkerGauges(
  registry: Registry,
  deps: { shards: readonly ObservedShard[]; streams: JetStreamManager; isConnected: () => boolean },
): void {
  const { shards, streams, isConnected } = deps;
  const readState = singleFlight(() => readStreamState(streams, shards));
  const stream = async (): Promise<StreamState | undefined> => (isConnected() ? orUndefinedAfter(readState(), TIMEOUT_MS) : undefined);
  addGauge(registry, 'clickledger_worker_stream_messages', 'Batches in the stream, of all shards', async () => (await stream())?.messages);
  addGauge(registry, 'clickledger_worker_stream_bytes', 'Size of the stream', async () => (await stream())?.bytes);
  addGauge(registry, 'clickledger_worker_stream_limit_bytes', 'Maximum size of the stream', async () => (await stream())?.limitBytes);
  addGauge(registry, 'clickledger_worker_stream_replicas', 'Servers that store each batch', async () => (await stream())?.replicas);
  addGauge(
    registry,
    'clickledger_worker_stream_current_replicas',
    'Servers that have all batches of the stream at the moment',
    async () => (await stream())?.currentReplicas,
  );
  addGauge(registry, 'clickledger_worker_stream_available', 'Whether the stream answers and has a leader: 1 or 0', async () =>
    (await stream().catch(() => undefined))?.hasLeader ? 1 : 0,
  );

  const byShard = (name: string, help: string, value: (backlog: Backlog) => number): void =>
    addShardGauge(registry, name, help, async () => (await stream())?.backlogs.map((backlog) => [backlog.shard, value(backlog)]));
  byShard('clickledger_worker_pending_messages', 'Batches published and not acked', ({ messages }) => messages);
  byShard(
    'clickledger_worker_pending_bytes',
    'Bytes published and not acked, estimated by the mean size of a message',
    ({ bytes }) => bytes,
  );
  byShard('clickledger_worker_oldest_pending_seconds', 'Age of the oldest batch that is not acked; 0 if there is none', ({ oldestMs }) =>
    oldestMs === undefined ? 0 : Math.max(0, (Date.now() - oldestMs) / 1000),
  );

  const unjudged = shards.map(({ name, pool }) => ({ name, count: singleFlight(() => countUnjudged(pool)) }));
  addShardGauge(registry, 'clickledger_worker_unjudged_hits', 'Hits that the judge has not looked at yet', async () => {
    const counted = await Promise.all(
      unjudged.map(async ({ name, count }) => [name, await orUndefinedAfter(count(), TIMEOUT_MS).catch(() => undefined)] as const),
    );
    return counted.flatMap(([name, count]) => (count === undefined ? [] : [[name, count] as const]));
  });
  addShardGauge(registry, 'clickledger_worker_judge_delay_seconds', 'Time since the judge last had nothing left to process', () =>
    shards.map(({ name, worker }) => [name, worker.judgedAgoMs() / 1000]),
  );
}

/** The batches of a shard that are published and not acked. */
interface Backlog {
  shard: string;
  messages: number;
  /** Estimated by the mean size of a message. */
  bytes: number;
  /** The time at which the oldest batch was stored in the stream, in epoch milliseconds; undefined if there is no batch. */
  oldestMs: number | undefined;
}

interface StreamState {
  messages: number;
  bytes: number;
  limitBytes: number;
  replicas: number;
  currentReplicas: number;
  hasLeader: boolean;
  backlogs: Backlog[];
}

async function readStreamState(streams: JetStreamManager, shards: readonly ObservedShard[]): Promise<StreamState> {
  const info = await streams.streams.info(STREAM);
  const { state, config, cluster } = info;
  const meanBytes = state.bytes / Math.max(1, state.messages);
  const backlogs: Backlog[] = [];
  for (const { name, worker } of shards) {
    // If the consumer does not exist, the shard has no value. The worker is about to create the consumer.
    const consumer = await streams.consumers.info(STREAM, consumerName(name)).catch(() => undefined);
    if (!consumer) continue;
    const messages = consumer.num_pending + consumer.num_ack_pending;
    // A batch that this worker does not hold is at most as old as the oldest message in the stream.
    const oldestMs = messages === 0 ? undefined : (worker.oldestHeldMs() ?? Date.parse(state.first_ts));
    backlogs.push({ shard: name, messages, bytes: Math.round(messages * meanBytes), oldestMs });
  }
  return {
    messages: state.messages,
    bytes: state.bytes,
    limitBytes: config.max_bytes,
    replicas: config.num_replicas,
    currentReplicas: currentReplicas(info),
    hasLeader: cluster === undefined || Boolean(cluster.leader),
    backlogs,
  };
}

async function countUnjudged(pool: Pool): Promise<number | undefined> {
  const { rows } = await pool.query<{ hits: number }>('SELECT shard.unjudged_hits() AS hits');
  return rows[0]?.hits;
}
