import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { printable } from './printable.ts';
import { tableLines } from './table.ts';

const lines = (...args: Parameters<typeof tableLines>): string[] =>
  [...tableLines(...args)].map((line) => line.replaceAll(/\x1b\[\d+m/g, ''));

test('columns are aligned, numbers to the right, empty cells are shown', () => {
  expect(
    lines(
      ['name', 'hits'],
      [
        ['a', 1],
        ['日本', 1234],
        [null, undefined],
      ],
    ),
  ).toEqual(['name  hits', 'a        1', '日本  1234', '–        –']);
});

test('what comes from outside cannot move the cursor, colour the terminal or add a line', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
      expect(lines(['name'], [[text]])).toHaveLength(2);
    }),
    runs(500),
  );
  expect(printable('a\x1b[31mb\nc\u202ed')).toBe('a\\x1b[31mb\\x0ac\\u202ed');
  expect(printable('Žofía 日本 😀')).toBe('Žofía 日本 😀');
});

test('a table of fifty thousand rows takes as many steps a row as a small one', () => {
  const rows = Array.from({ length: 50_000 }, (_, i) => [`https://shop.example/${i}`, i]);
  let count = 0;
  for (const line of tableLines(['address', 'link'], rows)) count += line.length > 0 ? 1 : 0;
  expect(count).toBe(50_001);
});
