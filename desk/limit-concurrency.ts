/** Runs `work` for every item, at most `limit` at once; results in the order of the items. `work` must not throw for one item to spare the others. */
export async function atMost<T, R>(limit: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  await Promise.all(
    Array.from({ length: limit }, async () => {
      for (const [i, item] of queue) results[i] = await work(item);
    }),
  );
  return results;
}
