import { connect, createServer, type Server, type Socket } from 'node:net';

// A TCP proxy on loopback that can be told to misbehave.

/** What to do with a piece of data on its way: pass it on, or stop the connection's data from here on. */
export type Ruling = 'pass' | 'hold' | 'pass-then-cut';

export interface Proxy {
  readonly port: number;
  /** Delays every piece of data, both ways. */
  delayMs: number;
  /** Asked about each piece from client to server, until it is unset. */
  onClientData: ((data: Buffer) => Ruling) | undefined;
  close(): Promise<void>;
}

export async function startProxy(upstreamPort: () => number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: false }, (client) => {
    const upstream = connect({ host: '127.0.0.1', port: upstreamPort() });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let held = false;
    client.on('data', (data) => {
      if (held) return;
      const ruling = proxy.onClientData?.(data) ?? 'pass';
      if (ruling === 'hold') {
        held = true;
        client.pause();
        return;
      }
      forward(client, upstream, data, proxy.delayMs);
      if (ruling === 'pass-then-cut') {
        // The server gets it and answers; the client never hears.
        held = true;
        upstream.removeAllListeners('data');
        setTimeout(() => client.destroy(), 50);
      }
    });
    upstream.on('data', (data) => forward(upstream, client, data, proxy.delayMs));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const proxy: Proxy = {
    port: typeof address === 'object' && address ? address.port : 0,
    delayMs: 0,
    onClientData: undefined,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}

function forward(from: Socket, to: Socket, data: Buffer, delayMs: number): void {
  if (delayMs === 0) {
    if (!to.write(data)) {
      from.pause();
      to.once('drain', () => from.resume());
    }
    return;
  }
  // In order, because every piece waits equally long; one at a time, so that little is on its way.
  from.pause();
  setTimeout(() => {
    if (!to.destroyed) to.write(data);
    from.resume();
  }, delayMs);
}
