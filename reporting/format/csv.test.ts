import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createResult } from '../../test/support/results.ts';
import { toCsv } from './csv.ts';

test('a header, a line a row, times in ISO 8601, nothing for null', () => {
  const at = new Date('2030-05-01T08:00:00Z');
  expect(
    toCsv(
      createResult(
        ['id', 'name', 'at'],
        [
          [1, 'a, "b"', at],
          [2, null, null],
        ],
      ),
    ),
  ).toBe('id,name,at\r\n1,"a, ""b""",2030-05-01T08:00:00.000Z\r\n2,,\r\n');
});

test('formulas are left as they are', () => {
  expect(toCsv(createResult(['x'], [['=1+1'], ['@x'], ['-1']]))).toBe('x\r\n=1+1\r\n@x\r\n-1\r\n');
});

test('whatever the texts are, a reader of CSV gets them back', () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('"', ',', '\r\n', '\n', ' a ', ';', '\t', "';--"));
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { minLength: 1 }), (rows) => {
      const read = parse(toCsv(createResult(['a', 'b'], rows)), { relax_column_count: true, skip_empty_lines: false });
      expect(read).toEqual([['a', 'b'], ...rows]);
    }),
  );
});
