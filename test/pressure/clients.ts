import { connect, type Socket } from 'node:net';
import { rawRequest } from '../support/raw-http.ts';
import { messageOf } from '../../core/errors.ts';

// Clients of every temper, on loopback: those who click, those who flood, and those who keep a connection busy with nothing.

const USER_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

/** An address of its own for each number below 16 million, for X-Forwarded-For. */
export const addressOf = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;

/** A whole request. */
export function requestOf(path: string, address: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: t.example\r\nUser-Agent: ${USER_AGENT}\r\nX-Forwarded-For: ${address}\r\n${headers}\r\n`;
}

export interface Clicking {
  clicks: number;
  /** What came instead of a redirect. */
  failed: string[];
  /** Of those that succeeded, from the first byte sent to the last received, with the connection made anew for each. */
  latenciesMs: number[];
}

/** People who click: so many a second, each with a connection and an address of their own, until told to stop. */
export function startClicking(options: { port: number; perSecond: number; next: () => { path: string; address: string } }): {
  stop: () => Promise<Clicking>;
} {
  const { port, perSecond, next } = options;
  const result: Clicking = { clicks: 0, failed: [], latenciesMs: [] };
  const underWay = new Set<Promise<void>>();
  const began = performance.now();

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
    // As many as are due, though a busy machine does not get hundreds at once when it comes back.
    const due = Math.floor(((performance.now() - began) / 1000) * perSecond) - result.clicks;
    for (let i = 0; i < Math.min(due, 10); i++) {
      const done = click().finally(() => underWay.delete(done));
      underWay.add(done);
    }
  }, 5);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      return result;
    },
  };
}

/** Percentiles, as columns of a table. */
export function latency(latenciesMs: readonly number[]): Record<'p50 ms' | 'p99 ms' | 'slowest ms', string> {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1);
  return { 'p50 ms': at(0.5), 'p99 ms': at(0.99), 'slowest ms': at(1) };
}

// nginx ends a connection after 1,000 requests.
const PIPELINED = 500;

/** Sends all requests over so many connections, hundreds at once without waiting for answers; how many were answered with which status. */
export async function flood(options: {
  port: number;
  connections: number;
  requests: readonly { path: string; address: string }[];
  pipelined?: number;
}): Promise<Map<number, number>> {
  const { port, connections, requests, pipelined = PIPELINED } = options;
  const statuses = new Map<number, number>();
  let next = 0;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next < requests.length) {
        const some = requests.slice(next, (next += pipelined));
        const text = some.map(({ path, address }, i) => requestOf(path, address, i === some.length - 1 ? 'Connection: close\r\n' : ''));
        const answers = await exchange(port, text.join(''));
        for (const [, status] of answers.matchAll(/HTTP\/1\.1 (\d{3}) /g))
          statuses.set(Number(status), (statuses.get(Number(status)) ?? 0) + 1);
      }
    }),
  );
  return statuses;
}

function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

export interface Cut {
  /** Infinity: not within a minute. */
  afterMs: number;
  /** The status of an answer, if there was any. */
  status: number | undefined;
}

const PATIENCE_MS = 60_000;

/** Sends `first` at once and then `slowly`, a byte a second, until the server ends the connection. */
export function dribble(port: number, first: string, slowly = ''): Promise<Cut> {
  return new Promise((resolve) => {
    const began = performance.now();
    let answer = '';
    let sent = 0;
    let givenUp = false;
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(first));
    const patience = setTimeout(() => {
      givenUp = true;
      socket.destroy();
    }, PATIENCE_MS);
    const timer = setInterval(() => {
      if (sent < slowly.length) socket.write(slowly[sent++] as string);
    }, 1_000);
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    // A connection that is reset is cut off, too.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(timer);
      clearTimeout(patience);
      const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1];
      resolve({
        afterMs: givenUp ? Number.POSITIVE_INFINITY : performance.now() - began,
        status: status === undefined ? undefined : Number(status),
      });
    });
  });
}

/** Sends a text and never reads; the connection stays until somebody ends it. */
export async function sendAndNeverRead(port: number, text: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  // Before it is connected: else Node would take in the first 64 KB by itself.
  socket.pause();
  socket.write(text);
  await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve));
  return socket;
}

/** Sends one request, reads the answer, and keeps the connection. */
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

/** Opens so many things, fifty at a time. */
export async function fiftyAtATime<T>(count: number, open: (n: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let n = 0; n < count; n += 50)
    all.push(...(await Promise.all(Array.from({ length: Math.min(50, count - n) }, (_, i) => open(n + i)))));
  return all;
}
