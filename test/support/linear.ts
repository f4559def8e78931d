import { expect } from 'vitest';

// Linux may count CPU time in ticks of 4 or 10 ms, so a short run can measure 0. The sums of many runs are compared instead.
const LEAST_MICROSECONDS = 40_000;
const MOST_MICROSECONDS = 1_000_000;

/**
 * Expects that `work` takes linear time: one input of four times the size takes about as long as four inputs of the size. With quadratic
 * work it takes four times as long, however often both are repeated. Only the CPU time of this thread is measured, and both kinds of runs
 * alternate, so that other load on the machine and collections of garbage affect both.
 */
export function expectLinear<T>(size: number, make: (size: number) => T, work: (input: T) => void): void {
  const [once, fourTimes] = [make(size), make(4 * size)];
  // The first runs are slower, because the code is not compiled yet.
  for (let i = 0; i < 3; i++) work(fourTimes);
  let [short, long] = [0, 0];
  while (long < MOST_MICROSECONDS) {
    short += cpuTime(() => {
      for (let i = 0; i < 4; i++) work(once);
    });
    long += cpuTime(() => work(fourTimes));
    if (short >= LEAST_MICROSECONDS && long < 2.5 * short) return;
  }
  expect(long, 'the CPU time for four times the size').toBeLessThan(2.5 * short);
}

/** The CPU time in microseconds. */
function cpuTime(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}
