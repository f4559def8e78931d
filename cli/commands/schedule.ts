import type { Command } from 'commander';
import { ClickledgerError } from '../../core/errors.ts';
import { createLogger } from '../../core/log.ts';
import { createPool } from '../../core/postgres.ts';
import { handleStopSignals } from '../../core/shutdown.ts';
import { formatMoment } from '../../core/time-zone.ts';
import { type DeliverOptions, runDueOnce, runSchedules, whenOf } from '../../desk/delivery/run-schedules.ts';
import { readSchedules, type Schedule } from '../../desk/delivery/schedule-file.ts';
import { type Counts, openScheduleState, type ScheduleEntry } from '../../desk/delivery/schedule-state.ts';
import { lockPath } from '../../stack/lock.ts';
import { configOf, type GlobalOptions, throwExplained } from '../context.ts';
import { note, printJson, printTable } from '../output.ts';

// The command `schedule`: sends reports by mail at the times of a file, and shows these times.

const CONNECTIONS = 4;

interface Options {
  state?: string;
  once?: boolean;
}

const STATE_OPTION = [
  '--state <file>',
  'the file that says which reports are sent (default: beside the file, e.g. schedules.state.json)',
] as const;

export function addSchedule(program: Command): void {
  const schedule = program.command('schedule').description('send reports by mail at the times that a file names');
  schedule
    .command('run <file>')
    .description('send each report when it is due, until the command is stopped')
    .option(...STATE_OPTION)
    .option('--once', 'send what is due now, then end; for cron or a timer. The exit code is 1 if a report could not be sent')
    .addHelpText(
      'after',
      `
The file is JSON. "at" is a cron expression: minute, hour, day of the month, month, day of the week.

  { "schedules": [
    { "name": "weekly", "at": "0 8 * * 1", "timezone": "Europe/Berlin", "report": "clicks-by-link",
      "parameters": { "campaign": "Spring sale" }, "to": ["ann@example.org"] } ] }

Each report is sent once. If the command did not run at a time, it sends the report when it runs again, also if several times were missed.

Example:
  clickledger schedule run schedules.json`,
    )
    .action(run);
  schedule
    .command('list <file>')
    .description('show the next time of each report, and what became of the last one; mistakes in the file are shown, too')
    .option(...STATE_OPTION)
    .addHelpText('after', '\nExample:\n  clickledger schedule list schedules.json')
    .action(list);
}

const stateOf = (file: string, { state }: Options): string => state ?? `${file.replace(/\.json$/, '')}.state.json`;

async function run(file: string, options: Options, command: Command): Promise<void> {
  const config = await configOf(command, ['ANALYST_URL', 'TIMEZONE', 'COUNT_UNSURE', 'GOAL_DAYS', 'SMTP_URL', 'REPORT_FROM', 'LOG_LEVEL']);
  const schedules = await readSchedules(file, config.TIMEZONE || 'UTC');
  if (schedules.length === 0) throw new ClickledgerError('bad-input', `${file} has no schedules`);
  const path = stateOf(file, options);
  const log = createLogger('schedule', config.LOG_LEVEL);
  const { signal } = handleStopSignals(log);
  const lock = await lockPath(
    `${path}.lock`,
    (pid) => `another clickledger schedule uses ${path} (process ${pid}). Stop it first, or give another --state.`,
  ).catch(throwExplained);
  const pool = createPool(config.ANALYST_URL, { max: CONNECTIONS, name: 'schedule' });
  try {
    const deliver: DeliverOptions = {
      pool,
      server: config.SMTP_URL,
      from: config.REPORT_FROM,
      state: await openScheduleState(path).catch(throwExplained),
      log,
      report: { countUnsure: config.COUNT_UNSURE, goalDays: config.GOAL_DAYS },
      now: () => new Date(),
    };
    if (options.once === true) {
      const failed = await runDueOnce(schedules, deliver).catch(throwExplained);
      if (failed > 0)
        throw new ClickledgerError(
          'unavailable',
          `${failed} of ${schedules.length} reports could not be sent to everybody: the reasons are above. The next run tries again.`,
        );
    } else {
      log.info({ schedules: schedules.length }, 'started');
      await runSchedules(schedules, deliver, signal).catch(throwExplained);
    }
  } finally {
    await pool.end();
    await lock.release();
  }
}

async function list(file: string, options: Options, command: Command): Promise<void> {
  const { TIMEZONE } = await configOf(command, ['TIMEZONE']).catch(() => ({ TIMEZONE: '' }));
  const schedules = await readSchedules(file, TIMEZONE || 'UTC');
  const state = await openScheduleState(stateOf(file, options)).catch(throwExplained);
  const now = new Date();
  const rows = schedules.map((schedule) => describe(schedule, state.of(schedule.name, whenOf(schedule), now), now));
  if (command.optsWithGlobals<GlobalOptions>().json === true) return printJson(rows);
  printTable(
    ['name', 'report', 'at', 'next', 'addresses', 'last', 'problem'],
    rows.map((row, i) => {
      const { zone } = schedules[i] as Schedule;
      const moment = (at: string | null): string => (at === null ? '–' : formatMoment(Date.parse(at), zone));
      const last = row.last === null ? '–' : `${moment(row.last.at)}: ${countsText(row.last)}`;
      return [row.name, row.report, row.at, moment(row.next), String(row.addresses), last, row.problem ?? ''];
    }),
  );
  if (schedules.length === 0) note(`${file} has no schedules`);
}

function describe(schedule: Schedule, { doneUntil, current, last }: ScheduleEntry, now: Date) {
  const { name, report, at, zone, to } = schedule;
  const missed = schedule.lastUntil(now);
  const isDue = missed !== undefined && missed > new Date(doneUntil);
  return {
    name,
    report: report.name,
    at,
    timezone: zone,
    next: (isDue ? missed : schedule.nextAfter(now))?.toISOString() ?? null,
    addresses: to.length,
    last: last ?? null,
    problem: current?.problem ?? null,
  };
}

function countsText({ sent, refused, unknown }: Counts): string {
  return [`sent to ${sent}`, ...(refused > 0 ? [`${refused} refused`] : []), ...(unknown > 0 ? [`${unknown} unknown`] : [])].join(', ');
}
