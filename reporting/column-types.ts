import pg from 'pg';

// Decides from the type of a column how its values are written.

const { INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC, BOOL, TIMESTAMP, TIMESTAMPTZ, DATE, JSON, JSONB } = pg.types.builtins;

const NUMBERS: ReadonlySet<number> = new Set([INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC]);
const MONEY = 790;

/** For each array type in pg_type, the type of its elements. */
const ARRAYS: ReadonlyMap<number, number> = new Map([
  [1000, BOOL],
  [1001, 17],
  [1002, 18],
  [1003, 19],
  [1005, INT2],
  [1007, INT4],
  [1009, 25],
  [1014, 1042],
  [1015, 1043],
  [1016, INT8],
  [1021, FLOAT4],
  [1022, FLOAT8],
  [1028, OID],
  [1041, 869],
  [1115, TIMESTAMP],
  [1182, DATE],
  [1183, 1083],
  [1185, TIMESTAMPTZ],
  [1187, 1186],
  [1231, NUMERIC],
  [2951, 2950],
  [199, JSON],
  [3807, JSONB],
]);

export const isNumberType = (type: number): boolean => NUMBERS.has(type);
/** Returns whether psql and tables align values of this type to the right. */
export const isRightAligned = (type: number): boolean => NUMBERS.has(type) || type === MONEY;
export const isTimeType = (type: number): boolean => type === TIMESTAMP || type === TIMESTAMPTZ || type === DATE;
export const isBooleanType = (type: number): boolean => type === BOOL;
export const isJsonType = (type: number): boolean => type === JSON || type === JSONB;
/** Returns the type of the elements of an array type. Returns undefined for any other type, and for arrays of rarely used types. */
export const elementTypeOf = (type: number): number | undefined => ARRAYS.get(type);

/** An array of Postgres, with its elements as texts. */
export type PgArray = (string | null | PgArray)[];

/** Parses the text of an array. Returns undefined if the text is not an array, or if the first index of the array is not 1. */
export function parseArray(text: string): PgArray | undefined {
  let at = 0;
  const read = (): PgArray | undefined => {
    if (text[at] !== '{') return undefined;
    at++;
    const elements: PgArray = [];
    if (text[at] === '}') {
      at++;
      return elements;
    }
    for (;;) {
      if (text[at] === '{') {
        const inner = read();
        if (inner === undefined) return undefined;
        elements.push(inner);
      } else if (text[at] === '"') {
        const [whole, quoted = ''] = /"((?:[^"\\]|\\.)*)"/sy.exec(text.slice(at)) ?? [];
        if (whole === undefined) return undefined;
        elements.push(quoted.replace(/\\(.)/gs, '$1'));
        at += whole.length;
      } else {
        const bare = /[^,{}"]*/y.exec(text.slice(at))?.[0] ?? '';
        elements.push(bare.toUpperCase() === 'NULL' ? null : bare);
        at += bare.length;
      }
      const next = text[at++];
      if (next === '}') return elements;
      if (next !== ',') return undefined;
    }
  };
  const array = read();
  return at === text.length ? array : undefined;
}
