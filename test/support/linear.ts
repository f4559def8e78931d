import { expect } from 'vitest';

/**
 * Expects that `work` takes linear time: four times the size takes about four times as long, and not sixteen times. Only the CPU time of
 * this thread is measured. The minimum of three runs counts, so that other load on the machine does not matter.
 */
export function expectLinear<T>(size: number, make: (size: number) => T, work: (input: T) => void): void {
  const [once, fourTimes] = [make(size), make(4 * size)];
  const times = [1, 2, 3].map(() => [cpuTime(() => work(once)), cpuTime(() => work(fourTimes))] as const);
  const minimum = (of: 0 | 1): number => Math.min(...times.map((pair) => pair[of]));
  expect(minimum(1)).toBeLessThan(9 * minimum(0) + 20_000);
}

/** The CPU time in microseconds. */
function cpuTime(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}
