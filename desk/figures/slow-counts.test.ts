import { expect, test } from 'vitest';
import { createSlowCounts } from './slow-counts.ts';

/** Counts that end when the test says so. */
function createCounting() {
  const waiting: PromiseWithResolvers<number>[] = [];
  return {
    compute: () => {
      const each = Promise.withResolvers<number>();
      waiting.push(each);
      return each.promise;
    },
    waiting,
  };
}

test('a first count that takes long is shown later, and it is computed once for all readers', async () => {
  const { compute, waiting } = createCounting();
  const counts = createSlowCounts(5);
  expect(await Promise.all([counts.read('a', compute), counts.read('a', compute)])).toEqual([undefined, undefined]);
  expect(waiting).toHaveLength(1);
  waiting[0]?.resolve(7);
  expect(await counts.read('a', compute)).toBe(7);
});

test('a count that is ready in time is shown at once', async () => {
  expect(await createSlowCounts(10_000).read('a', async () => 3)).toBe(3);
});

test('an old count is shown while it is computed again, also if that fails', async () => {
  const { compute, waiting } = createCounting();
  let nowMs = 0;
  const counts = createSlowCounts(10_000, () => nowMs);
  expect(await counts.read('a', async () => 1)).toBe(1);
  expect(await counts.read('a', compute)).toBe(1);
  expect(waiting).toHaveLength(0);
  nowMs = 60_000;
  expect(await counts.read('a', compute)).toBe(1);
  expect(waiting).toHaveLength(1);
  waiting[0]?.reject(new Error('no database'));
  await Promise.allSettled([waiting[0]?.promise]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(await counts.read('a', async () => 2)).toBe(1);
  expect(await counts.read('a', compute)).toBe(2);
  expect(await counts.read('b', async () => 9)).toBe(9);
});

test('a first count that fails is an error', async () => {
  await expect(createSlowCounts(10_000).read('a', () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
});
