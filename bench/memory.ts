import { readFile } from 'node:fs/promises';
import type { Figure } from './figure.ts';

// The most memory a process of each part ever had while it was measured, as the kernel counts it.

const PART_TARGET_MIB = 250;
const peaksMib = new Map<string, number>();

/** Call while the process still runs. */
export async function notePeak(part: string, pid: number): Promise<void> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  // A process that has just ended has no memory any more.
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
