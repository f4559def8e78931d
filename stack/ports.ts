import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type ListenOptions, type Server } from 'node:net';

// Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range): one of those could take the place of a
// server that is just being started again.
const LOWEST = 10_000;
const HIGHEST = 32_000;

/** The ports that were given to this process, and what keeps another from being given them. */
const claims = new Map<number, Server | undefined>();

/** A free loopback port, one of `preferred` if possible; no other process is given it by this function while this one runs. */
export async function freePort(...preferred: number[]): Promise<number> {
  for (const port of preferred) if (port > 0 && (await isOurs(port))) return port;
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (!claims.has(port) && (await isOurs(port))) return port;
  }
}

async function isOurs(port: number): Promise<boolean> {
  if (claims.has(port)) return isFree(port);
  if (!(await claim(port))) return false;
  if (await isFree(port)) return true;
  claims.get(port)?.close();
  claims.delete(port);
  return false;
}

/** Whether a server accepts connections on a loopback port. */
export async function isServed(port: number): Promise<boolean> {
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

// Seconds pass until a server takes the port that was chosen for it, and again while it is started anew; and to look whether a port is
// free is to take it for a moment. So processes agree first, by names that only one can have and that end with it: abstract sockets
// (unix(7)), which like ports belong to a network namespace. Only Linux has them; elsewhere everybody gets what they ask for.
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

async function listen(where: ListenOptions): Promise<Server | undefined> {
  const server = createServer().listen(where);
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
