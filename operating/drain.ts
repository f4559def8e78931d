import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';
import { sleep } from '../core/time.ts';
import { SHIPPING_SETTINGS } from './ship-logs.ts';

// Drains a host of nginx, so that it can be removed. The command and nginx/start.sh communicate through two files in the log directory, because
// they share nothing else:
//
//   draining   written by the command: /healthz answers 503, and nginx stops at the time in the file, in epoch seconds
//   drained    written by start.sh: nginx has stopped, and is not started again while `draining` exists

export const DRAIN_SETTINGS = [...SHIPPING_SETTINGS, 'LOG_DIR'] as const;

/** start.sh looks once a second, and nginx ends open connections after nine seconds. */
const STOP_TAKES_MS = 60_000;
const POLL_MS = 200;

/**
 * Begins to drain. nginx stops after `afterSeconds`. If the host drains already, the earlier time stays. Resolves with the time at which nginx
 * stops, in epoch milliseconds.
 */
export async function startDraining(logDir: string, afterSeconds: number): Promise<number> {
  const path = join(logDir, 'draining');
  const earlier = await readFile(path, 'utf8').catch(() => '');
  if (/^\d{1,10}\n$/.test(earlier)) return Number(earlier) * 1000;
  const stopAt = Math.ceil(Date.now() / 1000) + afterSeconds;
  await rm(join(logDir, 'drained'), { force: true });
  await writeFile(path, `${stopAt}\n`);
  // nginx may run as another user.
  await chmod(path, 0o644);
  return stopAt * 1000;
}

/** Ends draining: start.sh starts nginx again if it has stopped. Resolves with whether the host was draining. */
export async function stopDraining(logDir: string): Promise<boolean> {
  const was = await exists(join(logDir, 'draining'));
  for (const name of ['draining', 'drained']) await rm(join(logDir, name), { force: true });
  return was;
}

/** Waits until start.sh says that nginx has stopped. Returns false if `signal` aborts. Throws `unavailable` if start.sh does not say it in time. */
export async function waitForStop(
  logDir: string,
  stopAtMs: number,
  signal: AbortSignal,
  onProgress: (secondsLeft: number) => void,
): Promise<boolean> {
  while (!(await exists(join(logDir, 'drained')))) {
    if (signal.aborted) return false;
    if (Date.now() > stopAtMs + STOP_TAKES_MS)
      throw new ClickledgerError(
        'unavailable',
        `nginx/start.sh has not said in ${logDir} that nginx has stopped: stop nginx yourself, then run the command again with --nginx-stopped`,
      );
    onProgress(Math.max(0, Math.round((stopAtMs - Date.now()) / 1000)));
    await sleep(POLL_MS, signal);
  }
  return true;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
