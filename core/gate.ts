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

/**
 * Runs `work` for every item, for at most `limit` items at a time. Returns the results in the order of the items. `work` should not throw,
 * because one error rejects the whole call.
 */
export async function mapConcurrently<T, R>(limit: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const gate = createGate(limit);
  return Promise.all(items.map((item) => gate(() => work(item))));
}
