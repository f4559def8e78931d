// Sets of byte ranges, equivalent to the type int8multirange of Postgres. A set is an array of pairs [from, to) of safe integers: sorted,
// disjoint and not adjacent. `from` is included, `to` is not.

export type Range = readonly [from: number, to: number];
export type Ranges = readonly Range[];

export const NO_RANGES: Ranges = [];

/** The union of sets. Also accepts ranges that are unsorted, overlapping or empty; empty ranges are dropped. */
export function union(...sets: Ranges[]): Ranges {
  const sorted = sets
    .flat()
    .filter(([from, to]) => from < to)
    .sort((a, b) => a[0] - b[0]);
  const result: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = result[result.length - 1];
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** The bytes of `set` that are not in `removed`. */
export function subtract(set: Ranges, removed: Ranges): Ranges {
  const result: Range[] = [];
  let i = 0;
  for (const [from, to] of set) {
    let start = from;
    while (i < removed.length && (removed[i] as Range)[1] <= start) i++;
    for (let j = i; j < removed.length && (removed[j] as Range)[0] < to; j++) {
      const [cutFrom, cutTo] = removed[j] as Range;
      if (cutFrom > start) result.push([start, cutFrom]);
      start = Math.max(start, cutTo);
    }
    if (start < to) result.push([start, to]);
  }
  return result;
}

/** Whether any byte of [from, to) is in the set. False for an empty range. */
export function touches(set: Ranges, from: number, to: number): boolean {
  return from < to && set.some(([start, end]) => start < to && from < end);
}

/** Whether every byte of [from, to) is in the set. True for an empty range. */
export function covers(set: Ranges, from: number, to: number): boolean {
  return from >= to || set.some(([start, end]) => start <= from && to <= end);
}

/** The number of bytes in the set. */
export function sizeOf(set: Ranges): number {
  return set.reduce((sum, [from, to]) => sum + to - from, 0);
}

/** The first range within [from, to) that is not in the set, or undefined if the set covers [from, to). */
export function firstGap(set: Ranges, from: number, to: number): Range | undefined {
  return subtract([[from, to]], set)[0];
}

/** Formats a set as the text of an int8multirange of Postgres, e.g. `{[0,120),[200,300)}`. */
export function formatMultirange(set: Ranges): string {
  return `{${set.map(([from, to]) => `[${from},${to})`).join(',')}}`;
}

/** Parses the canonical text of an int8multirange as Postgres returns it. */
export function parseMultirange(text: string): Ranges {
  return Array.from(text.matchAll(/\[(\d+),(\d+)\)/g), (match) => [Number(match[1]), Number(match[2])] as const);
}
