import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';

/** What a part says of itself: `degraded` names what is wrong while it goes on working. */
export interface Health {
  ready: boolean;
  degraded: string[];
}

/**
 * Serves `/healthz` (200 when ready, 503 when not; degraded is still 200) and `/metrics`.
 * Resolves once it listens; undefined for port 0, which means none.
 */
export async function serveAdmin(options: {
  host: string;
  port: number;
  registry: Registry;
  health: () => Health;
}): Promise<Server | undefined> {
  if (options.port === 0) return undefined;
  const server = createServer((request, response) => {
    if (request.url === '/healthz') {
      const health = options.health();
      response.writeHead(health.ready ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ live: true, ...health }));
    } else if (request.url === '/metrics') {
      options.registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': options.registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    } else {
      response.writeHead(404).end();
    }
  });
  server.listen(options.port, options.host);
  await new Promise<void>((resolve, reject) => server.once('listening', resolve).once('error', reject));
  return server;
}
