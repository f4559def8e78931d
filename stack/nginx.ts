import { rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { locate } from './debian.ts';
import { statusOf } from './http.ts';
import { type Running, startProcess } from './process.ts';

export interface NginxOptions {
  logDir: string;
  runDir: string;
  port: number;
  backendPorts: readonly number[];
  name?: string;
  /** Any variable that nginx/start.sh knows. */
  env?: Readonly<Record<string, string>>;
}

const START = fileURLToPath(new URL('../nginx/start.sh', import.meta.url));

/** Starts nginx on a loopback port, by the same script that containers and services use. */
export async function startNginx(options: NginxOptions): Promise<Running> {
  const { logDir, runDir, port, backendPorts, name = 'nginx', env = {} } = options;
  const nginx = await locate('nginx');
  return startProcess({
    name,
    command: '/bin/sh',
    args: [START],
    env: {
      LOG_DIR: logDir,
      LISTEN: `127.0.0.1:${port}`,
      BACKENDS: backendPorts.map((backend) => `127.0.0.1:${backend}`).join(','),
      NGINX_RUN_DIR: join(runDir, name),
      NGINX_BIN: nginx,
      NGINX_WORKERS: '2',
      // Run by root, workers would lose the way into a data directory that is root's alone.
      NGINX_USER: 'root',
      ...env,
    },
    // Answers what has begun, then ends.
    stopSignal: 'SIGQUIT',
    runDir,
    // 400: it wants TLS.
    ready: async () => [404, 400].includes((await statusOf(port, '/')) ?? 0),
  });
}

/** Rotates the access log: rename, then USR1. Empty logs stay. Returns the new name, or undefined. */
export async function rotateLog(logDir: string, nginx: Running, now: () => Date = () => new Date()): Promise<string | undefined> {
  const live = join(logDir, 'access.log');
  const size = await stat(live).then(
    (status) => status.size,
    () => 0,
  );
  if (size === 0) return undefined;
  const rotated = join(dirname(live), `access.log.${now().toISOString().replace(/[-:]/g, '')}`);
  await rename(live, rotated);
  nginx.signal('SIGUSR1');
  return rotated;
}
