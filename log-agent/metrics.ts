import { Counter, Gauge, type Registry } from 'prom-client';

export interface AgentMetrics {
  readBytes: Counter;
  lines: Counter;
  batches: Counter;
  publishFailures: Counter;
  unconfirmedBytes: Gauge;
  unshippedBytes: Gauge;
  generations: Gauge;
  logEvents: Counter;
  deletedLogs: Counter;
}

export function createAgentMetrics(registry: Registry): AgentMetrics {
  const registers = [registry];
  return {
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
    unconfirmedBytes: new Gauge({
      name: 'clickledger_agent_unconfirmed_bytes',
      help: 'Bytes of logs published and not committed',
      labelNames: ['shard'],
      registers,
    }),
    unshippedBytes: new Gauge({
      name: 'clickledger_agent_unshipped_bytes',
      help: 'Bytes of logs not committed',
      labelNames: ['shard'],
      registers,
    }),
    generations: new Gauge({ name: 'clickledger_agent_generations', help: 'Generations in the log directory', registers }),
    logEvents: new Counter({
      name: 'clickledger_agent_log_events_total',
      help: 'Things that should not happen to a log',
      labelNames: ['event'],
      registers,
    }),
    deletedLogs: new Counter({ name: 'clickledger_agent_deleted_logs_total', help: 'Log files deleted after release', registers }),
  };
}
