import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { freePort } from './ports.ts';
import { type Running, startProcess } from './process.ts';

export type PartName = 'backend' | 'log-agent' | 'event-worker';

/** Starts a backend, agent or worker; ready when its `/healthz` says so. Its admin port is in the result. */
export async function startPart(options: {
  part: PartName;
  name: string;
  runDir: string;
  env: Readonly<Record<string, string>>;
}): Promise<Running & { adminPort: number }> {
  const { part, name, runDir, env } = options;
  const adminPort = await freePort();
  const running = await startProcess({
    name,
    command: process.execPath,
    args: [fileURLToPath(new URL(`../${part}/main.ts`, import.meta.url))],
    env: { ...env, ADMIN_PORT: String(adminPort) },
    stopSignal: 'SIGTERM',
    runDir,
    ready: () => isReady(adminPort),
  });
  return Object.assign(running, { adminPort });
}

function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    request({ host: '127.0.0.1', port, path: '/healthz', timeout: 1_000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on('error', () => resolve(false))
      .end();
  });
}
