import { env } from 'node:process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { parseTime } from './parse-time.ts';

const now = new Date('2026-03-01T12:00:00Z');

describe('times', () => {
  test.each([
    ['now', '2026-03-01T12:00:00Z'],
    ['0d', '2026-03-01T12:00:00Z'],
    ['30d', '2026-03-31T12:00:00Z'],
    ['12h', '2026-03-02T00:00:00Z'],
    ['99999h', '2037-07-28T03:00:00Z'],
    ['2026-12-24T18:00Z', '2026-12-24T18:00:00Z'],
    ['2026-12-24 18:00Z', '2026-12-24T18:00:00Z'],
    ['2026-12-24T18:00:30.500Z', '2026-12-24T18:00:30.500Z'],
    ['2026-12-24T18:00+01:00', '2026-12-24T17:00:00Z'],
    ['2026-12-24 18:00-05:30', '2026-12-24T23:30:00Z'],
    ['2028-02-29T23:59:59Z', '2028-02-29T23:59:59Z'],
    ['2026-01-31T00:00+02:00', '2026-01-30T22:00:00Z'],
    ['2026-01-01T00:30+01:00', '2025-12-31T23:30:00Z'],
  ])('%s is %s', (text, expected) => {
    expect(parseTime(text, now)).toEqual(new Date(expected));
  });

  test.each([
    ['2026-12-24', new Date(2026, 11, 24)],
    ['2028-02-29', new Date(2028, 1, 29)],
    ['2026-12-24T18:00', new Date(2026, 11, 24, 18)],
    ['2026-12-24 18:00', new Date(2026, 11, 24, 18)],
    ['2026-12-24 18:00:30', new Date(2026, 11, 24, 18, 0, 30)],
  ])('%s is that of this machine', (text, expected) => {
    expect(parseTime(text, now)).toEqual(expected);
  });

  test.each(['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Kiritimati', 'America/Santiago'])(
    'a day alone begins at midnight in %s',
    (zone) => {
      const before = env['TZ'];
      env['TZ'] = zone;
      try {
        for (const text of ['2026-01-01', '2026-03-29', '2026-06-15', '2026-10-25', '2026-12-31']) {
          const at = parseTime(text, now);
          expect([at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes()]).toEqual([
            ...text.split('-').map(Number),
            0,
            0,
          ]);
        }
        // In Chile summer time begins at this midnight, so the day begins at 01:00.
        expect(parseTime('2026-09-06', now).getDate()).toBe(6);
        expect(() => parseTime('2026-02-30', now)).toThrow(expect.objectContaining({ code: 'bad-input' }));
      } finally {
        if (before === undefined) delete env['TZ'];
        else env['TZ'] = before;
      }
    },
  );

  test('a day alone is another time elsewhere', () => {
    const before = env['TZ'];
    try {
      env['TZ'] = 'Pacific/Kiritimati';
      expect(parseTime('2026-12-24', now).toISOString()).toBe('2026-12-23T10:00:00.000Z');
      expect(parseTime('2026-12-24T18:00', now).toISOString()).toBe('2026-12-24T04:00:00.000Z');
      expect(parseTime('2026-12-24T18:00Z', now).toISOString()).toBe('2026-12-24T18:00:00.000Z');
    } finally {
      if (before === undefined) delete env['TZ'];
      else env['TZ'] = before;
    }
  });

  test('a span from now is that from the time it is asked', () => {
    const before = Date.now();
    const at = parseTime('1d').getTime() - 86_400_000;
    expect(at).toBeGreaterThanOrEqual(before);
    expect(at).toBeLessThanOrEqual(Date.now());
  });

  test.each([
    '',
    ' ',
    'never',
    'tomorrow',
    'Now',
    '30',
    'd',
    '-1d',
    '+1d',
    '1.5d',
    '30 d',
    '30m',
    '100000d',
    '2026',
    '2026-12',
    '26-12-24',
    '24.12.2026',
    '12/24/2026',
    '2026-13-01',
    '2026-00-01',
    '2026-12-00',
    '2026-12-32',
    '2026-02-30',
    '2026-02-29',
    '2026-04-31',
    '2026-02-30T10:00',
    '2026-02-30 10:00',
    '2026-02-30T10:00Z',
    '2026-02-29T00:00+01:00',
    '2026-04-31T12:00Z',
    '2026-12-24T25:00',
    '2026-12-24T18:60',
    '2026-12-24T18',
    '2026-12-24 18:00 Uhr',
    '2026-12-24T18:00Europe/Berlin',
    '2026-12-24foo',
    '2026-12-241',
    'x2026-12-24',
    '1798135200',
    'Thu Dec 24 2026',
  ])('%j is none', (text) => {
    expect(() => parseTime(text, now)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining(`'${text}'`) }),
    );
  });

  test('whatever is typed, it is a time or refused', () => {
    const piece = fc.oneof(
      fc.constantFrom('2026', '-', '12', '24', 'T', ' ', '18', ':', '00', 'Z', '+01:00', 'd', 'h', '30', '.'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        try {
          expect(parseTime(pieces.join(''), now).getTime()).not.toBeNaN();
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-input' });
        }
      }),
      runs(500),
    );
  });

  test('what toISOString writes is read back', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('1970-01-01T00:00:00Z'), max: new Date('2999-12-31T23:59:59Z'), noInvalidDate: true }),
        (date) => {
          expect(parseTime(date.toISOString(), now)).toEqual(date);
        },
      ),
      runs(200),
    );
  });
});
