/** Returns up to `count` of `names` that resemble `text`, the nearest first. Upper and lower case do not matter. */
export function nearestNames(text: string, names: Iterable<string>, count = 3): string[] {
  const wanted = text.toLowerCase();
  const maxDistance = Math.max(2, Math.floor(wanted.length * 0.4));
  const found: { name: string; distance: number }[] = [];
  for (const name of names) {
    const candidate = name.toLowerCase();
    // A text that equals one word of a name, such as `Berlin` in Europe/Berlin, is nearer than a text that differs from a whole name by one
    // letter.
    const words = candidate.split(/[/\s]+/);
    const distance = Math.min(
      editDistance(wanted, candidate, maxDistance),
      ...(words.length > 1 ? words.map((word) => editDistance(wanted, word, maxDistance) + 0.5) : []),
      wanted.length >= 3 && candidate.includes(wanted) ? 1.5 : Number.POSITIVE_INFINITY,
    );
    if (distance <= maxDistance) found.push({ name, distance });
  }
  return found
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, count)
    .map(({ name }) => name);
}

/**
 * Returns the number of edits that turn `a` into `b`. An edit inserts, deletes or replaces one character, or swaps two neighbours. Returns
 * Infinity if more than `max` edits are needed.
 */
function editDistance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + (isSame ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] as number) + 1);
      row.push(cost);
    }
    if (Math.min(...row) > max) return Number.POSITIVE_INFINITY;
    beforeLast = last;
    last = row;
  }
  return last[b.length] as number;
}

/** Joins names for a sentence: `a, b or c`. */
export function anyOf(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
