// Writes rows for COPY ... (FORMAT binary): https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format". This
// format needs no text for each number of an array.

/** The types of elements, by their OIDs in pg_type. */
const OIDS = { int8: 20, int4: 23, text: 25 } as const;
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');

/** A value of a row: an integer, or an array. A null in an array is written as NULL. */
export type BinaryValue =
  | { readonly type: 'int8'; readonly value: number }
  | { readonly type: 'int4'; readonly value: number }
  | { readonly type: 'int8[]'; readonly values: ArrayLike<number> }
  | { readonly type: 'int4[]'; readonly values: ArrayLike<number> }
  | { readonly type: 'text[]'; readonly values: readonly (string | null)[] };

/** The rows as one buffer for COPY. Integers must be exact, so below 2^53. */
export function binaryRows(rows: readonly (readonly BinaryValue[])[]): Buffer {
  const sizes = rows.map((values) => values.map(sizeOf));
  const size = sizes.flat().reduce((sum, bytes) => sum + 4 + bytes, SIGNATURE.length + 2 * rows.length + 2);
  const buffer = Buffer.allocUnsafe(size);
  let at = SIGNATURE.copy(buffer);
  for (const [n, values] of rows.entries()) {
    at = buffer.writeInt16BE(values.length, at);
    for (const [i, value] of values.entries()) at = write(buffer, buffer.writeInt32BE(sizes[n]?.[i] as number, at), value);
  }
  buffer.writeInt16BE(-1, at);
  return buffer;
}

/** The size of a value in bytes, without its length. An array has a header of 20 bytes, and a length before each element. */
function sizeOf(value: BinaryValue): number {
  switch (value.type) {
    case 'int8':
      return 8;
    case 'int4':
      return 4;
    case 'int8[]':
      return 20 + 12 * value.values.length;
    case 'int4[]':
      return 20 + 8 * value.values.length;
    case 'text[]':
      return value.values.reduce((sum, text) => sum + 4 + (text === null ? 0 : Buffer.byteLength(text)), 20);
  }
}

function write(row: Buffer, start: number, value: BinaryValue): number {
  if (value.type === 'int8') return writeInt8(row, start, value.value);
  if (value.type === 'int4') return row.writeInt32BE(value.value, start);
  let at = row.writeInt32BE(1, start);
  at = row.writeInt32BE(value.type === 'text[]' && value.values.includes(null) ? 1 : 0, at);
  at = row.writeInt32BE(OIDS[value.type.slice(0, -2) as keyof typeof OIDS], at);
  at = row.writeInt32BE(value.values.length, at);
  at = row.writeInt32BE(1, at);
  if (value.type === 'text[]') {
    for (const text of value.values) {
      at = row.writeInt32BE(text === null ? -1 : Buffer.byteLength(text), at);
      if (text !== null) at += row.write(text, at);
    }
    return at;
  }
  const is8 = value.type === 'int8[]';
  for (let i = 0; i < value.values.length; i++) {
    at = row.writeInt32BE(is8 ? 8 : 4, at);
    at = is8 ? writeInt8(row, at, value.values[i] as number) : row.writeInt32BE(value.values[i] as number, at);
  }
  return at;
}

/** Writes an integer in two halves, because writeBigInt64BE would need a new BigInt for each number. */
function writeInt8(row: Buffer, at: number, value: number): number {
  const high = Math.floor(value / 2 ** 32);
  return row.writeUInt32BE(value - high * 2 ** 32, row.writeInt32BE(high, at));
}
