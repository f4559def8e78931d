import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import {
  covers,
  firstGap,
  formatMultirange,
  NO_RANGES,
  parseMultirange,
  type Range,
  type Ranges,
  sizeOf,
  subtract,
  touches,
  union,
} from './ranges.ts';

// The tests compare each function with the same operation on sets of integers below 40.
const bound = fc.integer({ min: 0, max: 40 });
const range = fc.tuple(bound, bound).map(([a, b]): Range => [Math.min(a, b), Math.max(a, b)]);
const anyRanges = fc.array(range, { maxLength: 8 });
const ranges = anyRanges.map((list) => union(list));

function integers(set: Ranges): Set<number> {
  return new Set(set.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i)));
}

function isCanonical(set: Ranges): boolean {
  return set.every(([from, to], i) => from < to && (i === 0 || (set[i - 1] as Range)[1] < from));
}

describe('sets of ranges against sets of integers', () => {
  test('union takes any ranges in any order and gives sorted, disjoint, non-adjacent ones', () => {
    fc.assert(
      fc.property(anyRanges, anyRanges, (a, b) => {
        const result = union(a, b);
        expect(isCanonical(result)).toBe(true);
        expect(integers(result)).toEqual(integers([...a, ...b]));
      }),
      runs(1000),
    );
  });

  test('subtract leaves exactly what is only in the first', () => {
    fc.assert(
      fc.property(ranges, ranges, (a, b) => {
        const result = subtract(a, b);
        expect(isCanonical(result)).toBe(true);
        expect(integers(result)).toEqual(integers(a).difference(integers(b)));
      }),
      runs(1000),
    );
  });

  test('touches, covers, sizeOf and firstGap agree with the integers', () => {
    fc.assert(
      fc.property(ranges, range, (set, [from, to]) => {
        const inSet = integers(set);
        const inRange = [...integers([[from, to]])];
        expect(touches(set, from, to)).toBe(inRange.some((i) => inSet.has(i)));
        expect(covers(set, from, to)).toBe(inRange.every((i) => inSet.has(i)));
        expect(sizeOf(set)).toBe(inSet.size);
        const gap = firstGap(set, from, to);
        const missing = inRange.filter((i) => !inSet.has(i));
        expect(gap?.[0]).toBe(missing[0]);
        if (gap) {
          expect([...integers([gap])].every((i) => missing.includes(i))).toBe(true);
          expect(gap[1] === to || inSet.has(gap[1])).toBe(true);
        }
      }),
      runs(1000),
    );
  });

  test('an empty range touches nothing and is always covered', () => {
    expect(touches([[0, 10]], 5, 5)).toBe(false);
    expect(covers(NO_RANGES, 5, 5)).toBe(true);
    expect(firstGap(NO_RANGES, 5, 5)).toBeUndefined();
  });

  test('what union and subtract are given is left as it was', () => {
    const a: Ranges = Object.freeze([Object.freeze([0, 5] as const), Object.freeze([5, 9] as const)]);
    expect(union(a, [[2, 12]])).toEqual([[0, 12]]);
    expect(subtract(a, [[1, 2]])).toEqual([
      [0, 1],
      [2, 5],
      [5, 9],
    ]);
  });
});

describe('as text of int8multirange', () => {
  let client: pg.Client;
  beforeAll(async () => {
    client = new pg.Client({ connectionString: `${inject('clusterUrl')}/postgres` });
    await client.connect();
  });
  afterAll(() => client.end());

  test('Postgres reads what is written and writes what is read, up to the largest safe integer', async () => {
    const huge = Number.MAX_SAFE_INTEGER;
    const largeRanges = fc.array(fc.tuple(fc.nat({ max: huge }), fc.nat({ max: huge })), { maxLength: 6 });
    const samples = fc.sample(
      fc.oneof(
        ranges,
        largeRanges.map((pairs) => union(pairs.map(([a, b]): Range => [Math.min(a, b), Math.max(a, b)]))),
      ),
      300,
    );
    const { rows } = await client.query<{ text: string }>(
      'SELECT t::int8multirange::text AS text FROM unnest($1::text[]) WITH ORDINALITY AS u (t, n) ORDER BY n',
      [samples.map(formatMultirange)],
    );
    expect(rows.map(({ text }) => parseMultirange(text))).toEqual(samples);
    expect(rows.map(({ text }) => text)).toEqual(samples.map(formatMultirange));
  });

  test('+, - and && of Postgres are union, subtract and touches', async () => {
    const pairs = fc.sample(fc.tuple(ranges, ranges), 300);
    const { rows } = await client.query<{ sum: string; difference: string; common: boolean }>(
      `SELECT (a::int8multirange + b::int8multirange)::text AS sum, (a::int8multirange - b::int8multirange)::text AS difference,
              a::int8multirange && b::int8multirange AS common
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (a, b, n) ORDER BY n`,
      [pairs.map(([a]) => formatMultirange(a)), pairs.map(([, b]) => formatMultirange(b))],
    );
    for (const [i, [a, b]] of pairs.entries()) {
      expect(parseMultirange(rows[i]?.sum ?? '')).toEqual(union(a, b));
      expect(parseMultirange(rows[i]?.difference ?? '')).toEqual(subtract(a, b));
      expect(rows[i]?.common).toBe(b.some(([from, to]) => touches(a, from, to)));
    }
  });
});
