import { connect, createServer, type Server, type Socket } from 'node:net';

// A TCP proxy on loopback that can delay, hold and cut connections.

/**
 * The action of the proxy for a chunk from the client: forward the chunk, hold this chunk and all later chunks, or forward the chunk and
 * cut the connection.
 */
export type ProxyAction = 'pass' | 'hold' | 'pass-then-cut';

export interface Proxy {
  readonly port: number;
  /** Delay of every chunk in both directions, in ms. */
  delayMs: number;
  /** Called for each chunk from client to server while it is set. */
  onClientData: ((data: Buffer) => ProxyAction) | undefined;
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
      const action = proxy.onClientData?.(data) ?? 'pass';
      if (action === 'hold') {
        held = true;
        client.pause();
        return;
      }
      forward(client, upstream, data, proxy.delayMs);
      if (action === 'pass-then-cut') {
        // The server receives the data and answers. The client never gets the answer.
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
  // All chunks have the same delay, so their order does not change. Reading is paused, so at most one chunk is delayed at a time.
  from.pause();
  setTimeout(() => {
    if (!to.destroyed) to.write(data);
    from.resume();
  }, delayMs);
}
