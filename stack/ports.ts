import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range): one of those could take the place of a
// server that is just being started again.
const LOWEST = 10_000;
const HIGHEST = 32_000;

/** Whether a loopback port is free right now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** A free loopback port, one of `preferred` if possible. */
export async function freePort(...preferred: number[]): Promise<number> {
  for (const port of preferred) if (port > 0 && (await isFree(port))) return port;
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (await isFree(port)) return port;
  }
}
