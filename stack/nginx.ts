import { rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { locate } from './debian.ts';
import { httpStatus } from './http.ts';
import { type Running, startProcess } from './process.ts';

export interface NginxOptions {
  logDir: string;
  runDir: string;
  /** The address on which nginx listens. Default: loopback. */
  host?: string;
  port: number;
  backendPorts: readonly number[];
  name?: string;
  /** Environment variables for nginx/start.sh. */
  env?: Readonly<Record<string, string>>;
  /** See ProcessSpec. */
  networkNamespace?: string | undefined;
}

const START_SCRIPT = fileURLToPath(new URL('../nginx/start.sh', import.meta.url));

/** Starts nginx with the same script that containers and systemd services use. */
export async function startNginx(options: NginxOptions): Promise<Running> {
  const { logDir, runDir, host = '127.0.0.1', port, backendPorts, name = 'nginx', env = {}, networkNamespace } = options;
  const nginx = await locate('nginx');
  return startProcess({
    name,
    command: '/bin/sh',
    args: [START_SCRIPT],
    env: {
      LOG_DIR: logDir,
      LISTEN: `${host}:${port}`,
      BACKENDS: backendPorts.map((backend) => `127.0.0.1:${backend}`).join(','),
      NGINX_RUN_DIR: join(runDir, name),
      NGINX_BIN: nginx,
      NGINX_WORKERS: '2',
      // Root may start nginx. With the default user, the workers could then not open a data directory that only root may read.
      NGINX_USER: 'root',
      ...env,
    },
    // On SIGQUIT, nginx finishes the current requests and then exits.
    stopSignal: 'SIGQUIT',
    runDir,
    networkNamespace,
    // Status 400 means that nginx listens with TLS.
    ready: async () => [404, 400].includes((await httpStatus(port, '/', host)) ?? 0),
  });
}

/**
 * Rotates the access log: renames the log and sends USR1 to nginx, which then opens a new log. Returns the path of the renamed log. If the
 * log is empty or does not exist, renames nothing and returns undefined.
 */
export async function rotateLog(logDir: string, nginx: Running, now: () => Date = () => new Date()): Promise<string | undefined> {
  const path = join(logDir, 'access.log');
  const size = await stat(path).then(
    (status) => status.size,
    () => 0,
  );
  if (size === 0) return undefined;
  const rotated = join(dirname(path), `access.log.${now().toISOString().replace(/[-:]/g, '')}`);
  await rename(path, rotated);
  nginx.signal('SIGUSR1');
  return rotated;
}
