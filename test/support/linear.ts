import { expect } from 'vitest';

// Linux may count CPU time in ticks of 4 or 10 ms, so a short run can measure 0. So the tests compare the sums of many runs.
const LEAST_MICROSECONDS = 40_000;
const MOST_MICROSECONDS = 1_000_000;

/**
 * Expects that `work` takes linear time: one input of size 4n takes about as long as four inputs of size n. With quadratic time, the input
 * of size 4n would take four times as long. Only the CPU time of this thread is measured. Both kinds of runs alternate, so that other load
 * on the machine and garbage collection affect both.
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

/** Returns the CPU time of `work` in microseconds. */
function cpuTime(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}
