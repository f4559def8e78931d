import { ClickledgerError, codeOf, type ErrorCode } from '../core/errors.ts';

/** Returns the error if it is an expected one, so that its message can be shown. Returns undefined for an unexpected error. */
export function expectedError(error: unknown): ClickledgerError | undefined {
  if (error instanceof ClickledgerError) return error;
  // Fastify itself throws an error if the URL is malformed or the body is too long.
  const status = (error as { statusCode?: unknown }).statusCode;
  return typeof status === 'number' && status < 500
    ? new ClickledgerError('bad-input', 'the dashboard does not understand this URL: go to the list of campaigns')
    : undefined;
}

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  'not-found': 404,
  'bad-input': 400,
  unavailable: 503,
  'bad-settings': 503,
  'wrong-database': 503,
};

/** Returns the HTTP status of an error. */
export function statusOf({ code, cause }: ClickledgerError): number {
  // SQLSTATE class 22 means a data exception. The usual reason is that the report cannot use the value of a parameter.
  if (code === 'server-failed' && codeOf(cause)?.startsWith('22')) return 400;
  return STATUS[code] ?? 500;
}
