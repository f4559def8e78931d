import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/servers.ts';
import { readSchedules, type Schedule } from './schedule-file.ts';

const WEEKLY = { name: 'weekly', at: '0 8 * * 1', report: 'clicks-by-link', to: ['ann@example.org'] };

async function read(content: unknown, zone = 'UTC'): Promise<Schedule[]> {
  const path = join(await temporaryDirectory(), 'schedules.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return readSchedules(path, zone);
}

const one = async (entry: object, zone?: string): Promise<Schedule> =>
  (await read({ schedules: [{ ...WEEKLY, ...entry }] }, zone))[0] as Schedule;

test('a schedule has defaults, and takes the time zone of the settings', async () => {
  expect(await one({}, 'Asia/Kolkata')).toMatchObject({
    name: 'weekly',
    zone: 'Asia/Kolkata',
    values: {},
    timeoutSeconds: 60,
    to: ['ann@example.org'],
  });
  expect(
    await one({ timezone: 'europe/berlin', parameters: { limit: 5 }, to: ['Ann <ann@example.org>', 'ann@example.org,bob@example.org'] }),
  ).toMatchObject({
    zone: 'Europe/Berlin',
    values: { limit: '5' },
    to: ['ann@example.org', 'bob@example.org'],
  });
});

test('all mistakes of a file are in one message, without mail addresses', async () => {
  const schedules = [
    { ...WEEKLY, name: 'First!' },
    { ...WEEKLY, name: 'times', at: '61 8 * * 1', timezone: 'PST' },
    { ...WEEKLY, name: 'never', at: '0 8 31 2 *' },
    { ...WEEKLY, name: 'seconds', at: '0 0 8 * * 1' },
    { ...WEEKLY, name: 'unknown', report: 'clicks-by-lnk', to: ['ann@example.org', 'bob@'] },
    { ...WEEKLY, name: 'parameters', parameters: { campain: '2' }, extra: true },
    { ...WEEKLY, name: 'nobody', to: [] },
    { ...WEEKLY, name: 'parameter', parameters: { campain: '2' } },
    WEEKLY,
    WEEKLY,
    'text',
  ];
  const error = await read({ schedules }).catch((thrown: Error) => thrown);
  expect(error).toMatchObject({ code: 'bad-input' });
  const lines = (error as Error).message.split('\n').slice(1);
  const expected: [string, RegExp][] = [
    ['First!: name', /1 to 64 characters/],
    ['times: timezone', /PST/],
    ['times: at', /is not a cron expression/],
    ['never: at', /is never/],
    ['seconds: at', /five fields/],
    ['unknown: report', /clicks-by-link/],
    ['unknown: to.1', /is not a mail address/],
    ['parameters: it', /extra/],
    ['nobody: to', /at least one/],
    ['parameter: parameters', /Did you mean 'campaign'/],
    ['weekly', /another schedule/],
    ['schedule 11', /./],
  ];
  expect(lines).toHaveLength(expected.length);
  for (const [i, [begin, reason]] of expected.entries()) {
    expect(lines[i]).toMatch(new RegExp(`^${begin}: `));
    expect(lines[i]).toMatch(reason);
  }
  expect((error as Error).message).not.toContain('bob@\n');
  expect((error as Error).message.replaceAll('ann@example.org,bob@example.org', '')).not.toContain('@');
});

test.each([
  ['{ "schedules": [', 'is not JSON'],
  ['[]', 'must have the form'],
  [{ schedules: [], more: 1 }, 'must have the form'],
])('the file %j', async (content, reason) => {
  await expect(read(content)).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(reason) });
});

describe('times', () => {
  const at = (text: string | undefined): Date => new Date(text ?? '');

  test('the last time includes the moment itself', async () => {
    const { lastUntil, nextAfter } = await one({ timezone: 'Europe/Berlin' });
    for (const [moment, last, next] of [
      ['2026-11-30T06:59:59.999Z', '2026-11-23T07:00:00Z', '2026-11-30T07:00:00Z'],
      ['2026-11-30T07:00:00Z', '2026-11-30T07:00:00Z', '2026-12-07T07:00:00Z'],
      ['2026-11-30T07:00:00.5Z', '2026-11-30T07:00:00Z', '2026-12-07T07:00:00Z'],
      ['2026-12-06T23:00:00Z', '2026-11-30T07:00:00Z', '2026-12-07T07:00:00Z'],
    ] as const) {
      expect(lastUntil(at(moment)), moment).toEqual(at(last));
      expect(nextAfter(at(moment)), moment).toEqual(at(next));
    }
  });

  test.each([
    ['put forward, so that 02:30 does not exist', '2026-03-28T12:00Z', ['2026-03-29T01:00Z', '2026-03-30T00:30Z']],
    ['put back, so that 02:30 comes twice', '2026-10-24T12:00Z', ['2026-10-25T00:30Z', '2026-10-26T01:30Z']],
  ])('clocks are %s: there is one time on each day', async (_, from, expected) => {
    const { lastUntil, nextAfter } = await one({ at: '30 2 * * *', timezone: 'Europe/Berlin' });
    let moment = at(from);
    for (const time of expected) {
      moment = nextAfter(moment) as Date;
      expect(moment).toEqual(at(time));
      expect(lastUntil(moment)).toEqual(moment);
    }
    // Between the two there is no other time.
    expect(lastUntil(new Date(moment.getTime() - 1))).toEqual(at(expected[0]));
  });
});
