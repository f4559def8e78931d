import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { startNats } from '../../stack/nats.ts';
import { freePort } from '../../stack/ports.ts';
import type { Running } from '../../stack/process.ts';

/** A directory that is gone after the test. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A nats-server of the test's own; `start` starts it again on the same port and store after a kill. */
export async function startTestNats(): Promise<{ url: string; storeDir: string; running: () => Running; start: () => Promise<void> }> {
  const directory = await temporaryDirectory();
  const port = await freePort();
  const storeDir = join(directory, 'store');
  let running: Running;
  const start = async () => {
    running = await startNats({ storeDir, runDir: join(directory, 'run'), port });
  };
  await start();
  onTestFinished(() => running.stop());
  return { url: `nats://127.0.0.1:${port}`, storeDir, running: () => running, start };
}

/** Asks until the answer is yes; fails with `what` after 30 s. */
export async function eventually(what: string, ask: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
