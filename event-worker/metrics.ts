import { Counter, Histogram, type Registry } from 'prom-client';
import { DEAD_REASONS, SKIP_REASONS } from '../core/event.ts';
import { FOLD_REASONS } from './fold-values.ts';

export interface WorkerMetrics {
  commits: Counter;
  events: Counter;
  batches: Counter;
  judged: Counter;
  repeated: Counter;
  unreadable: Counter;
  deadLetters: Counter;
  skipped: Counter;
  folded: Counter;
  beyondSize: Counter;
  failures: Counter;
  endedQueries: Counter;
  deletedStreams: Counter;
  commitSeconds: Histogram;
}

/** Creates the counters and histograms of a worker that serves `shards`. */
export function createWorkerMetrics(registry: Registry, shards: readonly string[]): WorkerMetrics {
  const registers = [registry];
  const metrics: WorkerMetrics = {
    commits: new Counter({ name: 'clickledger_worker_commits_total', help: 'Transactions committed', labelNames: ['shard'], registers }),
    events: new Counter({ name: 'clickledger_worker_events_total', help: 'Events committed', labelNames: ['shard'], registers }),
    batches: new Counter({ name: 'clickledger_worker_batches_total', help: 'Batches committed', labelNames: ['shard'], registers }),
    judged: new Counter({
      name: 'clickledger_worker_judged_events_total',
      help: 'Events that the judge has added to the rollups',
      labelNames: ['shard'],
      registers,
    }),
    repeated: new Counter({
      name: 'clickledger_worker_repeated_batches_total',
      help: 'Batches dropped because some of their bytes were already committed',
      labelNames: ['shard'],
      registers,
    }),
    unreadable: new Counter({
      name: 'clickledger_worker_unreadable_messages_total',
      help: 'Messages that are not a batch; the agent publishes their bytes again',
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
      help: 'Lines that are not counted, by reason',
      labelNames: ['shard', 'reason'],
      registers,
    }),
    folded: new Counter({
      name: 'clickledger_worker_folded_hits_total',
      help: 'Hits stored with (other) in the place of their own referrer or version, by reason: the list of referrers or of user agents is full, or no client has this version yet',
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
    endedQueries: new Counter({
      name: 'clickledger_worker_ended_queries_total',
      help: 'Transactions of the analyst that took longer than ANALYST_MAX_SECONDS and were ended',
      registers,
    }),
    deletedStreams: new Counter({
      name: 'clickledger_worker_deleted_streams_total',
      help: 'Streams that were empty and stored nothing, so that they were deleted and created again',
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'clickledger_worker_commit_seconds',
      help: 'Time to commit a group of batches',
      labelNames: ['shard'],
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    }),
  };
  // All counters start at 0. If a counter first appeared with the value 1, Prometheus would not see an increase, and an alert would miss
  // the event.
  for (const shard of shards) {
    for (const counter of [metrics.commits, metrics.events, metrics.batches, metrics.judged]) counter.inc({ shard }, 0);
    for (const counter of [metrics.repeated, metrics.unreadable, metrics.beyondSize]) counter.inc({ shard }, 0);
    for (const reason of DEAD_REASONS) metrics.deadLetters.inc({ shard, reason }, 0);
    for (const reason of SKIP_REASONS) metrics.skipped.inc({ shard, reason }, 0);
    for (const reason of FOLD_REASONS) metrics.folded.inc({ shard, reason }, 0);
  }
  return metrics;
}
