import { setImmediate } from 'node:timers/promises';
import type { Running } from '../../stack/process.ts';

/** Returns how a process has ended, or undefined while it runs. */
export function exitStatus({ exited }: Running): Promise<string | undefined> {
  // setImmediate lets promises that are already settled win the race.
  return Promise.race([exited, setImmediate(undefined)]);
}
