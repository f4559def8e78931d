import { ClickledgerError } from './errors.ts';
import type { Logger } from './log.ts';

/**
 * Two signals of the same kind within this time count as one. One stop can cause two signals: a service manager signals all processes of a
 * service, and one of these processes passes its signal on to another; or a parent dies, and the kernel sends the signal once for each
 * thread of the parent.
 */
const SAME_SIGNAL_MS = 1_000;

/**
 * Handles the first SIGTERM or SIGINT: `stopped` resolves and `signal` aborts. A later signal of the same kind, after SAME_SIGNAL_MS, has
 * its default effect: it ends the process at once.
 */
export function handleStopSignals(log: Logger): { stopped: Promise<void>; signal: AbortSignal } {
  const controller = new AbortController();
  const stopped = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      let firstAt: number | undefined;
      const handle = (): void => {
        const now = performance.now();
        if (firstAt === undefined) {
          firstAt = now;
          log.info({ signal: name }, 'stopping');
          controller.abort(new ClickledgerError('unavailable', 'stopping'));
          resolve();
        } else if (now - firstAt >= SAME_SIGNAL_MS) {
          process.off(name, handle);
          process.kill(process.pid, name);
        }
      };
      process.on(name, handle);
    }
  });
  return { stopped, signal: controller.signal };
}
