import { Counter, Histogram, type Registry } from 'prom-client';
import { addGauge } from '../core/metrics.ts';
import type { LinkStore } from './links.ts';
import { type Outcome, OUTCOMES } from './routes.ts';

/** Creates the metrics of the clicks. `recordOutcome` runs for every click, so the labelled counters are looked up only once, here. */
export function createBackendMetrics(registry: Registry): { recordOutcome: (kind: Outcome['kind'], ms: number) => void } {
  const registers = [registry];
  const redirects = new Counter({
    name: 'clickledger_backend_redirects_total',
    help: 'Requests for tracked URLs by outcome',
    labelNames: ['outcome'],
    registers,
  });
  const byOutcome = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, redirects.labels({ outcome })])) as Record<
    Outcome['kind'],
    Counter.Internal
  >;
  for (const counter of Object.values(byOutcome)) counter.inc(0);
  const seconds = new Histogram({
    name: 'clickledger_backend_redirect_seconds',
    help: 'Time from a request for a tracked URL to its answer, for every outcome',
    buckets: [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1, 2.5],
    registers,
  });
  return {
    recordOutcome(kind, ms) {
      byOutcome[kind].inc();
      seconds.observe(ms / 1000);
    },
  };
}

/** Adds the gauges whose values are read from the link store when Prometheus asks for them. */
export function addLinkGauges(registry: Registry, links: LinkStore): void {
  addGauge(registry, 'clickledger_backend_links', 'Links held in memory', () => links.size().links);
  addGauge(registry, 'clickledger_backend_aliases', 'Aliases held in memory', () => links.size().aliases);
  addGauge(
    registry,
    'clickledger_backend_links_age_seconds',
    'Time since the links were last read from the catalog',
    () => links.ageMs() / 1000,
  );
}
