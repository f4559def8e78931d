import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { env as variables } from 'node:process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createDesk, expectJson, expectRefusal } from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { type MailServerOptions, startMailServer } from '../../test/support/mail-server.ts';
import { eventually } from '../../test/support/servers.ts';

// Tests the command `schedule` with a real mail server. desk/delivery/run-schedules.test.ts tests what is due when.

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(1);
});

const DAILY = {
  name: 'daily',
  at: '0 8 * * *',
  timezone: 'Europe/Berlin',
  report: 'completeness',
  to: ['ann@example.org', 'bob@example.org'],
};
const WRONG = { name: 'wrong', at: '0 8 * * *', report: 'clicks-by-link', parameters: { campaign: 'none' }, to: ['eve@example.org'] };

/** The state of schedules whose last time was long ago, so that they are due now. */
const dueState = (...schedules: { name: string; at: string; timezone?: string }[]): string =>
  JSON.stringify({
    version: 1,
    schedules: Object.fromEntries(
      schedules.map(({ name, at, timezone = 'UTC' }) => [name, { when: `${at} ${timezone}`, doneUntil: '2020-01-01T00:00:00.000Z' }]),
    ),
  });

async function setUp(schedules: object[], options: MailServerOptions = {}, state?: string) {
  const server = await startMailServer(options);
  const at = await createDesk({
    'schedules.json': JSON.stringify({ schedules }),
    ...(state === undefined ? {} : { 'schedules.state.json': state }),
  });
  const env = {
    ANALYST_URL: databases.roleUrls.analyst,
    SMTP_URL: `smtp://127.0.0.1:${server.port}`,
    REPORT_FROM: 'Reports <reports@shop.example>',
  };
  const run = (...args: string[]): Promise<CommandResult> => clickledger(['schedule', ...args], { cwd: at, env });
  /** Starts the service as a process of its own. */
  function start() {
    const entry = fileURLToPath(new URL('../main.ts', import.meta.url));
    const child = spawn(process.execPath, [entry, 'schedule', 'run', 'schedules.json'], {
      cwd: at,
      env: { PATH: variables['PATH'], HOME: variables['HOME'], ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
    return { child, log: () => log, exited: once(child, 'exit') as Promise<[number | null, string | null]> };
  }
  return { server, at, run, start, state: join(at, 'schedules.state.json') };
}

describe('schedule list', () => {
  test('shows the next time, and what became of the last one', async () => {
    const state = {
      version: 1,
      schedules: {
        daily: {
          when: '0 8 * * * Europe/Berlin',
          doneUntil: '2100-01-01T00:00:00.000Z',
          last: { at: '2030-05-01T06:00:00.000Z', sent: 1, refused: 1, unknown: 0 },
        },
      },
    };
    const { run } = await setUp([DAILY, WRONG], {}, JSON.stringify(state));
    const { code, stdout } = await run('list', 'schedules.json');
    expect(code).toBe(0);
    const lines = stdout.split('\n');
    expect(lines[1]).toMatch(
      /^daily +completeness +0 8 \* \* \* +20\d\d-\d\d-\d\d 08:00 \+0[12]:00 +2 +2030-05-01 08:00 \+02:00: sent to 1, 1 refused/,
    );
    expect(lines[2]).toMatch(/^wrong +clicks-by-link .* 08:00 UTC +1 +–/);
    expect(await expectJson(run('list', 'schedules.json', '--json'))).toEqual([
      expect.objectContaining({ name: 'daily', timezone: 'Europe/Berlin', addresses: 2, problem: null }),
      expect.objectContaining({ name: 'wrong', last: null }),
    ]);
    expect(stdout).not.toContain('@');
  });

  test('shows all mistakes of a file', async () => {
    const { at, run } = await setUp([
      { ...DAILY, at: 'x' },
      { ...WRONG, parameters: { campain: '1' } },
    ]);
    for (const args of [
      ['list', 'schedules.json'],
      ['run', 'schedules.json', '--once'],
    ]) {
      const { code, stdout, stderr } = await run(...args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^clickledger: schedules\.json has mistakes:\ndaily: at: .*\nwrong: parameters: .*\n$/);
    }
    await expectRefusal(run('list', 'none.json'), 'none.json');
    await writeFile(join(at, 'schedules.json'), '{ "schedules": [] }');
    await expectRefusal(run('run', 'schedules.json'), 'schedules.json has no schedules');
  });
});

describe('schedule run --once', () => {
  test('sends what is due, once, and ends with 1 while something could not be sent', async () => {
    const { server, run } = await setUp([WRONG, DAILY], {}, dueState(WRONG, DAILY));
    for (let i = 0; i < 2; i++) {
      const { code, stdout, stderr } = await run('run', 'schedules.json', '--once');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain('1 of 2 reports could not be sent');
      expect(stderr).not.toContain('@');
    }
    expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1 });
    const [wrong, daily] = await expectJson<{ problem: string | null; last: object | null }[]>(run('list', 'schedules.json', '--json'));
    expect(wrong?.problem).toContain("campaign 'none' does not exist");
    expect(daily?.last).toMatchObject({ sent: 2, refused: 0, unknown: 0 });
  });

  test('a new schedule is not due for the past', async () => {
    const { server, run, state } = await setUp([DAILY]);
    expect(await run('run', 'schedules.json', '--once')).toMatchObject({ code: 0 });
    expect(server.stored).toEqual([]);
    expect(JSON.parse(await readFile(state, 'utf8'))).toMatchObject({
      version: 1,
      schedules: { daily: { when: '0 8 * * * Europe/Berlin' } },
    });
  });

  test.each([
    ['no JSON', '{'],
    ['another version', '{"version":2,"schedules":{}}'],
  ])('a state file that has %s is an error', async (_, state) => {
    const { server, run } = await setUp([DAILY], {}, state);
    await expectRefusal(run('run', 'schedules.json', '--once'), 'is not the state of schedules');
    expect(server.stored).toEqual([]);
  });
});

describe('schedule run', () => {
  test('runs until it is stopped, and a second one is refused', async () => {
    const { server, run, start } = await setUp([WRONG, DAILY], {}, dueState(WRONG, DAILY));
    const { child, log, exited } = start();
    await eventually('both have the mail', async () => server.stored.length === 2);
    await expectRefusal(run('run', 'schedules.json', '--once'), 'another clickledger schedule uses schedules.state.json');
    await eventually('the log says so', async () => log().includes('report sent'));
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    const lines = log()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; schedule?: string });
    expect(lines.map(({ msg, schedule = '' }) => `${msg} ${schedule}`.trim())).toEqual(
      expect.arrayContaining(['started', 'report sent daily', 'report not sent, it will be tried again wrong', 'stopping']),
    );
    expect(log()).not.toContain('@');
    expect(await run('run', 'schedules.json', '--once')).toMatchObject({ code: 1 });
    expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1 });
  });

  test('a process that is killed while it sends does not send twice', async () => {
    let isBlocked = true;
    const { server, run, start, state } = await setUp(
      [DAILY],
      // The server has the message to Ann, and its answer never comes.
      { wait: (step, to) => (isBlocked && step === 'stored' && to.startsWith('ann') ? new Promise(() => {}) : Promise.resolve()) },
      dueState(DAILY),
    );
    const { child, exited } = start();
    await eventually('the message is stored', async () => server.stored.length === 1);
    child.kill('SIGKILL');
    await exited;
    expect(await readFile(state, 'utf8')).toContain('"trying"');
    isBlocked = false;
    expect(await run('run', 'schedules.json', '--once')).toMatchObject({ code: 0 });
    expect(server.counts()).toEqual({ 'ann@example.org': 1, 'bob@example.org': 1 });
    expect(JSON.parse(await readFile(state, 'utf8')).schedules.daily.last).toMatchObject({ sent: 1, unknown: 1 });
  });

  test('settings and options', async () => {
    const { at, run, state } = await setUp([DAILY]);
    const without = clickledger(['schedule', 'run', 'schedules.json'], { cwd: at, env: { ANALYST_URL: databases.roleUrls.analyst } });
    expect(await without).toMatchObject({ code: 1, stderr: expect.stringMatching(/SMTP_URL is not set[^]*REPORT_FROM is not set/) });
    await writeFile(state, 'not read');
    expect(await run('run', 'schedules.json', '--once', '--state', 'other.json')).toMatchObject({ code: 0 });
    expect(JSON.parse(await readFile(join(at, 'other.json'), 'utf8'))).toMatchObject({ version: 1 });
  });
});
