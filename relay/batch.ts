/**
 * Returns a function that collects items and handles them together. While a batch is being handled, further items wait for the next one. So
 * the batches grow with the load, and a single item does not wait.
 */
export function createBatcher<I, O>(handle: (items: readonly I[]) => Promise<readonly O[]>, maxItems: number): (item: I) => Promise<O> {
  let waiting: { item: I; resolve: (result: O) => void; reject: (error: unknown) => void }[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxItems);
      waiting = waiting.slice(maxItems);
      try {
        const results = await handle(batch.map(({ item }) => item));
        for (const [i, { resolve }] of batch.entries()) resolve(results[i] as O);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isRunning = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      // Items that arrive in the same step of the event loop form one batch.
      if (!isRunning) {
        isRunning = true;
        setImmediate(() => void run());
      }
    });
}
