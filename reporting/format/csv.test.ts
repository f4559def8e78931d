import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import pg from 'pg';
import { expect, test } from 'vitest';
import { asStream, createResult, type Sample, textOf } from '../../test/support/results.ts';
import { toCsv } from './csv.ts';

// The tests in reporting/values.test.ts compare the CSV format with psql. The tests in this file do not need psql.

const csvOf = (names: string[], rows: Sample[][], types?: Record<string, number>): Promise<string> =>
  textOf(toCsv(asStream(createResult(names, rows, undefined, types))));

test('a header, a line a row, times as Postgres has them, nothing for null', async () => {
  const rows = [
    [1, 'a, "b"', '2030-05-01 08:00:00.123456+00'],
    [2, null, null],
  ];
  expect(await csvOf(['id', 'name', 'at'], rows, { at: pg.types.builtins.TIMESTAMPTZ })).toBe(
    'id,name,at\n1,"a, ""b""",2030-05-01 08:00:00.123456+00\n2,,\n',
  );
});

test('formulas are left as they are', async () => {
  expect(await csvOf(['x'], [['=1+1'], ['@x'], ['-1']])).toBe('x\n=1+1\n@x\n-1\n');
});

test('whatever the texts are, a reader of CSV gets them back', async () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('"', ',', '\r\n', '\n', ' a ', ';', '\t', "';--", '\\.'));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(text, text), { minLength: 1 }), async (rows) => {
      const options = { relax_column_count: true, skip_empty_lines: false, record_delimiter: '\n' };
      expect(parse(await csvOf(['a', 'b'], rows), options)).toEqual([['a', 'b'], ...rows]);
    }),
  );
});
