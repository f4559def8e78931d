import { InvalidArgumentError } from 'commander';

/** The option --timeout of the commands that run reports: the longest time that a statement may take. */
export const TIMEOUT_OPTION = {
  flags: '--timeout <seconds>',
  help: 'stop a report that takes longer than this, to protect the database',
  default: 60,
} as const;

/** Parses a number of seconds, from 0.001 up to a day. */
export function parseTimeout(text: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= 0.001 && seconds <= 86_400)) throw new InvalidArgumentError('It must be a number of seconds from 0.001 to 86400.');
  return seconds;
}
