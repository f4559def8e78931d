import { parseDate } from '../core/parse-date.ts';
import { machineTimeZone } from '../core/time-zone.ts';

/**
 * Parses a time of the command line: a day is its first moment, and `30d` and `12h` count from now. `zone` is the setting TIMEZONE; if it is
 * empty, a time without an offset is in the time zone of this machine. Throws `bad-input` for any other text.
 */
export function parseTime(text: string, zone: string, now = new Date()): Date {
  return parseDate(text, { zone: zone || machineTimeZone(), now, allowsSpans: true }).begin;
}
