// Arrays as literals of Postgres. The client quotes every element of an array, which takes longer than to count the hits.

/** The literal of an array whose elements are numbers, names, or the result of literalText. */
export function literal<T>(rows: readonly T[], elementOf: (row: T) => string | number): string {
  let text = '{';
  for (const [i, row] of rows.entries()) text += i === 0 ? elementOf(row) : `,${elementOf(row)}`;
  return `${text}}`;
}

/** A text as an element of such a literal. NUL characters are dropped, because Postgres does not allow them in a text. */
export const literalText = (text: string | null): string =>
  text === null ? 'NULL' : `"${text.replaceAll('\0', '').replace(/["\\]/g, '\\$&')}"`;
