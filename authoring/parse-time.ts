import { ClickledgerError } from '../core/errors.ts';

/** A time as authors write it: `now`, `30d` or `12h` from now, a day or a time in ISO 8601; without a zone in that of this machine. */
export function parseWhen(text: string, now = new Date()): Date {
  if (text === 'now') return now;
  const [, count, unit] = /^(\d{1,5})([dh])$/.exec(text) ?? [];
  if (count !== undefined) return new Date(now.getTime() + Number(count) * (unit === 'd' ? 86_400_000 : 3_600_000));
  // A day alone would be read as UTC; authors mean their own midnight.
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const at = new Date(day ? `${text}T00:00` : text.replace(/^(\d{4}-\d{2}-\d{2}) /, '$1T'));
  const [year = 0, month = 0, date = 0] = text.slice(0, 10).split('-').map(Number);
  // 30 February would become 2 March.
  const exists = new Date(Date.UTC(year, month - 1, date)).getUTCDate() === date;
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(at.getTime()) || !exists)
    throw new ClickledgerError('bad-input', `'${text}' is no time: write 2026-12-24, 2026-12-24T18:00, 2026-12-24T18:00Z, 30d or now`);
  return at;
}
