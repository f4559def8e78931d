import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { onTestFinished } from 'vitest';
import { natsOptions } from '../../core/nats.ts';
import { natsUrlWithCredentials, parseNatsUrl } from '../../core/nats-url.ts';
import { STREAM } from '../../core/subjects.ts';
import { type NatsOptions, startNats } from '../../stack/nats.ts';
import type { NatsRole } from '../../operating/nats-conf.ts';
import { freePort } from '../../stack/ports.ts';
import type { Running } from '../../stack/process.ts';

/** Creates a directory that is deleted after the test. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface TestNats {
  /** The URL for a user with all permissions. */
  url: string;
  /** The URL for the user of a part. */
  urlOf: (role: NatsRole) => string;
  storeDir: string;
  running: () => Running;
  /** Starts the server again on the same port and store after it was killed. */
  start: () => Promise<void>;
}

const PASSWORDS: Readonly<Record<NatsRole, string>> = { agent: 'of-the-agent', worker: 'of-the-worker', analyst: 'of-the-analyst' };

/** Starts a separate nats-server for the test. */
export async function startTestNats(tls: Pick<NatsOptions, 'tls' | 'caFile'> = {}): Promise<TestNats> {
  const directory = await temporaryDirectory();
  const port = await freePort();
  const storeDir = join(directory, 'store');
  const operatorPassword = 'of-the-operator';
  const url = `${tls.tls ? 'tls' : 'nats'}://127.0.0.1:${port}`;
  let running: Running;
  const start = async () => {
    running = await startNats({ storeDir, runDir: join(directory, 'run'), port, passwords: PASSWORDS, operatorPassword, ...tls });
  };
  await start();
  onTestFinished(() => running.stop());
  return {
    url: natsUrlWithCredentials(url, 'operator', operatorPassword),
    urlOf: (role) => natsUrlWithCredentials(url, role, PASSWORDS[role]),
    storeDir,
    running: () => running,
    start,
  };
}

/** Connects with the credentials of the URL. Rejects if the first attempt fails; reconnects after the server was killed. */
export function natsConnection(url: string, caFile = ''): Promise<NatsConnection> {
  return connect({ ...natsOptions(parseNatsUrl(url), caFile), maxReconnectAttempts: -1, reconnectTimeWait: 250, timeout: 5_000 });
}

/** Deletes all messages of the stream, and its files after a restart, when they are not open. Then the stream refuses every message. */
export async function deleteStreamFiles(nats: TestNats, streams: JetStreamManager): Promise<void> {
  await streams.streams.purge(STREAM);
  await nats.running().kill();
  await nats.start();
  await eventually('the stream is there again', () =>
    streams.streams.info(STREAM).then(
      () => true,
      () => false,
    ),
  );
  await rm(join(nats.storeDir, 'jetstream', 'ledger', 'streams', STREAM), { recursive: true });
}

/** Calls `ask` every 25 ms until it returns true. Fails with `what` after 30 s by default. */
export async function eventually(what: string, ask: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`this did not happen within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
