import pg from 'pg';
import { expect, test } from 'vitest';
import { describeReach, displayText, withThousands } from './values.ts';

const { TIMESTAMPTZ, TIMESTAMP, DATE, TEXT, INT8 } = pg.types.builtins;

test.each([
  [null, INT8, ''],
  ['0', INT8, '0'],
  ['9007199254740993', INT8, '9007199254740993'],
  ['2030-05-01 08:00:00+00', TIMESTAMPTZ, '2030-05-01 08:00 UTC'],
  ['2030-05-01 08:00:09+00', TIMESTAMPTZ, '2030-05-01 08:00:09 UTC'],
  ['2030-05-01 08:00:00.123456+00', TIMESTAMPTZ, '2030-05-01 08:00:00.123456 UTC'],
  ['2030-05-01 08:00:00.1+05:45', TIMESTAMPTZ, '2030-05-01 08:00:00.1 +05:45'],
  ['2030-05-01 08:00:00-04', TIMESTAMPTZ, '2030-05-01 08:00 -04:00'],
  ['infinity', TIMESTAMPTZ, 'infinity'],
  // A timestamp without time zone is shown without a zone, and a date is shown without a time.
  ['2030-05-01 08:00:00', TIMESTAMP, '2030-05-01 08:00'],
  ['2030-05-01', DATE, '2030-05-01'],
  ['2030-05-01 08:00:00', TEXT, '2030-05-01 08:00:00'],
])('%j of the type %i is %j for a person', (value, type, forPeople) => {
  expect(displayText(value, type)).toBe(forPeople);
});

test.each([
  ['12345', '12,345'],
  ['-1234567.1234567', '-1,234,567.1234567'],
  ['9007199254740993', '9,007,199,254,740,993'],
  ['123', '123'],
  ['1e+20', '1e+20'],
  ['NaN', 'NaN'],
])('%s with commas is %s', (value, expected) => {
  expect(withThousands(value)).toBe(expected);
});

test('how far the data reach is one sentence', () => {
  const lastAt = new Date('2030-05-01T12:34:56Z');
  expect(describeReach({ lastAt: null, holes: 0, missingBytes: 0 })).toBe('Nothing has been counted yet; no holes.');
  expect(describeReach({ lastAt, holes: 0, missingBytes: 0 })).toBe('Counted until 2030-05-01 12:34:56 UTC; no holes.');
  expect(describeReach({ lastAt, holes: 1, missingBytes: 4321 })).toBe(
    'Counted until 2030-05-01 12:34:56 UTC; 1 hole (4,321 bytes of the logs) is not counted yet, so these numbers will grow.',
  );
});
