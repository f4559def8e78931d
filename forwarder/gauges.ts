import { Gauge, type Registry } from 'prom-client';
import type { DeliveryState } from './delivery-state.ts';

/** Adds gauges of the subscriptions that this forwarder delivers, and of those that are paused. */
export function addForwarderGauges(
  registry: Registry,
  read: { states: () => readonly DeliveryState[]; paused: () => readonly string[] },
): void {
  const add = (name: string, help: string, valueOf: (state: DeliveryState) => number, join: (a: number, b: number) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['subscription'],
      registers: [registry],
      collect() {
        this.reset();
        const values = new Map<string, number>();
        for (const state of read.states()) {
          const before = values.get(state.subscription);
          values.set(state.subscription, before === undefined ? valueOf(state) : join(before, valueOf(state)));
        }
        for (const [subscription, value] of values) this.set({ subscription }, value);
      },
    });
  };
  add(
    'clickledger_forwarder_lag_seconds',
    'How long the oldest events have waited for their delivery',
    (state) => state.lagSeconds(),
    Math.max,
  );
  add(
    'clickledger_forwarder_due_bytes',
    'Bytes of logs whose events are still to be delivered',
    (state) => state.due?.bytes() ?? 0,
    (a, b) => a + b,
  );
  add('clickledger_forwarder_failing_seconds', 'For how long all deliveries have failed', (state) => state.failingMs() / 1000, Math.max);
  new Gauge({
    name: 'clickledger_forwarder_paused',
    help: '1 for each subscription that is paused',
    labelNames: ['subscription'],
    registers: [registry],
    collect() {
      this.reset();
      for (const subscription of read.paused()) this.set({ subscription }, 1);
    },
  });
}
