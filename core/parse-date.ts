import { ClickledgerError } from './errors.ts';
import { atClock, formatMoment, offsetText, startOfDay, utcMs, utcOffsetMs } from './time-zone.ts';

// Parses all dates and times that people type in commands, reports and the dashboard.

/** A date that a person typed: a day or a moment. Both begin at `begin`. A day ends before `end`. */
export interface TypedDate {
  isDay: boolean;
  begin: Date;
  /** The first moment after the day. For a moment, it is the same as `begin`. */
  end: Date;
  /** The text of `begin` for Postgres, in UTC. It keeps all digits of a second that were typed. */
  sql: string;
}

export interface DateOptions {
  /** The IANA name of the zone of dates and times without an offset. */
  zone: string;
  now?: Date;
  /** Whether spans from now, such as `30d` and `12h`, are accepted. */
  allowsSpans?: boolean;
}

const DAY_MS = 86_400_000;
const UNITS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: DAY_MS, week: 7 * DAY_MS };

/**
 * Parses a day or a moment. Days: `2026-11-01`, `today`, `yesterday`, `tomorrow`, `7 days ago`. Moments: `2026-11-01T18:00`, also with
 * seconds or an offset, `now` and `12 hours ago`. With `allowsSpans`, also `30d` and `12h`, which mean 30 days and 12 hours after now. A
 * time without an offset is local time in the zone (see `atClock`). Throws `bad-input` for anything else.
 */
export function parseDate(text: string, options: DateOptions): TypedDate {
  const { zone, now = new Date(), allowsSpans = false } = options;
  const typed = text.trim().toLowerCase();
  const nowMs = now.getTime();
  const today = Math.floor((nowMs + utcOffsetMs(zone, nowMs)) / DAY_MS) * DAY_MS;
  if (typed === 'now') return moment(nowMs);
  const near = ['yesterday', 'today', 'tomorrow'].indexOf(typed);
  if (near !== -1) return day(zone, today + (near - 1) * DAY_MS);
  const ago = /^(\d{1,5}) +(minute|hour|day|week)s? +ago$/.exec(typed);
  if (ago) {
    const span = Number(ago[1]) * (UNITS[ago[2] as string] as number);
    return ago[2] === 'day' || ago[2] === 'week' ? day(zone, today - span) : moment(nowMs - span);
  }
  const ahead = /^(\d{1,5})([dh])$/.exec(typed);
  if (ahead && allowsSpans) return moment(nowMs + Number(ahead[1]) * (ahead[2] === 'd' ? DAY_MS : 3_600_000));
  return parseIso(typed, zone) ?? refuse(text, ahead ?? undefined, allowsSpans);
}

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:(?:t| +)(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(z|utc)| ?([+-])(\d\d)(?::?(\d\d))?)?)?$/;

function parseIso(text: string, zone: string): TypedDate | undefined {
  const match = ISO.exec(text);
  if (!match) return undefined;
  const [year, month, date, hour, minute, second] = match.slice(1, 7).map((digits) => Number(digits ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const dayMs = utcMs(year, month, date);
  // JavaScript reads 30 February as 2 March.
  if (new Date(dayMs).getUTCDate() !== date || month < 1 || month > 12 || year < 1000) return undefined;
  if (match[4] === undefined) return day(zone, dayMs);
  const [, , , , , , , fraction = '', isUtc, sign, offsetHours = '0', offsetMinutes = '0'] = match;
  if (hour > 23 || minute > 59 || second > 59 || Number(offsetHours) > 15 || Number(offsetMinutes) > 59) return undefined;
  const clockMs = utcMs(year, month, date, hour, minute, second);
  const offsetMs = (sign === '-' ? -1 : 1) * (Number(offsetHours) * 3_600_000 + Number(offsetMinutes) * 60_000);
  const atMs = isUtc !== undefined || sign !== undefined ? clockMs - offsetMs : atClock(zone, clockMs);
  return moment(atMs, fraction);
}

/** `fraction` contains the typed digits after the decimal point of the seconds. */
function moment(atMs: number, fraction?: string): TypedDate {
  const at = new Date(atMs + (fraction === undefined ? 0 : Number(fraction.padEnd(3, '0').slice(0, 3))));
  const seconds = at.toISOString().slice(0, 19);
  const digits = fraction ?? String(atMs % 1000).padStart(3, '0');
  return { isDay: false, begin: at, end: at, sql: `${seconds}${digits === '' ? '' : `.${digits}`}Z` };
}

function day(zone: string, dayMs: number): TypedDate {
  const begin = new Date(startOfDay(zone, dayMs));
  return { isDay: true, begin, end: new Date(startOfDay(zone, dayMs + DAY_MS)), sql: begin.toISOString() };
}

const EXAMPLES = '2026-11-01, 2026-11-01T18:00, 2026-11-01T18:00+01:00, today, yesterday or 7 days ago';

function refuse(text: string, span: RegExpExecArray | undefined, allowsSpans: boolean): never {
  const advice =
    span === undefined
      ? `Write the year first, e.g. ${EXAMPLES}${allowsSpans ? '; or 30d or 12h, counted from now' : ''}.`
      : `Write '${span[1]} ${span[2] === 'd' ? 'days' : 'hours'} ago', or e.g. ${EXAMPLES}.`;
  throw new ClickledgerError('bad-input', `'${text}' is not a day or a time. ${advice}`);
}

/** A period that a person asked for. It includes `begins` and excludes `ends`. */
export interface Period {
  /** `begins` and `ends` are texts for Postgres, in UTC. Undefined means that the period has no limit on this side. */
  begins: string | undefined;
  ends: string | undefined;
  /** The first and the last moment in words. */
  words: string;
}

/**
 * Parses the beginning and the end of a period. If `to` is a day, the period includes this day. Throws `bad-input` if the beginning is not
 * before the end.
 */
export function parsePeriod(from: string | undefined, to: string | undefined, options: DateOptions): Period {
  const [first, last] = [from, to].map((text) => (text === undefined || text === '' ? undefined : parseDate(text, options)));
  if (first && last && first.begin >= last.end)
    throw new ClickledgerError(
      'bad-input',
      `the period has no length: from '${from}' (${formatMoment(first.begin.getTime(), options.zone)}) to '${to}' (${formatMoment(last.end.getTime(), options.zone)}). The beginning must be before the end.`,
    );
  const words = [
    first ? `from ${formatMoment(first.begin.getTime(), options.zone)}` : 'from the first hit',
    last ? untilWords(last, options.zone) : 'to the last hit',
  ];
  return { begins: first?.sql, ends: last?.isDay ? last.end.toISOString() : last?.sql, words: words.join(' ') };
}

function untilWords({ isDay, end }: TypedDate, zone: string): string {
  if (!isDay) return `until before ${formatMoment(end.getTime(), zone)}`;
  const last = end.getTime() - 1000;
  const clock = new Date(last + utcOffsetMs(zone, last)).toISOString().slice(0, 19).replace('T', ' ');
  return `to ${clock} ${zone === 'UTC' ? 'UTC' : offsetText(zone, last)}`;
}
