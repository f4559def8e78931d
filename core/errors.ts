// The error class of all expected failures. Code branches on `code`, never on a message.

export const ERROR_CODES = [
  'bad-settings',
  'bad-input',
  'bad-batch',
  'not-found',
  'conflict',
  'wrong-database',
  'database-too-new',
  'needs-administrator',
  'missing-server',
  'already-running',
  'unavailable',
  'server-failed',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** An expected failure. `message` is for a person: it says what is wrong and what to do. */
export class ClickledgerError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ClickledgerError';
    this.code = code;
  }
}

/** The `code` of an error of Node, of Postgres or of this project; undefined for any other value. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of a thrown value, which need not be an Error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
