import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type ListenOptions, type Server } from 'node:net';

// Chooses free loopback ports. Several processes on one machine never choose the same port.

// The range is below the ports that Linux uses for outgoing connections (net.ipv4.ip_local_port_range). An outgoing connection could
// otherwise take the port of a server while the server restarts.
const LOWEST = 10_000;
const HIGHEST = 32_000;

/** The ports that this process has claimed, and the abstract socket by which it holds each claim. */
const claims = new Map<number, Server | undefined>();

/**
 * Returns a free loopback port: the first free port of `preferred`, or else a random port. While this process runs, this function does not
 * return the same port in another process.
 */
export async function freePort(...preferred: number[]): Promise<number> {
  for (const port of preferred) if (port > 0 && (await tryClaim(port))) return port;
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (!claims.has(port) && (await tryClaim(port))) return port;
  }
}

/** Claims a port if it is free. A port that this process has claimed before may be used again. */
async function tryClaim(port: number): Promise<boolean> {
  if (claims.has(port)) return isFree(port);
  if (!(await claim(port))) return false;
  if (await isFree(port)) return true;
  claims.get(port)?.close();
  claims.delete(port);
  return false;
}

/** Returns whether a server accepts connections on a loopback port. */
export async function acceptsConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

// Claims a port for this process. A server does not bind its port until some seconds after the port was chosen, and the port is free again
// while the server restarts. In these times another process could choose the same port. The check whether a port is free also binds the
// port for a moment. So before the check, each process claims the port with a name that only one process can hold: an abstract socket
// (unix(7)). Like a port, an abstract socket belongs to a network namespace. It disappears when the process exits. Only Linux has abstract
// sockets. On other systems every claim succeeds.
async function claim(port: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    claims.set(port, undefined);
    return true;
  }
  const server = await listen({ path: `\0clickledger-port-${port}` });
  if (server) claims.set(port, server.unref());
  return server !== undefined;
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen({ port, host: '127.0.0.1' });
  if (!server) return false;
  server.close();
  await once(server, 'close');
  return true;
}

async function listen(address: ListenOptions): Promise<Server | undefined> {
  const server = createServer().listen(address);
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
