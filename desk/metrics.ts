import { Counter, Histogram, type Registry } from 'prom-client';
import type { AnsweredRequest } from './app.ts';

/** Adds the metrics of the desk. The labels have the pattern of a path, never the path itself. */
export function createDeskMetrics(registry: Registry): { recordRequest: (request: AnsweredRequest) => void } {
  const registers = [registry];
  const requests = new Counter({
    name: 'clickledger_desk_requests_total',
    help: 'Requests by method, route and status',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const seconds = new Histogram({
    name: 'clickledger_desk_request_seconds',
    help: 'Time from the arrival of a request to the end of its answer, by route',
    labelNames: ['route'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600],
    registers,
  });
  return {
    recordRequest: ({ method, route, status, seconds: taken }) => {
      requests.inc({ method, route, status });
      seconds.observe({ route }, taken);
    },
  };
}
