import type { SchemaElement } from 'hyparquet';

// The columns of the tables of an export. The types are those of the views of the schema `analytics`.

export type ColumnType = 'text' | 'texts' | 'int32' | 'int64' | 'boolean' | 'timestamp' | 'uuid' | 'decimal' | 'json';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Whether nearly all values differ, so a dictionary would not help. */
  readonly isUnique?: true;
  /** Whether each row group tells the smallest and the largest value, so that a query may skip it. */
  readonly hasBounds?: true;
}

/** A value as the writer takes it: a bigint for int64, microseconds for a timestamp, millionths for a decimal, 16 bytes for a uuid. */
export type Value = string | number | bigint | boolean | Uint8Array | readonly string[] | object | null;

/** `value` of goals has at most 12 digits before the point and 6 after it. */
const DECIMAL = { precision: 18, scale: 6 };

/** The Parquet schema of some columns. All of them may be null. */
export function schemaOf(columns: readonly Column[]): SchemaElement[] {
  return [{ name: 'root', num_children: columns.length }, ...columns.flatMap(elementsOf)];
}

function elementsOf({ name, type }: Column): SchemaElement[] {
  const optional = { name, repetition_type: 'OPTIONAL' } as const;
  switch (type) {
    case 'text':
      return [{ ...optional, type: 'BYTE_ARRAY', converted_type: 'UTF8' }];
    case 'json':
      return [{ ...optional, type: 'BYTE_ARRAY', converted_type: 'JSON' }];
    case 'texts':
      return [
        { ...optional, converted_type: 'LIST', num_children: 1 },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', repetition_type: 'OPTIONAL', type: 'BYTE_ARRAY', converted_type: 'UTF8' },
      ];
    case 'int32':
      return [{ ...optional, type: 'INT32' }];
    case 'int64':
      return [{ ...optional, type: 'INT64' }];
    case 'boolean':
      return [{ ...optional, type: 'BOOLEAN' }];
    case 'timestamp':
      return [
        {
          ...optional,
          type: 'INT64',
          converted_type: 'TIMESTAMP_MICROS',
          logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
        },
      ];
    case 'uuid':
      return [{ ...optional, type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, logical_type: { type: 'UUID' } }];
    case 'decimal':
      return [{ ...optional, type: 'INT64', converted_type: 'DECIMAL', ...DECIMAL }];
  }
}

/** Converts milliseconds to the value of a timestamp. */
export const timestampOf = (milliseconds: number | null): bigint | null =>
  milliseconds === null ? null : BigInt(Math.round(milliseconds * 1000));

export const int64Of = (value: number | string | null): bigint | null => (value === null ? null : BigInt(value));

export const uuidOf = (text: string): Uint8Array => Buffer.from(text.replaceAll('-', ''), 'hex');

export const decimalOf = (value: number | null): bigint | null =>
  value === null ? null : BigInt(value.toFixed(DECIMAL.scale).replace('.', ''));
