import { createServer, type Server, type ServerResponse } from 'node:http';
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { codesOf, type Health, type PartKind, problem } from './health.ts';
import { oneAtATime } from './time.ts';
import { VERSION } from './version.ts';

// How a part is seen from outside: `/healthz` for whoever starts and stops it, `/metrics` for Prometheus.

/** What `/healthz` answers. */
export interface HealthAnswer extends Health {
  part: PartKind;
  version: string;
  /** Of the process that answers: at a port that was chosen for one there could be another. */
  pid: number;
  live: true;
}

/**
 * Serves `/healthz` (200 when ready, 503 when not; degraded is still 200) and `/metrics`, to which it adds what all parts have.
 * Resolves once it listens; undefined for port 0, which means none.
 */
export async function serveAdmin(options: {
  part: PartKind;
  host: string;
  port: number;
  registry: Registry;
  health: () => Health | Promise<Health>;
}): Promise<Server | undefined> {
  const { part, host, port, registry } = options;
  if (port === 0) return undefined;
  const health = oneAtATime(async () => {
    const { ready, degraded } = await options.health();
    return { ready, degraded: ready || degraded.length > 0 ? degraded : [problem('starting')] };
  });
  describePart(part, registry, health);
  const server = createServer((request, response) => {
    if (request.url === '/healthz') {
      answer(response, async () => {
        const said: HealthAnswer = { part, version: VERSION, pid: process.pid, live: true, ...(await health()) };
        return { status: said.ready ? 200 : 503, type: 'application/json', text: JSON.stringify(said) };
      });
    } else if (request.url === '/metrics') {
      answer(response, async () => ({ status: 200, type: registry.contentType, text: await registry.metrics() }));
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(port, host);
  await new Promise<void>((resolve, reject) => server.once('listening', resolve).once('error', reject));
  return server;
}

function answer(response: ServerResponse, make: () => Promise<{ status: number; type: string; text: string }>): void {
  make().then(
    ({ status, type, text }) => response.writeHead(status, { 'content-type': type }).end(text),
    () => response.writeHead(500).end(),
  );
}

function describePart(part: PartKind, registry: Registry, health: () => Promise<Health>): void {
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({ name: `clickledger_${part}_build_info`, help: 'Always 1', labelNames: ['version'], registers }).set({ version: VERSION }, 1);
  new Gauge({
    name: `clickledger_${part}_ready`,
    help: '1 while it does its work, 0 before and after',
    registers,
    async collect() {
      this.set((await health()).ready ? 1 : 0);
    },
  });
  new Gauge({
    name: `clickledger_${part}_degraded`,
    help: '1 for each thing that is wrong, by the codes of /healthz',
    labelNames: ['code'],
    registers,
    async collect() {
      const { degraded } = await health();
      for (const code of codesOf(part)) this.set({ code }, degraded.some((one) => one.code === code) ? 1 : 0);
    },
  });
}
