import { ClickledgerError } from './errors.ts';

/** Resolves with the value of `promise`, or with undefined after `ms` milliseconds. The work behind the promise is not cancelled. */
export async function orUndefinedAfter<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  if (ms <= 0) return undefined;
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Resolves with the value of `promise`. Rejects with `unavailable` after `ms` milliseconds. The work behind the promise is not cancelled.
 */
export async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  const result = await orUndefinedAfter(
    promise.then((value) => ({ value })),
    ms,
  );
  if (!result) throw new ClickledgerError('unavailable', `no result within ${ms} ms`);
  return result.value;
}

/** Waits `ms` milliseconds. Resolves early when `signal` aborts; never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/**
 * Returns a function that runs `work`, but never twice at the same time: a call during a run returns the promise of that run. So only one
 * request is pending while a server hangs.
 */
export function singleFlight<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () =>
    (running ??= work().finally(() => {
      running = undefined;
    }));
}
