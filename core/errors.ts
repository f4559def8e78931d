// One error class for everything a part can tell a person or another part about. Code branches on `code`, never on a message.

export const ERROR_CODES = [
  'bad-settings',
  'bad-input',
  'bad-batch',
  'not-found',
  'conflict',
  'wrong-database',
  'database-too-new',
  'missing-server',
  'already-running',
  'unavailable',
  'server-failed',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** An expected failure: `message` is one line that says what is wrong and what to do about it. */
export class ClickledgerError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ClickledgerError';
    this.code = code;
  }
}

/** The code of an error of Node, Postgres or ours; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** What was thrown, in words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
