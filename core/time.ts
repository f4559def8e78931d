import { ClickledgerError } from './errors.ts';

/** The promise's value, or undefined if it takes longer; it goes on all the same. */
export async function orTimeout<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
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

/** The promise's value; rejects with `unavailable` if it takes longer. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  const settled = await orTimeout(
    promise.then((value) => ({ value })),
    ms,
  );
  if (!settled) throw new ClickledgerError('unavailable', `no answer within ${ms} ms`);
  return settled.value;
}

/** Waits, or returns early when aborted. */
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

/** Runs `work` once at a time: who asks while it runs gets the same answer. So a server that hangs has one question of ours, not many. */
export function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () =>
    (running ??= work().finally(() => {
      running = undefined;
    }));
}
