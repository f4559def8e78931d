import { parseDate } from '../core/parse-date.ts';
import { machineTimeZone } from '../core/time-zone.ts';

/**
 * Parses a time of the command line. A day means its first moment. `30d` and `12h` are counted from now. `zone` is the setting TIMEZONE. A
 * time without an offset is in this zone, or in the time zone of this machine if `zone` is empty. Throws `bad-input` for any other text.
 */
export function parseTime(text: string, zone: string, now = new Date()): Date {
  return parseDate(text, { zone: zone || machineTimeZone(), now, allowsSpans: true }).begin;
}
