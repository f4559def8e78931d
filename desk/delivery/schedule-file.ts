import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { Cron } from 'croner';
import { z } from 'zod';
import { ClickledgerError, messageOf } from '../../core/errors.ts';
import { explainFileError } from '../../core/files.ts';
import { parseTimeZone } from '../../core/time-zone.ts';
import { fillIn, type Report, readReport } from '../../reporting/report-file.ts';
import { parseMailAddresses } from './addresses.ts';

// Reads the file with the schedules: which report goes to whom, and when.

export interface Schedule {
  name: string;
  report: Report;
  values: Readonly<Record<string, string>>;
  to: readonly string[];
  /** The cron expression, with five fields. */
  at: string;
  /** The time zone of the expression, and of the report. */
  zone: string;
  timeoutSeconds: number;
  /** Returns the first time after a moment, or undefined if there is none. */
  nextAfter: (moment: Date) => Date | undefined;
  /** Returns the last time until a moment, or undefined if there is none. */
  lastUntil: (moment: Date) => Date | undefined;
}

const MAX_TIMEOUT_SECONDS = 86_400;

const ENTRY = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must have 1 to 64 characters of a-z, 0-9 and -, and begin with a letter or a digit'),
  at: z.string(),
  timezone: z.string().optional(),
  report: z.string(),
  parameters: z.record(z.string(), z.union([z.string(), z.number()]).transform(String)).default({}),
  to: z.array(z.string()).min(1, 'must have at least one mail address'),
  timeout: z.int().min(1).max(MAX_TIMEOUT_SECONDS).default(60),
});
const FILE = z.strictObject({ schedules: z.array(z.unknown()) });

/**
 * Reads a file of schedules. `zone` is the time zone of schedules that name none. Throws one `bad-input` error with all mistakes, one per line. No
 * mistake names a mail address.
 */
export async function readSchedules(path: string, zone: string): Promise<Schedule[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw explainFileError(error) ?? error;
  });
  const entries = parseFile(path, text);
  const mistakes: string[] = [];
  const schedules: Schedule[] = [];
  for (const [i, entry] of entries.entries()) {
    const name = nameOf(entry) ?? `schedule ${i + 1}`;
    const found = await readEntry(entry, { directory: dirname(path), zone });
    if ('mistakes' in found) mistakes.push(...found.mistakes.map((mistake) => `${name}: ${mistake}`));
    else if (schedules.some((other) => other.name === found.name)) mistakes.push(`${name}: another schedule has this name`);
    else schedules.push(found);
  }
  if (mistakes.length > 0) throw new ClickledgerError('bad-input', `${path} has mistakes:\n${mistakes.join('\n')}`);
  return schedules;
}

function parseFile(path: string, text: string): unknown[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ClickledgerError('bad-input', `${path} is not JSON: ${messageOf(error)}`, { cause: error });
  }
  const parsed = FILE.safeParse(json);
  if (!parsed.success) throw new ClickledgerError('bad-input', `${path} must have the form { "schedules": [ … ] }: see docs/analysts.md`);
  return parsed.data.schedules;
}

function nameOf(entry: unknown): string | undefined {
  const { name } = (entry ?? {}) as { name?: unknown };
  return typeof name === 'string' && name.length < 100 ? name : undefined;
}

async function readEntry(entry: unknown, defaults: { directory: string; zone: string }): Promise<Schedule | { mistakes: string[] }> {
  const parsed = ENTRY.safeParse(entry);
  if (!parsed.success) return { mistakes: parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`) };
  const { name, at, timezone, report: nameOrPath, parameters, to, timeout } = parsed.data;
  const mistakes: string[] = [];
  /** Runs a step, and adds its error to the mistakes. Returns undefined then. */
  const attempt = async <T>(field: string, step: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await step();
    } catch (error) {
      mistakes.push(`${field}: ${messageOf(error)}`);
      return undefined;
    }
  };
  const zone = await attempt('timezone', () => parseTimeZone(timezone ?? defaults.zone));
  const cron = await attempt('at', () => parseCron(at, zone ?? 'UTC'));
  const report = await attempt('report', async () => {
    // A path is relative to the file with the schedules.
    const isRelative = nameOrPath.endsWith('.sql') && !isAbsolute(nameOrPath);
    return readReport(isRelative ? resolve(defaults.directory, nameOrPath) : nameOrPath);
  });
  if (report) await attempt('parameters', () => fillIn(report, parameters));
  const addresses = new Set<string>();
  for (const [i, text] of to.entries())
    for (const address of (await attempt(`to.${i}`, () => parseMailAddresses(text))) ?? []) addresses.add(address);
  if (mistakes.length > 0 || !zone || !cron || !report) return { mistakes };
  return {
    name,
    report,
    values: parameters,
    to: [...addresses],
    at,
    zone,
    timeoutSeconds: timeout,
    nextAfter: (moment) => cron.nextRun(moment) ?? undefined,
    lastUntil: (moment) => lastUntil(cron, moment),
  };
}

/** `previousRuns` excludes times of the same second as the reference, so it begins one second later. */
function lastUntil(cron: Cron, moment: Date): Date | undefined {
  return cron.previousRuns(2, new Date(moment.getTime() + 1_000)).find((found) => found <= moment);
}

/** Parses a cron expression of five fields: minute, hour, day of the month, month and day of the week. Throws `bad-input`. */
function parseCron(at: string, zone: string): Cron {
  let cron: Cron;
  try {
    cron = new Cron(at.trim(), { timezone: zone, paused: true, mode: '5-part' });
  } catch (error) {
    throw new ClickledgerError(
      'bad-input',
      `'${at}' is not a cron expression with five fields: minute, hour, day of the month, month, day of the week, e.g. "0 8 * * 1" (${messageOf(error)})`,
      { cause: error },
    );
  }
  if (cron.nextRun() === null) throw new ClickledgerError('bad-input', `'${at}' is never`);
  return cron;
}
