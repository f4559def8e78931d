import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../test/support/servers.ts';

const PROGRAM = `
const { handleStopSignals } = await import(process.argv[1]);
const { stopped, signal } = handleStopSignals({ info: (_, text) => console.log(text) });
setInterval(() => {}, 1_000);
console.log('ready');
await stopped;
console.log('stopped', signal.aborted);
`;

/** Starts a program that handles stop signals and does not end by itself. */
async function start(): Promise<{ child: ChildProcess; printed: () => string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, fileURLToPath(new URL('shutdown.ts', import.meta.url))]);
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  onTestFinished(() => void child.kill('SIGKILL'));
  await eventually('the program is ready', () => printed.includes('ready'));
  return { child, printed: () => printed };
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s that arrives twice at once stops in order, and a later one at once', async (signal) => {
  const { child, printed } = await start();
  child.kill(signal);
  await eventually('it stops', () => printed().includes('stopped'));
  child.kill(signal);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect(child.exitCode ?? child.signalCode).toBeNull();
  expect(printed()).toBe('ready\nstopping\nstopped true\n');
  const ended = once(child, 'exit');
  child.kill(signal);
  expect(await ended).toEqual([null, signal]);
});
