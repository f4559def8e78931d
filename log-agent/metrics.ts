import { Counter, type Registry } from 'prom-client';
import { FOLLOW_EVENTS } from './follow.ts';

export interface AgentMetrics {
  readBytes: Counter;
  lines: Counter;
  batches: Counter;
  publishFailures: Counter;
  saltFailures: Counter;
  secondSalts: Counter;
  logEvents: Counter;
  deletedLogs: Counter;
}

/** Creates the counters of the agent. */
export function createAgentMetrics(registry: Registry): AgentMetrics {
  const registers = [registry];
  const metrics: AgentMetrics = {
    readBytes: new Counter({ name: 'clickledger_agent_read_bytes_total', help: 'Bytes of logs read, including repeated reads', registers }),
    lines: new Counter({ name: 'clickledger_agent_lines_total', help: 'Lines read, including repeated reads', registers }),
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
      help: 'Failed attempts to read or create the salt of a day; nothing is shipped until one succeeds',
      registers,
    }),
    secondSalts: new Counter({
      name: 'clickledger_agent_second_salts_total',
      help: 'Days for which a second salt was created because NATS had lost the first one; some visitors of these days are counted twice',
      registers,
    }),
    logEvents: new Counter({
      name: 'clickledger_agent_log_events_total',
      help: 'Unusual events of log files, by event',
      labelNames: ['event'],
      registers,
    }),
    deletedLogs: new Counter({
      name: 'clickledger_agent_deleted_logs_total',
      help: 'Log files deleted after they were committed',
      registers,
    }),
  };
  // Without this, a counter would appear only with its first event. Prometheus could not compute a rate for this event, and an alarm would
  // miss it.
  for (const event of FOLLOW_EVENTS) metrics.logEvents.inc({ event }, 0);
  return metrics;
}
