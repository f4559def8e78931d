import { Counter, type Registry } from 'prom-client';
import { FOLLOW_EVENTS } from './follow.ts';

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
