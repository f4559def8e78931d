import { Counter, Histogram, type Registry } from 'prom-client';

export interface ForwarderMetrics {
  readonly events: Counter<'subscription'>;
  readonly deliveries: Counter<'subscription' | 'result'>;
  readonly seconds: Histogram<'subscription'>;
}

export function createForwarderMetrics(registry: Registry): ForwarderMetrics {
  const registers = [registry];
  return {
    events: new Counter({
      name: 'clickledger_forwarder_events_total',
      help: 'Events and changes of verdicts that were delivered',
      labelNames: ['subscription'],
      registers,
    }),
    deliveries: new Counter({
      name: 'clickledger_forwarder_deliveries_total',
      help: 'Deliveries by result: success or failure',
      labelNames: ['subscription', 'result'],
      registers,
    }),
    seconds: new Histogram({
      name: 'clickledger_forwarder_delivery_seconds',
      help: 'Time of a successful delivery',
      labelNames: ['subscription'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
      registers,
    }),
  };
}
