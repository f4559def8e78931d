import { InvalidArgumentError } from 'commander';

/** How long a statement of a report may take: every command that runs reports has it. */
export const TIMEOUT_OPTION = {
  flags: '--timeout <seconds>',
  help: 'stop a report that takes longer, to protect the database',
  default: 60,
} as const;

/** Seconds, up to a day; parts of a second are fine. */
export function parseTimeout(text: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= 0.001 && seconds <= 86_400)) throw new InvalidArgumentError('It must be a number of seconds, at most 86400.');
  return seconds;
}
