import { readFile } from 'node:fs/promises';
import type { Figure } from './figure.ts';

// Records the peak resident memory (VmHWM) of the measured processes, by part.

const PART_TARGET_MIB = 250;
const peaksMib = new Map<string, number>();

/** Records the peak memory of a process. Must be called while the process is running. */
export async function recordPeak(part: string, pid: number): Promise<void> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  // The kernel reports no memory for a process that has just ended.
  if (kib === undefined) return;
  const mib = Number(kib) / 1024;
  peaksMib.set(part, Math.max(mib, peaksMib.get(part) ?? 0));
}

export function memoryFigures(): Figure[] {
  return Array.from(peaksMib, ([part, mib]) => ({
    what: `peak memory: ${part}`,
    unit: 'MiB',
    ours: mib,
    target: { atMost: PART_TARGET_MIB },
  }));
}
