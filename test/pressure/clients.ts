import { connect, type Socket } from 'node:net';
import { rawRequest } from '../support/raw-http.ts';
import { messageOf } from '../../core/errors.ts';

// Clients on loopback: some click, some send a flood of requests, and some occupy connections without using them.

const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

/** Returns an address for X-Forwarded-For. It is different for each number below 16 million. */
export const addressOf = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;

/** Returns the text of a complete request: a POST of `form` if it is given, otherwise a GET. */
export function requestOf(path: string, address: string, headers = '', form?: string): string {
  const [method, more, body] =
    form === undefined
      ? ['GET', '', '']
      : ['POST', `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n`, form];
  return `${method} ${path} HTTP/1.1\r\nHost: t.example\r\nUser-Agent: ${USER_AGENT}\r\nX-Forwarded-For: ${address}\r\n${more}${headers}\r\n${body}`;
}

export interface Clicking {
  clicks: number;
  /** Descriptions of the failures: other statuses than 302, and connection errors. */
  failed: string[];
  /** Latencies of the successful clicks, in ms, from the first byte sent to the last byte received. Each click opens a new connection. */
  latenciesMs: number[];
}

/** Clicks `perSecond` times per second until `stop` is called, each time with a new connection and another address. */
export function startClicking(options: { port: number; perSecond: number; next: () => { path: string; address: string } }): {
  stop: () => Promise<Clicking>;
} {
  const { port, perSecond, next } = options;
  const result: Clicking = { clicks: 0, failed: [], latenciesMs: [] };
  const inFlight = new Set<Promise<void>>();
  const startedMs = performance.now();

  async function click(): Promise<void> {
    const { path, address } = next();
    result.clicks++;
    const sent = performance.now();
    try {
      const { status } = await rawRequest(port, 'GET', path, { 'User-Agent': USER_AGENT, 'X-Forwarded-For': address });
      if (status === 302) result.latenciesMs.push(performance.now() - sent);
      else result.failed.push(`status ${status}`);
    } catch (error) {
      result.failed.push(messageOf(error));
    }
  }

  const timer = setInterval(() => {
    // Sends the clicks that are due, but at most ten at a time. Otherwise hundreds of clicks would be sent at once after the machine was
    // busy.
    const due = Math.floor(((performance.now() - startedMs) / 1000) * perSecond) - result.clicks;
    for (let i = 0; i < Math.min(due, 10); i++) {
      const done = click().finally(() => inFlight.delete(done));
      inFlight.add(done);
    }
  }, 5);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(inFlight);
      return result;
    },
  };
}

/** Returns percentiles, formatted as columns of a table. */
export function latency(latenciesMs: readonly number[]): Record<'p50 ms' | 'p99 ms' | 'slowest ms', string> {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1);
  return { 'p50 ms': at(0.5), 'p99 ms': at(0.99), 'slowest ms': at(1) };
}

// The number of requests that are sent on one connection. nginx closes a connection after 1,000 requests.
const PIPELINED = 500;

/**
 * Sends all requests over `connections` connections. On each connection it sends hundreds of requests at a time, without waiting for
 * answers. Returns the number of answers by status.
 */
export async function flood(options: {
  port: number;
  connections: number;
  requests: readonly { path: string; address: string; form?: string }[];
  pipelined?: number;
}): Promise<Map<number, number>> {
  const { port, connections, requests, pipelined = PIPELINED } = options;
  const statuses = new Map<number, number>();
  let next = 0;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next < requests.length) {
        const group = requests.slice(next, (next += pipelined));
        const text = group.map(({ path, address, form }, i) =>
          requestOf(path, address, i === group.length - 1 ? 'Connection: close\r\n' : '', form),
        );
        const answers = await sendAndReadAll(port, text.join(''));
        for (const [, status] of answers.matchAll(/HTTP\/1\.1 (\d{3}) /g))
          statuses.set(Number(status), (statuses.get(Number(status)) ?? 0) + 1);
      }
    }),
  );
  return statuses;
}

function sendAndReadAll(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

export interface ClosedConnection {
  /** Infinity if the connection was not closed within a minute. */
  afterMs: number;
  /** The status of the answer, if there was one. */
  status: number | undefined;
}

const TIMEOUT_MS = 60_000;

/** Sends `first` at once, and then sends `slowly`, one byte per second, until the server closes the connection. */
export function sendSlowly(port: number, first: string, slowly = ''): Promise<ClosedConnection> {
  return new Promise((resolve) => {
    const startedMs = performance.now();
    let answer = '';
    let sent = 0;
    let timedOut = false;
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(first));
    const timeout = setTimeout(() => {
      timedOut = true;
      socket.destroy();
    }, TIMEOUT_MS);
    const timer = setInterval(() => {
      if (sent < slowly.length) socket.write(slowly[sent++] as string);
    }, 1_000);
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    // A connection reset also counts as closed.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(timer);
      clearTimeout(timeout);
      const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
      resolve({
        afterMs: timedOut ? Number.POSITIVE_INFINITY : performance.now() - startedMs,
        status: status === undefined ? undefined : Number(status),
      });
    });
  });
}

/** Sends a text and never reads. The connection stays open until one side closes it. */
export async function sendAndNeverRead(port: number, text: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  // Must be called before the connection is made, because otherwise Node reads the first 64 KB.
  socket.pause();
  socket.write(text);
  await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve));
  return socket;
}

/** Sends one request, reads the answer, and keeps the connection open. */
export function idleAfter(port: number, text: string): Promise<{ socket: Socket; status: number }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      const status = /^HTTP\/1\.1 (\d{3})[^]*\r\n\r\n/.exec(answer)?.[1];
      if (status !== undefined) resolve({ socket, status: Number(status) });
    });
    socket.on('error', reject);
  });
}

/** Calls `open` `count` times, at most fifty at a time. */
export async function fiftyAtATime<T>(count: number, open: (n: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let n = 0; n < count; n += 50)
    all.push(...(await Promise.all(Array.from({ length: Math.min(50, count - n) }, (_, i) => open(n + i)))));
  return all;
}
