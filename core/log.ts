import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * A part's own log: JSON lines on standard error. Settings hold secrets and events hold slugs and addresses:
 * log counts, ids of generations and codes, never those.
 */
export function createLogger(part: string, level: string): Logger {
  return pino(
    {
      level,
      base: { part, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (error: unknown) => describe(error) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** Code and message; the stack only of what nobody foresaw. Query texts and row contents, which Postgres puts into `detail`, stay out. */
function describe(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const code = 'code' in error ? error.code : undefined;
  return { code, message: error.message, ...(code === undefined ? { stack: error.stack } : {}) };
}
