import type { JetStreamManager } from '@nats-io/jetstream';
import type { Registry } from 'prom-client';
import { watchShards, watchValue } from '../core/metrics.ts';
import type { Pool } from '../core/postgres.ts';
import { consumerName, STREAM } from '../core/subjects.ts';
import { oneAtATime, orTimeout } from '../core/time.ts';
import type { ShardWorker } from './shard-worker.ts';

/** One shard as its worker and its database know it. */
export interface WatchedShard {
  name: string;
  worker: ShardWorker;
  pool: Pool;
}

/** How long a look may keep a scrape waiting. */
const PATIENCE_MS = 1_000;

/** What is looked up whenever somebody asks. */
export function watchWorker(
  registry: Registry,
  deps: { shards: readonly WatchedShard[]; streams: JetStreamManager; reached: () => boolean },
): void {
  const { shards, streams, reached } = deps;
  const look = oneAtATime(() => lookAtStream(streams, shards));
  const stream = async (): Promise<StreamLook | undefined> => (reached() ? orTimeout(look(), PATIENCE_MS) : undefined);
  watchValue(
    registry,
    'clickledger_worker_stream_messages',
    'Batches in the stream, of all shards',
    async () => (await stream())?.messages,
  );
  watchValue(registry, 'clickledger_worker_stream_bytes', 'How much the stream holds', async () => (await stream())?.bytes);
  watchValue(registry, 'clickledger_worker_stream_limit_bytes', 'How much it may hold', async () => (await stream())?.limitBytes);

  const byShard = (name: string, help: string, value: (one: Pending) => number): void =>
    watchShards(registry, name, help, async () => (await stream())?.pending.map((one) => [one.shard, value(one)]));
  byShard('clickledger_worker_pending_messages', 'Batches published and not acked', ({ messages }) => messages);
  byShard('clickledger_worker_pending_bytes', 'The same in bytes, by the mean size of a message', ({ bytes }) => bytes);
  byShard('clickledger_worker_oldest_pending_seconds', 'Age of the oldest batch that is not acked; 0 where none waits', ({ oldestMs }) =>
    oldestMs === undefined ? 0 : Math.max(0, (Date.now() - oldestMs) / 1000),
  );

  const marks = shards.map(({ name, pool }) => ({ name, count: oneAtATime(() => countMarks(pool)) }));
  watchShards(
    registry,
    'clickledger_worker_waiting_marks',
    'Hits that wait for the judge; beyond a million they are not counted',
    async () => {
      const counted = await Promise.all(
        marks.map(async ({ name, count }) => [name, await orTimeout(count(), PATIENCE_MS).catch(() => undefined)] as const),
      );
      return counted.flatMap(([name, count]) => (count === undefined ? [] : [[name, count] as const]));
    },
  );
  watchShards(registry, 'clickledger_worker_judge_delay_seconds', 'Since everything that waited had been judged', () =>
    shards.map(({ name, worker }) => [name, worker.judgedAgoMs() / 1000]),
  );
}

interface Pending {
  shard: string;
  messages: number;
  bytes: number;
  oldestMs: number | undefined;
}

interface StreamLook {
  messages: number;
  bytes: number;
  limitBytes: number;
  pending: Pending[];
}

async function lookAtStream(streams: JetStreamManager, shards: readonly WatchedShard[]): Promise<StreamLook> {
  const { state, config } = await streams.streams.info(STREAM);
  const bytesEach = state.bytes / Math.max(1, state.messages);
  const pending: Pending[] = [];
  for (const { name, worker } of shards) {
    // A consumer that is missing says nothing; the worker is about to make it.
    const consumer = await streams.consumers.info(STREAM, consumerName(name)).catch(() => undefined);
    if (!consumer) continue;
    const messages = consumer.num_pending + consumer.num_ack_pending;
    // What this worker does not hold itself is at most as old as the oldest message in the stream.
    const oldestMs = messages === 0 ? undefined : (worker.oldestHeldMs() ?? Date.parse(state.first_ts));
    pending.push({ shard: name, messages, bytes: Math.round(messages * bytesEach), oldestMs });
  }
  return { messages: state.messages, bytes: state.bytes, limitBytes: config.max_bytes, pending };
}

async function countMarks(pool: Pool): Promise<number | undefined> {
  const { rows } = await pool.query<{ marks: number }>('SELECT shard.waiting_marks() AS marks');
  return rows[0]?.marks;
}
