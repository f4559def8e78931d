import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClickledgerError, codeOf, messageOf } from '../../core/errors.ts';
import { explainFileError } from '../../core/files.ts';
import { createGate, mapConcurrently } from '../../core/gate.ts';
import type { Logger } from '../../core/log.ts';
import { explainDatabaseError, type Pool } from '../../core/postgres.ts';
import type { SmtpServer } from '../../core/smtp-url.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import { parseSender } from './addresses.ts';
import { makeReportMail } from './report-mail.ts';
import type { Schedule } from './schedule-file.ts';
import { countResults, type ScheduleEntry, type ScheduleState } from './schedule-state.ts';
import { sendReportMail, withoutAddresses } from './send-mail.ts';

// Sends the reports of schedules when they are due.
//
// Only the last time that has passed is due, so after a long downtime each report is sent once. Before the first byte of each message, the state
// on disk says that it was begun, and afterwards what became of it. So after a crash nobody gets a report twice: a message that was begun
// and has no result counts as sent, because it may have arrived. A report that fails is tried again, until its next time is due.

/** The longest sleep. The clock of the machine may be changed, and a machine may be suspended. */
const MAX_SLEEP_MS = 30_000;
/** The waits before further attempts. The last one repeats. */
const RETRY_MS = [60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];
/** At most so many reports run at the same time, so that one slow report or mail server does not delay all others. */
const CONCURRENCY = 4;

export interface DeliverOptions {
  pool: Pool;
  server: SmtpServer;
  from: string;
  state: ScheduleState;
  log: Logger;
  report: Pick<RunOptions, 'countUnsure' | 'goalDays'>;
  now: () => Date;
  retryMs?: readonly number[];
}

/** Sends due reports until `signal` aborts. The reports that are being sent then are completed. */
export async function runSchedules(schedules: readonly Schedule[], options: DeliverOptions, signal: AbortSignal): Promise<void> {
  const begin = createGate(CONCURRENCY);
  await begun(schedules, options);
  await Promise.all(schedules.map((schedule) => follow(schedule, options, signal, begin)));
}

/** Sends what is due now, with one attempt for each schedule. Returns the number of reports that could not be sent to everybody. */
export async function runDueOnce(schedules: readonly Schedule[], options: DeliverOptions): Promise<number> {
  await begun(schedules, options);
  const done = await mapConcurrently(CONCURRENCY, schedules, (schedule) => deliverDue(schedule, options));
  return done.filter((isDone) => !isDone).length;
}

/** Creates the entries of new schedules on disk, so that the times after this moment are due in a later run. */
async function begun(schedules: readonly Schedule[], { state, now, from }: DeliverOptions): Promise<void> {
  parseSender(from);
  for (const schedule of schedules) state.of(schedule.name, whenOf(schedule), now());
  state.keep(schedules.map(({ name }) => name));
  await state.save();
}

export const whenOf = ({ at, zone }: Schedule): string => `${at} ${zone}`;

async function follow(
  schedule: Schedule,
  options: DeliverOptions,
  signal: AbortSignal,
  begin: ReturnType<typeof createGate>,
): Promise<void> {
  const waits = options.retryMs ?? RETRY_MS;
  let failures = 0;
  while (!signal.aborted) {
    const isDone = await begin(() => (signal.aborted ? Promise.resolve(true) : deliverDue(schedule, options)));
    if (isDone) failures = 0;
    const { state, now } = options;
    const retryMs = isDone ? Number.POSITIVE_INFINITY : (waits[Math.min(failures++, waits.length - 1)] as number);
    const { doneUntil, current } = state.of(schedule.name, whenOf(schedule), now());
    const next = schedule.nextAfter(new Date(current?.at ?? doneUntil));
    const untilNext = next === undefined ? Number.POSITIVE_INFINITY : next.getTime() - now().getTime();
    await waitUntil(now().getTime() + Math.min(retryMs, untilNext), now, signal);
  }
}

