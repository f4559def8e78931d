import { setImmediate } from 'node:timers/promises';
import type { Running } from '../../stack/process.ts';

/** How a process has ended; undefined while it runs. */
export function howEnded({ exited }: Running): Promise<string | undefined> {
  // Behind everything that is settled already.
  return Promise.race([exited, setImmediate(undefined)]);
}
