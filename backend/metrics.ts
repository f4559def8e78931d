import { Counter, Histogram, type Registry } from 'prom-client';
import { addGauge } from '../core/metrics.ts';
import type { LinkStore } from './links.ts';
import { type Outcome, OUTCOMES } from './routes.ts';

/** Counts answers; `answered` is called for every click, so all that can be done before is. */
export function createBackendMetrics(registry: Registry): { answered: (kind: Outcome['kind'], ms: number) => void } {
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
    help: 'From a request for a tracked URL to its answer, whatever it was',
    buckets: [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1, 2.5],
    registers,
  });
  return {
    answered(kind, ms) {
      byOutcome[kind].inc();
      seconds.observe(ms / 1000);
    },
  };
}

/** What is looked up whenever somebody asks. */
export function watchLinks(registry: Registry, links: LinkStore): void {
  addGauge(registry, 'clickledger_backend_links', 'Links held in memory', () => links.size().links);
  addGauge(registry, 'clickledger_backend_aliases', 'Aliases held in memory', () => links.size().aliases);
  addGauge(registry, 'clickledger_backend_links_age_seconds', 'Since the catalog last said what the links are', () => links.ageMs() / 1000);
}
