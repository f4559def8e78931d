import { formatMoment } from '../../core/time-zone.ts';
import { isTimeType } from '../column-types.ts';
import type { Reach, Value } from '../run-report.ts';

/** Formats a value for users. No information is lost. Seconds are omitted only if they are 0, and the offset +00 is written as UTC. */
export function displayText(value: Value, type: number): string {
  if (value === null) return '';
  return isTimeType(type) ? displayTime(value) : value;
}

/** Removes the scheme and `www.` from a URL, to save space. */
export const withoutScheme = (url: string): string => url.replace(/^https?:\/\/(?:www\.)?(?=.)/, '');

/** Inserts commas between the thousands of a number and does not change its digits. */
export function withThousands(text: string): string {
  const [, sign = '', whole, rest = ''] = /^(-?)(\d+)(\.\d+)?$/.exec(text) ?? [];
  return whole === undefined ? text : `${sign}${whole.replace(/\B(?=(?:\d{3})+$)/g, ',')}${rest}`;
}

function displayTime(text: string): string {
  const [, clock, offset = ''] = /^(\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d(?::\d\d){0,2})?$/.exec(text) ?? [];
  if (clock === undefined) return text;
  return `${clock.replace(/:00$/, '')}${offset === '' ? '' : ` ${offset === '+00' ? 'UTC' : offset.padEnd(6, ':00')}`}`;
}

/** Returns the sentence below a report that says up to which time hits are counted, and whether anything is missing. */
export function describeReach({ lastAt, holes, missingBytes }: Reach): string {
  const until = lastAt === null ? 'Nothing has been counted yet' : `Counted until ${formatMoment(lastAt.getTime(), 'UTC')}`;
  if (holes === 0 && missingBytes === 0) return `${until}; no holes.`;
  const missing = `${holes.toLocaleString('en')} ${holes === 1 ? 'hole' : 'holes'} (${missingBytes.toLocaleString('en')} bytes of the logs)`;
  return `${until}; ${missing} ${holes === 1 ? 'is' : 'are'} not counted yet, so these numbers will grow.`;
}
