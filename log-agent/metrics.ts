import { Counter, type Registry } from 'prom-client';
import { diskOf } from '../core/files.ts';
import { watchShards, watchValue } from '../core/metrics.ts';
import { oneAtATime } from '../core/time.ts';
import type { Agent, Lag } from './agent.ts';
import { FOLLOW_EVENTS, type Logs } from './follow.ts';
import { ageSeconds } from './health.ts';
import type { Salts } from './salt.ts';

export interface AgentMetrics {
  readBytes: Counter;
  lines: Counter;
  batches: Counter;
  publishFailures: Counter;
  saltFailures: Counter;
  logEvents: Counter;
  deletedLogs: Counter;
}

/** What is counted as it happens. */
export function createAgentMetrics(registry: Registry): AgentMetrics {
  const registers = [registry];
  const metrics: AgentMetrics = {
    readBytes: new Counter({ name: 'clickledger_agent_read_bytes_total', help: 'Bytes of logs read, repetitions included', registers }),
    lines: new Counter({ name: 'clickledger_agent_lines_total', help: 'Lines read, repetitions included', registers }),
    batches: new Counter({
      name: 'clickledger_agent_batches_total',
      help: 'Batches stored by JetStream',
      labelNames: ['shard'],
      registers,
    }),
    publishFailures: new Counter({
      name: 'clickledger_agent_publish_failures_total',
      help: 'Batches not stored, by reason',
      labelNames: ['reason'],
      registers,
    }),
    saltFailures: new Counter({
      name: 'clickledger_agent_salt_failures_total',
      help: 'Failed attempts to agree on the salt of a day; nothing is shipped meanwhile',
      registers,
    }),
    logEvents: new Counter({
      name: 'clickledger_agent_log_events_total',
      help: 'Things that should not happen to a log',
      labelNames: ['event'],
      registers,
    }),
    deletedLogs: new Counter({ name: 'clickledger_agent_deleted_logs_total', help: 'Log files deleted after release', registers }),
  };
  // A counter that first appears with its first event has no rate there: alarms would miss it.
  for (const event of FOLLOW_EVENTS) metrics.logEvents.inc({ event }, 0);
  return metrics;
}

/** What is looked up whenever somebody asks. */
export function watchAgent(registry: Registry, deps: { agent: Agent; follower: Logs; salts: Salts; logDir: string }): void {
  const { agent, follower, salts, logDir } = deps;
  const lag = oneAtATime(() => agent.lag());
  const byShard = (name: string, help: string, value: (lag: Lag) => number): void =>
    watchShards(registry, name, help, async () => (await lag()).map((one) => [one.shard, value(one)]));
  byShard('clickledger_agent_unshipped_bytes', 'Bytes of logs not committed', ({ unshippedBytes }) => unshippedBytes);
  byShard('clickledger_agent_unconfirmed_bytes', 'Bytes of logs published and not committed', ({ unconfirmedBytes }) => unconfirmedBytes);
  byShard('clickledger_agent_oldest_unshipped_seconds', 'Age of the oldest hit that is not committed; 0 where none waits', ageSeconds);
  watchValue(registry, 'clickledger_agent_generations', 'Generations in the log directory', () => follower.generations.length);
  watchValue(registry, 'clickledger_agent_salts', 'Days whose salt is in memory', () => salts.held());
  const disk = oneAtATime(() => diskOf(logDir));
  watchValue(registry, 'clickledger_agent_log_disk_free_bytes', 'Room left where the logs are', async () => (await disk()).freeBytes);
  watchValue(registry, 'clickledger_agent_log_disk_size_bytes', 'How large that file system is', async () => (await disk()).sizeBytes);
}
