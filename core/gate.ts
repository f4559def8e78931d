/** Returns a function that runs work, at most `limit` at a time. Further work waits for its turn. */
export function createGate(limit: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      // The place passes to the next one.
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
