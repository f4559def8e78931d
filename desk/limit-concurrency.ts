/**
 * Runs `work` for every item, for at most `limit` items at a time. Returns the results in the order of the items. `work` should not throw,
 * because one error rejects the whole call.
 */
export async function mapConcurrently<T, R>(limit: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  await Promise.all(
    Array.from({ length: limit }, async () => {
      for (const [i, item] of queue) results[i] = await work(item);
    }),
  );
  return results;
}
