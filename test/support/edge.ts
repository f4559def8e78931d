import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { startNginx } from '../../stack/nginx.ts';
import { freePort } from '../../stack/ports.ts';
import { eventually, temporaryDirectory } from './servers.ts';

/** The slug of the last request of a test. */
const LAST = 'zzabcdefghijklmnopq';

/** A nginx without backends. `logged` returns the lines of its log so far. */
export interface Edge {
  url: string;
  logged: () => Promise<string[]>;
}

/** Starts nginx with one worker process. It stops after the test. `env` has variables of nginx/start.sh. */
export async function startEdge(env: Record<string, string> = {}): Promise<Edge> {
  const directory = await temporaryDirectory();
  const logDir = join(directory, 'logs');
  const port = await freePort();
  const nginx = await startNginx({
    logDir,
    runDir: join(directory, 'run'),
    port,
    backendPorts: [await freePort()],
    env: { NGINX_WORKERS: '1', ...env },
  });
  onTestFinished(() => nginx.stop());
  const url = `http://127.0.0.1:${port}`;
  // The only worker writes a line just after its answer, so all lines are there when the last one is.
  const logged = async (): Promise<string[]> => {
    await (await fetch(`${url}/r/${LAST}`)).arrayBuffer();
    let lines: string[] = [];
    await eventually('the last hit is logged', async () => {
      lines = (await readFile(join(logDir, 'access.log'), 'utf8')).split('\n').filter((line) => line !== '');
      return lines.at(-1)?.includes(LAST) === true;
    });
    return lines.slice(0, -1);
  };
  return { url, logged };
}
