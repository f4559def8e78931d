import { ClickledgerError } from './errors.ts';
import type { Logger } from './log.ts';

/** Resolves at the first SIGTERM or SIGINT; the signal aborts then, too. */
export function untilSignal(log: Logger): { stopped: Promise<void>; signal: AbortSignal } {
  const controller = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, () => {
        log.info({ signal: name }, 'stopping');
        controller.abort(new ClickledgerError('unavailable', 'stopping'));
        resolve();
      });
    }
  });
  return { stopped, signal: controller.signal };
}
