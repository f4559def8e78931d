import { createServer, type Server, type ServerResponse } from 'node:http';
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { codesOf, type Health, type PartKind, problem } from './health.ts';
import { singleFlight } from './time.ts';
import { VERSION } from './version.ts';

// The admin server of a part. `/healthz` is for the program that starts and stops the part, `/metrics` is for Prometheus.

/** The JSON body of `/healthz`. */
export interface HealthResponse extends Health {
  part: PartKind;
  version: string;
  /** Process id. A caller can compare it with the expected id, because another process may use the port. */
  pid: number;
  live: true;
}

/**
 * Serves `/healthz` and `/metrics`. `/healthz` responds with 200 when the part is ready and with 503 otherwise; a part that is ready but
 * degraded responds with 200. Adds the metrics that all parts have to `registry`. Resolves with the server once the server listens. With
 * port 0 there is no admin server, and the function resolves with undefined.
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
  const health = singleFlight(async () => {
    const { ready, degraded } = await options.health();
    return { ready, degraded: ready || degraded.length > 0 ? degraded : [problem('starting')] };
  });
  addPartMetrics(part, registry, health);
  const server = createServer((request, response) => {
    if (request.url === '/healthz') {
      respond(response, async () => {
        const body: HealthResponse = { part, version: VERSION, pid: process.pid, live: true, ...(await health()) };
        return { status: body.ready ? 200 : 503, type: 'application/json', text: JSON.stringify(body) };
      });
    } else if (request.url === '/metrics') {
      respond(response, async () => ({ status: 200, type: registry.contentType, text: await registry.metrics() }));
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(port, host);
  await new Promise<void>((resolve, reject) => server.once('listening', resolve).once('error', reject));
  return server;
}

/** Sends the page that `render` returns; status 500 if `render` fails. */
function respond(response: ServerResponse, render: () => Promise<{ status: number; type: string; text: string }>): void {
  render().then(
    ({ status, type, text }) => response.writeHead(status, { 'content-type': type }).end(text),
    () => response.writeHead(500).end(),
  );
}

/** Adds the metrics that all parts have. */
function addPartMetrics(part: PartKind, registry: Registry, health: () => Promise<Health>): void {
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({ name: `clickledger_${part}_build_info`, help: 'Always 1', labelNames: ['version'], registers }).set({ version: VERSION }, 1);
  new Gauge({
    name: `clickledger_${part}_ready`,
    help: '1 while the part is ready, 0 while it starts or stops',
    registers,
    async collect() {
      this.set((await health()).ready ? 1 : 0);
    },
  });
  new Gauge({
    name: `clickledger_${part}_degraded`,
    help: '1 for each problem that /healthz reports, by its code',
    labelNames: ['code'],
    registers,
    async collect() {
      const { degraded } = await health();
      for (const code of codesOf(part)) this.set({ code }, degraded.some((reported) => reported.code === code) ? 1 : 0);
    },
  });
}
