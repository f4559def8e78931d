import { env } from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseTime } from './parse-time.ts';

// core/parse-date.test.ts tests the forms of dates. These tests check the time zone of a time without an offset.

const now = new Date('2026-03-01T12:00:00Z');
const ofMachine = (text: string): Date => parseTime(text, '', now);
let before: string | undefined;

beforeEach(() => {
  before = env['TZ'];
});
afterEach(() => {
  if (before === undefined) delete env['TZ'];
  else env['TZ'] = before;
});

test.each([
  ['2026-12-24', new Date(2026, 11, 24)],
  ['2028-02-29', new Date(2028, 1, 29)],
  ['2026-12-24T18:00', new Date(2026, 11, 24, 18)],
  ['2026-12-24 18:00', new Date(2026, 11, 24, 18)],
  ['2026-12-24 18:00:30', new Date(2026, 11, 24, 18, 0, 30)],
])('%s is that of this machine', (text, expected) => {
  expect(ofMachine(text)).toEqual(expected);
});

test.each(['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Kiritimati', 'America/Santiago'])(
  'a day alone begins at midnight in %s',
  (zone) => {
    env['TZ'] = zone;
    for (const text of ['2026-01-01', '2026-03-29', '2026-06-15', '2026-10-25', '2026-12-31']) {
      const at = ofMachine(text);
      expect([at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes()]).toEqual([
        ...text.split('-').map(Number),
        0,
        0,
      ]);
    }
    // In Chile, summer time begins at this midnight, so the day begins at 01:00.
    expect(ofMachine('2026-09-06').getDate()).toBe(6);
    expect(() => ofMachine('2026-02-30')).toThrow(expect.objectContaining({ code: 'bad-input' }));
  },
);

test('a day alone is another time elsewhere', () => {
  env['TZ'] = 'Pacific/Kiritimati';
  expect(ofMachine('2026-12-24').toISOString()).toBe('2026-12-23T10:00:00.000Z');
  expect(ofMachine('2026-12-24T18:00').toISOString()).toBe('2026-12-24T04:00:00.000Z');
  expect(ofMachine('2026-12-24T18:00Z').toISOString()).toBe('2026-12-24T18:00:00.000Z');
});

test('the time zone of the settings comes before that of the machine', () => {
  env['TZ'] = 'Pacific/Kiritimati';
  expect(parseTime('2026-12-24', 'Europe/Berlin', now).toISOString()).toBe('2026-12-23T23:00:00.000Z');
  expect(parseTime('30d', 'Europe/Berlin', now).toISOString()).toBe('2026-03-31T12:00:00.000Z');
});

test('a span from now is that from the time it is asked', () => {
  const earliest = Date.now();
  const at = parseTime('1d', '').getTime() - 86_400_000;
  expect(at).toBeGreaterThanOrEqual(earliest);
  expect(at).toBeLessThanOrEqual(Date.now());
});
