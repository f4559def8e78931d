import pg from 'pg';
import { inject } from 'vitest';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { nearestNames } from './nearest.ts';
import { atClock, parseTimeZone, timeZoneNames } from './time-zone.ts';

const messageOf = (text: string): string => {
  try {
    return `accepted: ${parseTimeZone(text)}`;
  } catch (error) {
    expect(error).toMatchObject({ code: 'bad-input' });
    return (error as Error).message;
  }
};

async function ask<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: `${inject('clusterUrl')}/postgres` });
  await client.connect();
  try {
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

test('names are those of the IANA database, in upper or lower case', () => {
  fc.assert(
    fc.property(fc.constantFrom(...timeZoneNames()), fc.infiniteStream(fc.boolean()), (name, cases) => {
      const typed = Array.from(name, (letter) => (cases.next().value ? letter.toUpperCase() : letter.toLowerCase())).join('');
      expect(parseTimeZone(typed)).toBe(name);
      expect(() => new Intl.DateTimeFormat('en', { timeZone: name })).not.toThrow();
    }),
    runs(300),
  );
  for (const name of ['UTC', 'Asia/Kathmandu', 'Asia/Katmandu', 'Europe/Kyiv', 'US/Pacific', 'Etc/GMT+5', 'America/Port-au-Prince'])
    expect(parseTimeZone(name)).toBe(name);
});

describe('what is no name', () => {
  test.each([
    ['PST', 'America/Los_Angeles'],
    ['pdt', 'America/Los_Angeles'],
    ['CET', 'Europe/Berlin'],
    ['CEST', 'Europe/Paris'],
    ['IST', 'Asia/Kolkata, Asia/Jerusalem or Europe/Dublin'],
    ['EST5EDT', 'America/New_York'],
    ['EST', 'America/New_York'],
    ['GMT', 'Europe/London'],
    ['MEZ', 'Europe/Vienna'],
    ['UTC+5', 'Asia/'],
    ['UTC +5:45', 'Asia/Kathmandu'],
    ['GMT-3', 'America/'],
    ['+05:30', 'Asia/Kolkata'],
    ['-0330', 'name'],
    ['UTC+0', 'UTC'],
    ['Mars/Base', 'name'],
    ['Kathmandu', 'Asia/Kathmandu'],
    ['berlin', 'Europe/Berlin'],
    ['Europe/Berln', 'Europe/Berlin'],
    ['new york', 'America/New_York'],
    ['Asia/Kolkatta', 'Asia/Kolkata'],
    ['Blah3', 'name'],
    ['posixrules', 'name'],
    ['Factory', 'name'],
    ['', 'name'],
    ["'; DROP TABLE x; --", 'name'],
  ])('%j is answered with %s', (text, expected) => {
    expect(messageOf(text)).not.toMatch(/^accepted/);
    expect(messageOf(text)).toContain(expected);
  });

  test('abbreviations and offsets that Postgres takes are refused', async () => {
    const rows = await ask<{ abbrev: string }>('SELECT DISTINCT abbrev FROM pg_timezone_abbrevs');
    const abbreviations = rows.map(({ abbrev }) => abbrev).filter((abbrev) => abbrev !== 'UTC');
    expect(abbreviations.length).toBeGreaterThan(50);
    for (const text of abbreviations) expect(messageOf(text)).not.toMatch(/^accepted/);
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z]{3,5}[+-]?\d{1,2}([A-Z]{3,4})?$/), (text) => {
        expect(messageOf(text)).not.toMatch(/^accepted/);
      }),
      runs(200),
    );
  });
});

test('Postgres knows every name', async () => {
  const rows = await ask<{ name: string }>('SELECT name FROM pg_timezone_names');
  const known = new Set(rows.map(({ name }) => name));
  expect(timeZoneNames().filter((name) => !known.has(name))).toEqual([]);
});

test('a time without an offset is what it is to Postgres', async () => {
  const zones = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/Santiago', 'Antarctica/Troll'];
  // Every hour of a year. At the clock changes, a local time has two possible meanings or none.
  const times = zones.flatMap((zone) => Array.from({ length: 24 * 366 }, (_, hour) => [zone, Date.UTC(2027, 0, 1, hour, 30)] as const));
  const rows = await ask<{ ms: string }>(
    `SELECT (extract(epoch FROM t::timestamp AT TIME ZONE z) * 1000)::bigint AS ms FROM unnest($1::text[], $2::text[]) AS x (z, t)`,
    [times.map(([zone]) => zone), times.map(([, ms]) => new Date(ms).toISOString().slice(0, 19))],
  );
  const wrong = times.filter(([zone, ms], i) => atClock(zone, ms) !== Number(rows[i]?.ms));
  expect(wrong).toEqual([]);
});

test('similar names are found, the nearest first', () => {
  const names = ['Spring sale', 'Spring sales', 'Autumn', 'Winter news'];
  expect(nearestNames('spring sale', names)).toEqual(['Spring sale', 'Spring sales']);
  expect(nearestNames('Sprnig sale', names)[0]).toBe('Spring sale');
  expect(nearestNames('autum', names)).toEqual(['Autumn']);
  expect(nearestNames('xyzzy', names)).toEqual([]);
  fc.assert(
    fc.property(fc.string({ minLength: 6, maxLength: 20 }), fc.nat(), (name, n) => {
      const typed = name.slice(0, n % name.length) + name.slice((n % name.length) + 1);
      expect(nearestNames(typed, [name])).toEqual([name]);
    }),
  );
});
