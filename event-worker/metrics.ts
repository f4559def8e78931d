import type { JetStreamManager } from '@nats-io/jetstream';
import { Counter, Histogram, type Registry } from 'prom-client';
import { DEAD_REASONS, SKIP_REASONS } from '../core/event.ts';
import { watchShards, watchValue } from '../core/metrics.ts';
import type { Pool } from '../core/postgres.ts';
import { consumerName, STREAM } from '../core/subjects.ts';
import { oneAtATime, orTimeout } from '../core/time.ts';
import type { ShardWorker } from './shard-worker.ts';

export interface WorkerMetrics {
  commits: Counter;
  events: Counter;
  batches: Counter;
  judged: Counter;
  repeated: Counter;
  unreadable: Counter;
  deadLetters: Counter;
  skipped: Counter;
  beyondSize: Counter;
  failures: Counter;
  commitSeconds: Histogram;
}

/** What is counted as it happens, on these shards. */
export function createWorkerMetrics(registry: Registry, shards: readonly string[]): WorkerMetrics {
  const registers = [registry];
  const metrics: WorkerMetrics = {
    commits: new Counter({ name: 'clickledger_worker_commits_total', help: 'Transactions committed', labelNames: ['shard'], registers }),
    events: new Counter({ name: 'clickledger_worker_events_total', help: 'Events committed', labelNames: ['shard'], registers }),
    batches: new Counter({ name: 'clickledger_worker_batches_total', help: 'Batches committed', labelNames: ['shard'], registers }),
    judged: new Counter({
      name: 'clickledger_worker_judged_events_total',
      help: 'Events taken into the rollups',
      labelNames: ['shard'],
      registers,
    }),
    repeated: new Counter({
      name: 'clickledger_worker_repeated_batches_total',
      help: 'Batches dropped because their bytes were committed already',
      labelNames: ['shard'],
      registers,
    }),
    unreadable: new Counter({
      name: 'clickledger_worker_unreadable_messages_total',
      help: 'Messages that are no batch; what they stood for is published again',
      labelNames: ['shard'],
      registers,
    }),
    deadLetters: new Counter({
      name: 'clickledger_worker_dead_letters_total',
      help: 'Dead letters by reason',
      labelNames: ['shard', 'reason'],
      registers,
    }),
    skipped: new Counter({
      name: 'clickledger_worker_skipped_lines_total',
      help: 'Lines that are no hit, by reason',
      labelNames: ['shard', 'reason'],
      registers,
    }),
    beyondSize: new Counter({
      name: 'clickledger_worker_beyond_size_total',
      help: 'Batches beyond the recorded size of a final generation',
      labelNames: ['shard'],
      registers,
    }),
    failures: new Counter({
      name: 'clickledger_worker_failures_total',
      help: 'Failed attempts to commit, by code',
      labelNames: ['shard', 'code'],
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'clickledger_worker_commit_seconds',
      help: 'From a full group to its COMMIT',
      labelNames: ['shard'],
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
  };
  // A counter that first appears with its first event has no rate there: alarms would miss it.
  for (const shard of shards) {
    for (const counter of [metrics.commits, metrics.events, metrics.batches, metrics.judged]) counter.inc({ shard }, 0);
    for (const counter of [metrics.repeated, metrics.unreadable, metrics.beyondSize]) counter.inc({ shard }, 0);
    for (const reason of DEAD_REASONS) metrics.deadLetters.inc({ shard, reason }, 0);
    for (const reason of SKIP_REASONS) metrics.skipped.inc({ shard, reason }, 0);
  }
  return metrics;
}

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
