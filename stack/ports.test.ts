import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { acceptsConnections, freePort } from './ports.ts';

/**
 * Starts another process, which calls freePort with each of the preferred ports. Returns the ports that the process got. The process exits
 * after the test.
 */
async function claimInOtherProcess(...preferred: number[]): Promise<{ ports: number[]; stop: () => Promise<void> }> {
  const script = `
    import { freePort } from ${JSON.stringify(new URL('ports.ts', import.meta.url).href)};
    const ports = [];
    for (const port of ${JSON.stringify(preferred)}) ports.push(await freePort(port));
    console.log(JSON.stringify(ports));
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const stop = async () => {
    child.stdin.end();
    await exited;
  };
  onTestFinished(stop);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { ports: JSON.parse(line) as number[], stop };
}

test('who was given a port keeps it, whether or not a server is there already', async () => {
  const ownPort = await freePort();
  const { ports: otherPorts, stop } = await claimInOtherProcess(ownPort, 0, 0);
  expect(new Set([ownPort, ...otherPorts]).size).toBe(4);
  const [first = 0] = otherPorts;
  expect(await freePort(first)).not.toBe(first);
  // A process gets its own port again, so that it can restart a server on the same port.
  expect(await freePort(ownPort)).toBe(ownPort);
  await stop();
  expect(await freePort(first)).toBe(first);
});

test('a port with a server on it is given to nobody', async () => {
  const port = await freePort();
  expect(await acceptsConnections(port)).toBe(false);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  expect(await acceptsConnections(port)).toBe(true);
  expect(await freePort(port)).not.toBe(port);
});
