import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { freePort, isServed } from './ports.ts';

/** Another process, which asks for these ports, and tells what it was given; it ends with the test. */
async function givenElsewhere(...preferred: number[]): Promise<{ ports: number[]; end: () => Promise<void> }> {
  const script = `
    import { freePort } from ${JSON.stringify(new URL('ports.ts', import.meta.url).href)};
    const ports = [];
    for (const port of ${JSON.stringify(preferred)}) ports.push(await freePort(port));
    console.log(JSON.stringify(ports));
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const end = async () => {
    child.stdin.end();
    await ended;
  };
  onTestFinished(end);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { ports: JSON.parse(line) as number[], end };
}

test('who was given a port keeps it, whether or not a server is there already', async () => {
  const ours = await freePort();
  const { ports: theirs, end } = await givenElsewhere(ours, 0, 0);
  expect(new Set([ours, ...theirs]).size).toBe(4);
  const [first = 0] = theirs;
  expect(await freePort(first)).not.toBe(first);
  // Asked for again, one's own is given again: a server may come back where it was.
  expect(await freePort(ours)).toBe(ours);
  await end();
  expect(await freePort(first)).toBe(first);
});

test('a port with a server on it is given to nobody', async () => {
  const port = await freePort();
  expect(await isServed(port)).toBe(false);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  expect(await isServed(port)).toBe(true);
  expect(await freePort(port)).not.toBe(port);
});
