import { ClickledgerError } from '../../core/errors.ts';
import type { Pool } from '../../core/postgres.ts';
import type { RunOptions } from '../../reporting/run-report.ts';
import type { SendPage } from './access.ts';
import type { PasswordCheck } from './sign-in.ts';

/** What the pages about accounts and shared campaigns need. */
export interface PageTools {
  /** Connects as the author. */
  pool: Pool;
  /** Connects as the analyst. */
  analyst: Pool;
  limits: RunOptions;
  /** The URL at which browsers reach the desk. Empty: as the request says. */
  deskUrl: string;
  now: () => number;
  sendPage: SendPage;
  passwordCheck: PasswordCheck;
}

/** Parses an id in a form or a path. Throws `not-found` with a message for anything else. */
export function idOf(text: string | null, message = 'there is nothing with this number'): number {
  if (text === null || !/^[1-9]\d{0,14}$/.test(text)) throw new ClickledgerError('not-found', message);
  return Number(text);
}
