import { LRUCache } from 'lru-cache';
import { offsetText } from '../core/time-zone.ts';

// Numbers and times as a reader expects them: in the order and with the signs of the language of the browser, and in the chosen time zone.

export interface Formats {
  /** The language of numbers and dates, e.g. `de-AT`. */
  readonly locale: string;
  readonly zone: string;
  /** A whole number with separators. */
  number(value: number): string;
  /** A share in percent with one digit, or a dash if `whole` is 0. */
  share(part: number, whole: number): string;
  /** A percentage with one digit, or a dash for null. */
  percent(value: number | null): string;
  /** A difference of percentages with one digit. */
  points(value: number): string;
  /** A day and a time with minutes. */
  moment(at: Date): string;
  /** The name of a country with its code. */
  country(code: string): string;
  /** A day without its time. */
  day(at: Date): string;
  /** A day and a time with minutes, short enough for an axis. */
  tick(at: Date, hasDay: boolean, hasTime: boolean): string;
}

/** The name of the zone behind a time, e.g. `UTC` or `+05:45`. */
const zoneMark = (at: Date, zone: string): string => (zone === 'UTC' ? 'UTC' : offsetText(zone, at.getTime()));

const cache = new LRUCache<string, Formats>({ max: 200 });

/** Creates formats. `locale` is a tag that Intl knows. */
export function createFormats(locale: string, zone: string): Formats {
  const key = `${locale} ${zone}`;
  const found = cache.get(key);
  if (found) return found;
  const numbers = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const percents = new Intl.NumberFormat(locale, { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const points = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const day = { year: 'numeric', month: 'short', day: 'numeric', timeZone: zone } as const;
  const clock = { hour: 'numeric', minute: '2-digit', timeZone: zone } as const;
  const moments = new Intl.DateTimeFormat(locale, { ...day, ...clock });
  const days = new Intl.DateTimeFormat(locale, day);
  const shortDays = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', timeZone: zone });
  const times = new Intl.DateTimeFormat(locale, clock);
  const countries = new Intl.DisplayNames(locale, { type: 'region' });
  const country = (code: string): string => {
    try {
      const name = countries.of(code);
      return name === undefined || name === code ? code : `${name} (${code})`;
    } catch {
      // The code has not the form of a country.
      return code;
    }
  };
  const formats: Formats = {
    locale,
    zone,
    number: (value) => numbers.format(value),
    share: (part, whole) => (whole === 0 ? '–' : percents.format(part / whole)),
    percent: (value) => (value === null ? '–' : percents.format(value / 100)),
    points: (value) => points.format(value),
    moment: (at) => `${moments.format(at)} ${zoneMark(at, zone)}`,
    country,
    day: (at) => days.format(at),
    tick: (at, hasDay, hasTime) =>
      [hasDay ? shortDays.format(at) : '', hasTime ? times.format(at) : ''].filter((text) => text !== '').join(' '),
  };
  cache.set(key, formats);
  return formats;
}

/** Returns the first language of a header Accept-Language that Intl knows. The default is English. */
export function localeOf(header: string | undefined): string {
  for (const part of (header ?? '').slice(0, 200).split(',')) {
    const tag = part.split(';')[0]?.trim() ?? '';
    try {
      const [locale] = Intl.NumberFormat.supportedLocalesOf(tag);
      if (locale !== undefined) return locale;
    } catch {
      // The tag is malformed, e.g. `*`.
    }
  }
  return 'en';
}
