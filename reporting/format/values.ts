import type { Reach, Value } from '../run-report.ts';

/** Formats a value for programs: times in ISO 8601, and an empty text for null. */
export function machineText(value: Value): string {
  if (value === null) return '';
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Formats a value for people: times in UTC and to the second, without the seconds if they are 0. */
export function displayText(value: Value): string {
  if (value instanceof Date) return `${withoutSeconds(value.toISOString().slice(0, 19).replace('T', ' '))} UTC`;
  const text = machineText(value);
  return /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text) ? withoutSeconds(text) : text;
}

function withoutSeconds(time: string): string {
  return time.replace(/:00$/, '');
}

/** Returns the sentence below a report that says how far the data reach and whether anything is missing. */
export function describeReach({ lastAt, holes, missingBytes }: Reach): string {
  const until = lastAt === null ? 'Nothing has been counted yet' : `Counted until ${displayText(lastAt)}`;
  if (holes === 0 && missingBytes === 0) return `${until}; no holes.`;
  const missing = `${holes.toLocaleString('en')} ${holes === 1 ? 'hole' : 'holes'} (${missingBytes.toLocaleString('en')} bytes of the logs)`;
  return `${until}; ${missing} ${holes === 1 ? 'is' : 'are'} not counted yet, so these numbers will grow.`;
}
