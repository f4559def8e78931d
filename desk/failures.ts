import { ClickledgerError, codeOf, type ErrorCode } from '../core/errors.ts';

/** What a person can be told; undefined for what nobody foresaw. */
export function told(error: unknown): ClickledgerError | undefined {
  if (error instanceof ClickledgerError) return error;
  // Fastify's own: an address that is no address, a body that is too long.
  const status = (error as { statusCode?: unknown }).statusCode;
  return typeof status === 'number' && status < 500 ? new ClickledgerError('bad-input', 'the address is not one of ours') : undefined;
}

const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  'not-found': 404,
  'bad-input': 400,
  unavailable: 503,
  'bad-settings': 503,
  'wrong-database': 503,
};

export function statusOf({ code, cause }: ClickledgerError): number {
  // Class 22, data exception: the value of a parameter is not what the report wants.
  if (code === 'server-failed' && codeOf(cause)?.startsWith('22')) return 400;
  return STATUS[code] ?? 500;
}
