import type { Due } from '../feed/due.ts';
import type { ForwarderMetrics } from './metrics.ts';

// The state of the deliveries of one shard to one receiver. Metrics, health checks and `subscription status` show it.

export interface DeliveryState {
  readonly subscription: string;
  readonly subscriptionId: number;
  readonly shard: string;
  /** Undefined while it is not known what is due. */
  due: Due | undefined;
  succeed(items: number): void;
  fail(message: string): void;
  /** Starts the measurement of a delivery. The returned function ends it. */
  startTimer(): () => void;
  /** For how long all deliveries have failed, in milliseconds; 0 if the last one succeeded. */
  failingMs(): number;
  /** For how many seconds the oldest due range has waited, beyond the wait of the subscription. */
  lagSeconds(): number;
  /** The row of catalog.subscription_report. */
  report(): StateReport;
}

export interface StateReport {
  readonly delivered: number;
  readonly dueBytes: number;
  readonly lagSeconds: number;
  readonly succeededAt: Date | null;
  readonly failingSince: Date | null;
  readonly lastError: string | null;
}

/** `before` is the report of an earlier run. */
export function createDeliveryState(deps: {
  subscription: string;
  subscriptionId: number;
  shard: string;
  waitMs: number;
  metrics: ForwarderMetrics;
  before: Pick<StateReport, 'delivered' | 'succeededAt' | 'failingSince' | 'lastError'> | undefined;
}): DeliveryState {
  const { subscription, subscriptionId, shard, waitMs, metrics } = deps;
  let delivered = deps.before?.delivered ?? 0;
  let succeededAt = deps.before?.succeededAt ?? null;
  let failingSince = deps.before?.failingSince ?? null;
  let lastError = deps.before?.lastError ?? null;
  const labels = { subscription };
  const state: DeliveryState = {
    subscription,
    subscriptionId,
    shard,
    due: undefined,
    succeed(items) {
      delivered += items;
      succeededAt = new Date();
      failingSince = null;
      lastError = null;
      metrics.events.inc(labels, items);
      metrics.deliveries.inc({ ...labels, result: 'success' });
    },
    fail(message) {
      failingSince ??= new Date();
      lastError = message;
      metrics.deliveries.inc({ ...labels, result: 'failure' });
    },
    startTimer: () => metrics.seconds.startTimer(labels),
    failingMs: () => (failingSince === null ? 0 : Date.now() - failingSince.getTime()),
    lagSeconds() {
      const since = state.due?.waitsSince();
      return since === undefined ? 0 : Math.max(0, (performance.now() - since - waitMs) / 1000);
    },
    report: () => ({
      delivered,
      dueBytes: state.due?.bytes() ?? 0,
      lagSeconds: state.lagSeconds(),
      succeededAt,
      failingSince,
      lastError,
    }),
  };
  return state;
}
