import { ClickledgerError } from './errors.ts';
import type { Logger } from './log.ts';

/** Handles the first SIGTERM or SIGINT: `stopped` resolves and `signal` aborts. A second signal of the same kind has its default effect. */
export function handleStopSignals(log: Logger): { stopped: Promise<void>; signal: AbortSignal } {
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
