import { expect } from 'vitest';

/**
 * That four times as much takes about four times as long; it would be sixteen times if the rest were searched again for each part of it.
 * Counted is the time of this thread alone, the least of three runs each, so that what else the machine does makes no difference.
 */
export function expectLinear<T>(size: number, make: (size: number) => T, work: (made: T) => void): void {
  const [once, fourTimes] = [make(size), make(4 * size)];
  const costs = [1, 2, 3].map(() => [costOf(() => work(once)), costOf(() => work(fourTimes))] as const);
  const least = (of: 0 | 1): number => Math.min(...costs.map((pair) => pair[of]));
  expect(least(1)).toBeLessThan(9 * least(0) + 20_000);
}

/** Microseconds. */
function costOf(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}
