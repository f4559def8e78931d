import type { Reach, Value } from '../run-report.ts';

/** A value as machines read it: times in ISO 8601, nothing for null. */
export function exact(value: Value): string {
  if (value === null) return '';
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A value as a person reads it: times to the second and in UTC, without seconds where there are none. */
export function plain(value: Value): string {
  if (value instanceof Date) return `${withoutSeconds(value.toISOString().slice(0, 19).replace('T', ' '))} UTC`;
  const text = exact(value);
  return /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(text) ? withoutSeconds(text) : text;
}

function withoutSeconds(time: string): string {
  return time.replace(/:00$/, '');
}

/** How far the data reach, as a sentence that stands below a report. */
export function describeReach({ lastAt, holes, missingBytes }: Reach): string {
  const until = lastAt === null ? 'Nothing has been counted yet' : `Counted until ${plain(lastAt)}`;
  if (holes === 0 && missingBytes === 0) return `${until}; no holes.`;
  const what = `${holes.toLocaleString('en')} ${holes === 1 ? 'hole' : 'holes'} (${missingBytes.toLocaleString('en')} bytes of the logs)`;
  return `${until}; ${what} not counted yet: these numbers will grow.`;
}
