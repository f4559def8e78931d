import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { parseDate, parsePeriod } from './parse-date.ts';
import { atClock, formatMoment, startOfDay, utcMs, utcOffsetMs } from './time-zone.ts';

const now = new Date('2026-03-01T12:00:00Z');
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kathmandu',
  'Pacific/Kiritimati',
  'America/Santiago',
  'America/Havana',
] as const;
const zones = fc.constantFrom(...ZONES, 'Australia/Lord_Howe', 'Antarctica/Troll', 'Africa/Casablanca', 'Pacific/Apia');
const read = (text: string, zone = 'UTC', allowsSpans = true) => parseDate(text, { zone, now, allowsSpans });

describe('moments', () => {
  test.each([
    ['now', '2026-03-01T12:00:00Z'],
    ['0d', '2026-03-01T12:00:00Z'],
    ['30d', '2026-03-31T12:00:00Z'],
    ['12h', '2026-03-02T00:00:00Z'],
    ['99999h', '2037-07-28T03:00:00Z'],
    ['12 hours ago', '2026-03-01T00:00:00Z'],
    ['90 minutes ago', '2026-03-01T10:30:00Z'],
    ['2026-12-24T18:00Z', '2026-12-24T18:00:00Z'],
    ['2026-12-24 18:00Z', '2026-12-24T18:00:00Z'],
    ['2026-12-24 18:00 UTC', '2026-12-24T18:00:00Z'],
    ['2026-12-24t18:00z', '2026-12-24T18:00:00Z'],
    ['2026-12-24T18:00:30.500Z', '2026-12-24T18:00:30.500Z'],
    ['2026-12-24T18:00+01:00', '2026-12-24T17:00:00Z'],
    ['2026-12-24 18:00:00.123456+00', '2026-12-24T18:00:00.123Z'],
    ['2026-12-24 18:00-05:30', '2026-12-24T23:30:00Z'],
    ['2026-12-24 18:00 +0545', '2026-12-24T12:15:00Z'],
    ['2028-02-29T23:59:59Z', '2028-02-29T23:59:59Z'],
    ['2026-01-01T00:30+01:00', '2025-12-31T23:30:00Z'],
  ])('%s is %s in every zone', (text, expected) => {
    for (const zone of ZONES) expect(read(text, zone)).toMatchObject({ isDay: false, begin: new Date(expected) });
  });

  test('an offset counts, whatever the zone is; without one the zone does', () => {
    expect(read('2026-11-01T18:15Z', 'Asia/Kathmandu').begin.toISOString()).toBe('2026-11-01T18:15:00.000Z');
    expect(read('2026-11-01T18:15', 'Asia/Kathmandu').begin.toISOString()).toBe('2026-11-01T12:30:00.000Z');
    expect(read('2026-11-01 18:15', 'America/New_York').begin.toISOString()).toBe('2026-11-01T23:15:00.000Z');
  });

  test('all digits of a time are kept for Postgres', () => {
    expect(read('2026-12-24 18:00:00.123456+00').sql).toBe('2026-12-24T18:00:00.123456Z');
    expect(read('2026-12-24T18:00:00Z').sql).toBe('2026-12-24T18:00:00Z');
  });

  test('a time that the clock skips is as much later, of one that it shows twice the second is meant', () => {
    expect(read('2026-03-29T02:30', 'Europe/Berlin').begin.toISOString()).toBe('2026-03-29T01:30:00.000Z');
    expect(read('2026-10-25T02:30', 'Europe/Berlin').begin.toISOString()).toBe('2026-10-25T01:30:00.000Z');
    expect(read('2026-10-25T02:30+02:00', 'Europe/Berlin').begin.toISOString()).toBe('2026-10-25T00:30:00.000Z');
  });
});

describe('days', () => {
  test.each([
    ['today', '2026-03-01'],
    ['Today', '2026-03-01'],
    ['yesterday', '2026-02-28'],
    ['tomorrow', '2026-03-02'],
    ['7 days ago', '2026-02-22'],
    ['1 day ago', '2026-02-28'],
    ['2 weeks ago', '2026-02-15'],
    ['0 days ago', '2026-03-01'],
  ])('%s is %s', (text, expected) => {
    expect(read(text)).toEqual(read(expected));
    expect(read(text).isDay).toBe(true);
  });

  test('today is that of the zone', () => {
    const late = { now: new Date('2026-03-01T23:00:00Z'), zone: 'Asia/Tokyo' };
    expect(parseDate('today', late)).toEqual(parseDate('2026-03-02', late));
  });

  test('a day begins when its date does, and ends when the next one begins', () => {
    const dates = fc.date({ min: new Date('1970-01-05'), max: new Date('2099-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(dates, zones, (date, zone) => {
        const text = date.toISOString().slice(0, 10);
        const { isDay, begin, end } = read(text, zone);
        const dateAt = (ms: number) => new Date(ms + utcOffsetMs(zone, ms)).toISOString().slice(0, 10);
        expect(isDay).toBe(true);
        // Samoa skipped the day 30 December 2011.
        if (dateAt(begin.getTime()) !== text) expect([zone, text]).toEqual(['Pacific/Apia', '2011-12-30']);
        else expect([dateAt(begin.getTime() - 1000) < text, dateAt(end.getTime() - 1000)]).toEqual([true, text]);
      }),
      runs(500),
    );
  });

  test('where midnight is skipped or comes twice', () => {
    // Chile skips midnight when summer time begins. Cuba has midnight twice when summer time ends.
    expect(formatMoment(read('2026-09-06', 'America/Santiago').begin.getTime(), 'America/Santiago')).toBe('2026-09-06 01:00 -03:00');
    expect(formatMoment(read('2026-11-01', 'America/Havana').begin.getTime(), 'America/Havana')).toBe('2026-11-01 00:00 -04:00');
  });
});

