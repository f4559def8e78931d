import { setImmediate } from 'node:timers/promises';
import type { Running } from '../../stack/process.ts';

/** Sends a signal to each process that still exists. */
export function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // The process has already ended.
    }
  }
}

/** Returns how a process has ended, or undefined while it runs. */
export function exitStatus({ exited }: Running): Promise<string | undefined> {
  // setImmediate lets promises that are already settled win the race.
  return Promise.race([exited, setImmediate(undefined)]);
}
