import { ClickledgerError } from '../core/errors.ts';

/**
 * Parses a time of the command line: `now`, a span from now (`30d`, `12h`), or a day or a time in ISO 8601. A time without a zone is in the
 * time zone of this machine. Throws `bad-input` for any other text.
 */
export function parseTime(text: string, now = new Date()): Date {
  if (text === 'now') return now;
  const [, count, unit] = /^(\d{1,5})([dh])$/.exec(text) ?? [];
  if (count !== undefined) return new Date(now.getTime() + Number(count) * (unit === 'd' ? 86_400_000 : 3_600_000));
  // JavaScript reads a day without a time as midnight in UTC. Authors mean midnight in their own time zone.
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const at = new Date(isDay ? `${text}T00:00` : text.replace(/^(\d{4}-\d{2}-\d{2}) /, '$1T'));
  const [year = 0, month = 0, date = 0] = text.slice(0, 10).split('-').map(Number);
  // JavaScript would read 30 February as 2 March.
  const exists = new Date(Date.UTC(year, month - 1, date)).getUTCDate() === date;
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(at.getTime()) || !exists)
    throw new ClickledgerError('bad-input', `'${text}' is not a time. Write 2026-12-24, 2026-12-24T18:00, 2026-12-24T18:00Z, 30d or now.`);
  return at;
}
