import { ClickledgerError } from '../../core/errors.ts';

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Timers cannot wait longer than 24 days. */
const MAX_INTERVAL_MS = 10 * 86_400_000;

/** Parses a rate such as `10/s`, `600/m` or `20000/d`. Returns the time between two messages in milliseconds. Throws `bad-input`. */
export function parseRate(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)\/([smhd])$/.exec(text.trim()) ?? [];
  const perUnit = Number(count);
  if (unit === undefined || !(perUnit > 0))
    throw new ClickledgerError('bad-input', `'${text}' is not a rate. Write e.g. 10/s, 600/m, 5000/h or 50000/d.`);
  const intervalMs = (UNIT_MS[unit] as number) / perUnit;
  if (intervalMs > MAX_INTERVAL_MS)
    throw new ClickledgerError('bad-input', `'${text}' is less than one message in ten days. Give a higher rate.`);
  return intervalMs;
}

/**
 * Returns a function that says how long to wait before the next message, in milliseconds, so that two messages are at least `intervalMs`
 * apart. Time that passes without messages is not made up for, so there is never a burst.
 */
export function createPace(intervalMs: number, now: () => number): () => number {
  let next = Number.NEGATIVE_INFINITY;
  return () => {
    const at = Math.max(now(), next);
    next = at + intervalMs;
    return at - now();
  };
}
