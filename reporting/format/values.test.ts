import { expect, test } from 'vitest';
import { describeReach, machineText, displayText } from './values.ts';

test.each([
  [null, '', ''],
  [0, '0', '0'],
  [0.1, '0.1', '0.1'],
  [true, 'true', 'true'],
  ['', '', ''],
  [['a', 'b'], '["a","b"]', '["a","b"]'],
  [new Date('2030-05-01T08:00:00Z'), '2030-05-01T08:00:00.000Z', '2030-05-01 08:00 UTC'],
  [new Date('2030-05-01T08:00:09Z'), '2030-05-01T08:00:09.000Z', '2030-05-01 08:00:09 UTC'],
  // A local time has no time zone, and a date has no time.
  ['2030-05-01 08:00:00', '2030-05-01 08:00:00', '2030-05-01 08:00'],
  ['2030-05-01', '2030-05-01', '2030-05-01'],
])('%j is %j for a machine and %j for a person', (value, forMachines, forPeople) => {
  expect([machineText(value), displayText(value)]).toEqual([forMachines, forPeople]);
});

test('how far the data reach is one sentence', () => {
  const lastAt = new Date('2030-05-01T12:34:56Z');
  expect(describeReach({ lastAt: null, holes: 0, missingBytes: 0 })).toBe('Nothing has been counted yet; no holes.');
  expect(describeReach({ lastAt, holes: 0, missingBytes: 0 })).toBe('Counted until 2030-05-01 12:34:56 UTC; no holes.');
  expect(describeReach({ lastAt, holes: 1, missingBytes: 4321 })).toBe(
    'Counted until 2030-05-01 12:34:56 UTC; 1 hole (4,321 bytes of the logs) is not counted yet, so these numbers will grow.',
  );
});
