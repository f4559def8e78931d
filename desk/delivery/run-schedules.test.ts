import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../../core/log.ts';
import { createPool } from '../../core/postgres.ts';
import { parseSmtpUrl } from '../../core/smtp-url.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { type Fault, type MailServerOptions, startMailServer } from '../../test/support/mail-server.ts';
import { eventually, temporaryDirectory } from '../../test/support/servers.ts';
import { type DeliverOptions, runDueOnce, runSchedules } from './run-schedules.ts';
import { readSchedules, type Schedule } from './schedule-file.ts';
import { openScheduleState } from './schedule-state.ts';

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(1);
});

const MINUTELY = { name: 'minutely', at: '* * * * *', report: 'completeness', to: ['ann@example.org', 'bob@example.org'] };
const minutes = (text: string): Date => new Date(`2030-05-01T${text}Z`);

async function setUp(entries: object[], options: MailServerOptions = {}) {
  const directory = await temporaryDirectory();
  const file = join(directory, 'schedules.json');
  await writeFile(file, JSON.stringify({ schedules: entries }));
  const schedules = await readSchedules(file, 'UTC');
  const server = await startMailServer(options);
  const pool = createPool(databases.roleUrls.analyst, { max: 4, name: 'test' });
  onTestFinished(() => pool.end());
  const path = join(directory, 'state.json');
  const clock = { now: minutes('08:00:30') };
  /** The options of a process that starts now: it reads the state from disk. */
  const start = async (more: Partial<DeliverOptions> = {}): Promise<DeliverOptions> => ({
    pool,
    server: parseSmtpUrl(`smtp://127.0.0.1:${server.port}`),
    from: 'Reports <reports@shop.example>',
    state: await openScheduleState(path),
    log: createLogger('test', 'silent'),
    report: {},
    now: () => clock.now,
    ...more,
  });
  const once = async (moment: string, more?: Partial<DeliverOptions>): Promise<number> => {
    clock.now = minutes(moment);
    return runDueOnce(schedules, await start(more));
  };
  return { schedules, server, path, clock, start, once };
}

test('each time is sent once, however often the process starts; missed times are one mail, with the dates of the last time', async () => {
  const { server, once, path } = await setUp([
    { ...MINUTELY, report: 'clicks-by-hour', parameters: { from: 'yesterday', to: 'yesterday' } },
  ]);
  // A new schedule begins now: nothing is sent for the past.
  for (const moment of ['08:00:30', '08:00:50']) expect(await once(moment)).toBe(0);
  expect(server.stored).toEqual([]);
  for (const moment of ['08:01:00', '08:01:01', '08:01:59']) expect(await once(moment)).toBe(0);
  expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1 });
  for (const moment of ['23:17:05', '23:17:06']) expect(await once(moment)).toBe(0);
  expect(server.counts()).toEqual({ 'ann@example.org': 2, 'bob@example.org': 2 });
  const mails = await Promise.all(server.stored.map(({ content }) => PostalMime.parse(content)));
  expect(mails[0]?.text).toContain('from 2030-04-30 00:00 UTC to 2030-04-30 23:59:59 UTC');
  expect(new Set(mails.map(({ messageId }) => messageId)).size).toBe(4);
  // The state is for nobody else, and has no addresses.
  expect(await readFile(path, 'utf8')).not.toContain('@');
});

test('a time that was changed is not due for the past', async () => {
  const { schedules, server, once } = await setUp([MINUTELY]);
  await once('08:00:30');
  const [changed] = (await setUp([{ ...MINUTELY, at: '*/2 * * * *' }])).schedules;
  schedules[0] = changed as Schedule;
  expect(await once('08:02:30')).toBe(0);
  expect(server.stored).toEqual([]);
  expect(await once('08:04:00')).toBe(0);
  expect(server.stored).toHaveLength(2);
});

test('what fails is tried again, for the addresses that have no mail yet, and does not stop the others', async () => {
  let fault: Fault | undefined = { code: 451 };
  const { schedules, server, path, once } = await setUp(
    [
      MINUTELY,
      { ...MINUTELY, name: 'wrong', parameters: {}, report: 'clicks-by-link' },
      { ...MINUTELY, name: 'other', to: ['eve@example.org'] },
    ],
    { fault: (step, to) => (step === 'rcpt' && to.startsWith('bob') ? fault : undefined) },
  );
  schedules[1] = { ...(schedules[1] as Schedule), values: { campaign: 'nobody@example.org' } };
  await once('08:00:30');
  expect(await once('08:01:00')).toBe(2);
  expect(server.counts()).toEqual({ 'ann@example.org': 1, 'eve@example.org': 1 });
  const state = JSON.parse(await readFile(path, 'utf8')).schedules;
  expect(state.minutely.current.problem).toContain('the mail server');
  expect(state.wrong.current.problem).toMatch(/campaign '\(address\)' does not exist/);
  expect(state.other).toMatchObject({ last: { sent: 1 } });
  fault = undefined;
  expect(await once('08:01:30')).toBe(1);
  expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1, 'eve@example.org': 1 });
  // The next time replaces one that has never succeeded.
  expect(await once('08:02:00')).toBe(1);
  expect(JSON.parse(await readFile(path, 'utf8')).schedules.wrong.current.at).toBe('2030-05-01T08:02:00.000Z');
});

test('an address that the server refuses is not tried again', async () => {
  const { server, path, once } = await setUp([MINUTELY], {
    fault: (step, to) => (step === 'rcpt' && to.startsWith('ann') ? { code: 550 } : undefined),
  });
  await once('08:00:30');
  for (const moment of ['08:01:00', '08:01:20']) expect(await once(moment)).toBe(0);
  expect(server.counts()).toEqual({ 'bob@example.org': 1 });
  expect(JSON.parse(await readFile(path, 'utf8')).schedules.minutely.last).toEqual({
    at: '2030-05-01T08:01:00.000Z',
    sent: 1,
    refused: 1,
    unknown: 0,
  });
});

test('the service sends at the next time, and tries again until it succeeds', async () => {
  let failures = 3;
  const { schedules, server, start } = await setUp([MINUTELY], {
    fault: (step) => (step === 'connect' && failures-- > 0 ? { code: 421 } : undefined),
  });
  const stop = new AbortController();
  // The clock of the service is one second before a full minute.
  const ahead = 59_000 - (Date.now() % 60_000);
  const options = await start({ now: () => new Date(Date.now() + ahead), retryMs: [5, 10] });
  const running = runSchedules(schedules, options, stop.signal);
  await eventually('both have the mail', async () => server.stored.length === 2);
  stop.abort();
  await running;
  expect(failures).toBeLessThanOrEqual(0);
  expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1 });
});

test('while the state cannot be written, nothing is sent', async () => {
  const { server, path, start, clock, schedules } = await setUp([MINUTELY]);
  const options = await start();
  await runDueOnce(schedules, options);
  clock.now = minutes('08:01:00');
  const broken = { ...options.state, save: () => Promise.reject(new Error(`${path}: the disk is full`)) };
  const begun = {
    ...broken,
    save: (
      (calls) => () =>
        calls++ === 0 ? Promise.resolve() : broken.save()
    )(0),
  };
  expect(await runDueOnce(schedules, { ...options, state: begun })).toBe(1);
  expect(server.stored).toEqual([]);
  // The same process sends when the disk has space again.
  expect(await runDueOnce(schedules, options)).toBe(0);
  expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1 });
});
