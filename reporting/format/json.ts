import { elementTypeOf, isBooleanType, isJsonType, isNumberType, parseArray, type PgArray } from '../column-types.ts';
import type { ResultStream, Value } from '../run-report.ts';

/**
 * Formats a result as a JSON list with an object for each row. Numbers keep all their digits. NaN and infinite numbers are written as
 * texts, because JSON has no such numbers. Values of the types json and jsonb are embedded, and arrays are written as lists. If several
 * columns have the same name, all except the first get a number.
 */
export async function* toJson({ columns, batches }: Pick<ResultStream, 'columns' | 'batches'>): AsyncGenerator<string> {
  const keys = uniqueNames(columns.map(({ name }) => name)).map((name) => JSON.stringify(name));
  let before = '[\n';
  for await (const rows of batches) {
    let text = '';
    for (const row of rows) {
      const fields = row.map((value, i) => `\n    ${keys[i]}: ${jsonText(value, columns[i]?.type ?? 0)}`);
      text += `${before}  {${fields.join(',')}\n  }`;
      before = ',\n';
    }
    yield text;
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

/**
 * Adds numbers to names that occur more than once: name, name_2, name_3. A number is skipped if another column already has the resulting
 * name.
 */
export function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set(names);
  const seen = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let n = 2; seen.has(unique) || (unique !== name && taken.has(unique)); n++) unique = `${name}_${n}`;
    seen.add(unique);
    return unique;
  });
}

/** Formats a value of a type as JSON. */
export function jsonText(value: Value, type: number): string {
  if (value === null) return 'null';
  if (isNumberType(type)) return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(value) ? value : JSON.stringify(value);
  if (isBooleanType(type)) return value === 't' ? 'true' : 'false';
  if (isJsonType(type)) return value;
  const element = elementTypeOf(type);
  const array = element === undefined ? undefined : parseArray(value);
  return array === undefined ? JSON.stringify(value) : arrayText(array, element as number);
}

function arrayText(array: PgArray, element: number): string {
  return `[${array.map((item) => (Array.isArray(item) ? arrayText(item, element) : jsonText(item, element))).join(',')}]`;
}
