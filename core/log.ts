import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * Creates the logger of a part, which writes JSON lines to standard error. A part may log counts, ids of generations and codes. It must
 * never log settings, which contain secrets, or events, which contain slugs and addresses.
 */
export function createLogger(part: string, level: string): Logger {
  return pino(
    {
      level,
      base: { part, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (error: unknown) => serializeError(error) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/**
 * The code and the message of an error. The stack is logged only if the error has no code, because such an error is not expected. Neither
 * the text of a query nor the field `detail`, in which Postgres reports the contents of rows, is logged.
 */
function serializeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const code = 'code' in error ? error.code : undefined;
  return { code, message: error.message, ...(code === undefined ? { stack: error.stack } : {}) };
}