async function waitUntil(moment: number, now: () => Date, signal: AbortSignal): Promise<void> {
  for (;;) {
    const ms = moment - now().getTime();
    if (ms <= 0 || signal.aborted) return;
    await sleep(Math.min(ms, MAX_SLEEP_MS), undefined, { signal }).catch(() => {});
  }
}

/**
 * Sends the report of a schedule if it is due. Returns false if it must be tried again. If the state cannot be written, no message begins, and what was
 * sent before stays known in memory.
 */
async function deliverDue(schedule: Schedule, options: DeliverOptions): Promise<boolean> {
  const { state, log, now } = options;
  const entry = state.of(schedule.name, whenOf(schedule), now());
  const due = schedule.lastUntil(now());
  if (due === undefined || due <= new Date(entry.doneUntil)) return true;
  const at = due.toISOString();
  if (entry.current?.at !== at) {
    if (entry.current)
      log.warn({ schedule: schedule.name, at: entry.current.at, ...countResults(entry.current.results) }, 'given up: the next time is due');
    entry.current = { at, results: {} };
  }
  const { current } = entry;
  const problem = await deliver(schedule, due, current, options);
  if (problem === undefined) {
    entry.last = { at, ...countResults(current.results) };
    entry.doneUntil = at;
    delete entry.current;
    log.info({ schedule: schedule.name, ...entry.last }, 'report sent');
  } else {
    current.problem = problem;
    log.warn({ schedule: schedule.name, at, problem }, 'report not sent, it will be tried again');
  }
  await state.save().catch((error: unknown) => log.error({ schedule: schedule.name, err: error }, 'the state cannot be written'));
  return problem === undefined;
}

/** Sends the report to the addresses that have no result yet. Returns a problem if some of them must be tried again. */
async function deliver(
  { name, report, values, to, zone, timeoutSeconds }: Schedule,
  due: Date,
  { results }: NonNullable<ScheduleEntry['current']>,
  { pool, server, from, state, log, report: settings }: DeliverOptions,
): Promise<string | undefined> {
  const hashOf = (address: string): string => hash('sha256', `${name} ${due.toISOString()} ${address}`).slice(0, 24);
  const waiting = to.filter((address) => results[hashOf(address)] === undefined);
  if (waiting.length === 0) return undefined;
  let problem: string | undefined;
  try {
    // Dates such as "yesterday" are those of the time that is due, also if the report is late.
    const mail = await makeReportMail(pool, report, values, { ...settings, timeoutSeconds, zone, now: due });
    const domain = parseSender(from).split('@').at(-1) as string;
    const deliveries = sendReportMail(mail, waiting, {
      server,
      from,
      messageIdOf: (address) => `<${hashOf(address)}@${domain}>`,
      async beforeContent(address) {
        results[hashOf(address)] = 'trying';
        await state.save().catch((error: unknown) => {
          // The message is not sent then.
          delete results[hashOf(address)];
          throw error;
        });
      },
    });
    for await (const { to: address, is, reason } of deliveries) {
      if (is === 'sent' || is === 'refused' || is === 'unknown') {
        results[hashOf(address)] = is;
        if (is !== 'sent') log.warn({ schedule: name, at: due.toISOString(), address: to.indexOf(address) + 1, reason }, `message ${is}`);
      } else {
        delete results[hashOf(address)];
        problem ??= `the mail server: ${reason ?? ''}`;
      }
      await state.save();
    }
  } catch (error) {
    if (codeOf(error) === undefined) log.error({ schedule: name, err: error }, 'unexpected error');
    problem = textFor(
      error,
      report.parameters.some(({ type }) => type === 'recipient'),
    );
  }
  return problem;
}

/** The message of an error without mail addresses. If the report is about a recipient, also without quoted texts, which may be ids of people. */
function textFor(error: unknown, isAboutRecipient: boolean): string {
  const explained = error instanceof ClickledgerError ? error : (explainFileError(error) ?? explainDatabaseError(error));
  const text = withoutAddresses(messageOf(explained)).replace(/\s+/g, ' ').slice(0, 500);
  return isAboutRecipient ? text.replace(/'[^']*'/g, "'…'") : text;
}