describe('what is no date', () => {
  test.each([
    '',
    ' ',
    'never',
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
    '01.11.2026',
    '12/24/2026',
    '11/01/2026',
    '2026/11/01',
    '20261101',
    '2026-13-01',
    '2026-00-01',
    '2026-12-00',
    '2026-12-32',
    '2026-02-30',
    '2026-02-29',
    '2026-04-31',
    '2026-02-30T10:00',
    '2026-02-30 10:00Z',
    '2026-02-29T00:00+01:00',
    '2026-12-24T25:00',
    '2026-12-24T18:60',
    '2026-12-24T18',
    '2026-12-24 18:00 Uhr',
    '2026-12-24 18:00 PST',
    '2026-12-24T18:00Europe/Berlin',
    '2026-12-24foo',
    '2026-12-241',
    'x2026-12-24',
    '1798135200',
    'Thu Dec 24 2026',
    '2026-12-24T18:00+99:00',
    '0001-01-01',
    'last week',
    'days ago',
    '-7 days ago',
  ])('%j', (text) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(/^'[^]*' is not a day or a time\. .*2026-11-01/) }),
    );
  });

  test('spans from now where nothing lies ahead', () => {
    expect(() => read('30d', 'UTC', false)).toThrow(/Write '30 days ago'/);
  });

  test('whatever is typed, it is a date or refused', () => {
    const piece = fc.oneof(
      fc.constantFrom('2026', '-', '12', '24', 'T', ' ', '18', ':', '00', 'Z', '+01:00', 'd', 'h', '30', '.', 'days', 'ago', 'today'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), zones, (pieces, zone) => {
        try {
          const { begin, end } = read(pieces.join(''), zone);
          expect(end.getTime() - begin.getTime()).toBeGreaterThanOrEqual(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'bad-input' });
        }
      }),
      runs(500),
    );
  });

  test('what toISOString writes is read back', () => {
    const dates = fc.date({ min: new Date('1970-01-01T00:00:00Z'), max: new Date('2999-12-31T23:59:59Z'), noInvalidDate: true });
    fc.assert(
      fc.property(dates, zones, (date, zone) => {
        expect(read(date.toISOString(), zone).begin).toEqual(date);
      }),
      runs(200),
    );
  });
});

describe('periods', () => {
  test('a day as the end is included, and the words say so', () => {
    expect(parsePeriod('2026-11-01', '2026-11-01', { zone: 'America/New_York', now })).toEqual({
      begins: '2026-11-01T04:00:00.000Z',
      ends: '2026-11-02T05:00:00.000Z',
      words: 'from 2026-11-01 00:00 -04:00 to 2026-11-01 23:59:59 -05:00',
    });
    expect(parsePeriod(undefined, '2026-11-01T18:15Z', { zone: 'Asia/Kathmandu', now })).toEqual({
      begins: undefined,
      ends: '2026-11-01T18:15:00Z',
      words: 'from the first hit until before 2026-11-02 00:00 +05:45',
    });
  });

  test.each([
    ['2026-11-02', '2026-11-01'],
    ['2026-11-01T10:00', '2026-11-01T10:00'],
    ['today', 'yesterday'],
    ['now', '1 hours ago'],
  ])('from %s to %s has no length', (from, to) => {
    expect(() => parsePeriod(from, to, { zone: 'UTC', now })).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('has no length') }),
    );
  });
});

test('the clock of a zone shows the time that was typed, unless it skips it', () => {
  const times = fc.integer({ min: utcMs(1975, 1, 1) / 1000, max: utcMs(2060, 1, 1) / 1000 });
  fc.assert(
    fc.property(times, zones, (seconds, zone) => {
      const at = atClock(zone, seconds * 1000);
      const shown = at + utcOffsetMs(zone, at);
      const skipped = shown - seconds * 1000;
      expect(skipped).toBeGreaterThanOrEqual(0);
      if (skipped > 0) expect(utcOffsetMs(zone, at - skipped - 1000)).toBeLessThan(utcOffsetMs(zone, at));
      expect(startOfDay(zone, Math.floor(seconds / 86_400) * 86_400_000)).not.toBeNaN();
    }),
    runs(500),
  );
});
