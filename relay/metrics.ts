import { Counter, Histogram, type Registry } from 'prom-client';
import { addGauge } from '../core/metrics.ts';
import type { Delivery } from './deliver.ts';
import type { PartOutcome } from './rewrite.ts';

export interface RelayMetrics {
  recordMessage(delivery: Delivery, seconds: number, bytes: number): void;
  recordUnreported(): void;
  recordAborted(): void;
  recordPart(outcome: PartOutcome): void;
  recordTooManyLinks(links: number): void;
}

export function createRelayMetrics(registry: Registry): RelayMetrics {
  const registers = [registry];
  const messages = new Counter({
    name: 'clickledger_relay_messages_total',
    help: 'Messages by outcome: tracked, passed (without tracking), refused (5xx by the relay), deferred (4xx by the relay), rejected (4xx or 5xx by the mail server), unknown (the mail server may have accepted it, but did not answer), aborted (not complete)',
    labelNames: ['outcome'],
    registers,
  });
  const passed = new Counter({
    name: 'clickledger_relay_passed_total',
    help: 'Messages that passed without tracking, by reason: no-campaign, null-sender, address, catalog',
    labelNames: ['reason'],
    registers,
  });
  const parts = new Counter({
    name: 'clickledger_relay_parts_total',
    help: 'Text parts of tracked messages, by what became of them: changed, unchanged, or the reason why they passed untouched',
    labelNames: ['outcome'],
    registers,
  });
  const keptLinks = new Counter({
    name: 'clickledger_relay_links_over_limit_total',
    help: 'Links that were not tracked, because their campaign has RELAY_MAX_LINKS links',
    registers,
  });
  const unreported = new Counter({
    name: 'clickledger_relay_unreported_total',
    help: 'Messages that the mail server accepted, but whose sender had disconnected; the sender may send them again',
    registers,
  });
  const bytesReceived = new Counter({ name: 'clickledger_relay_received_bytes_total', help: 'Bytes of messages that arrived', registers });
  const seconds = new Histogram({
    name: 'clickledger_relay_message_seconds',
    help: 'Time from the beginning of DATA to the reply',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  return {
    recordMessage({ outcome, reason }, duration, bytes) {
      messages.inc({ outcome });
      if (reason !== undefined) passed.inc({ reason });
      seconds.observe(duration);
      bytesReceived.inc(bytes);
    },
    recordUnreported: () => unreported.inc(),
    recordAborted: () => messages.inc({ outcome: 'aborted' }),
    recordPart: (outcome) => parts.inc({ outcome }),
    recordTooManyLinks: (links) => keptLinks.inc(links),
  };
}

export function addRelayGauges(registry: Registry, read: { clients: () => number }): void {
  addGauge(registry, 'clickledger_relay_clients', 'Open connections of senders', read.clients);
}
