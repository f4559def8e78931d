import pg from 'pg';
import type { Column, Result, ResultStream, Value } from '../../reporting/run-report.ts';
import { type ChartSpec, parseReport } from '../../reporting/report-file.ts';

const { INT4, TEXT } = pg.types.builtins;

/** A value of a sample result. Numbers are in columns of type int4, and all other values are in columns of type text. */
export type Sample = string | number | null;

/** Creates the result of a sample report. The type of a column follows from its values, unless `types` gives it. */
export function createResult(
  names: string[],
  samples: Sample[][],
  chart: ChartSpec = { kind: 'none', x: [], y: [] },
  types: Readonly<Record<string, number>> = {},
): Result {
  const isNumber = (i: number): boolean => samples.some((row) => typeof row[i] === 'number');
  const columns: Column[] = names.map((name, i) => ({ name, type: types[name] ?? (isNumber(i) ? INT4 : TEXT) }));
  const rows: Value[][] = samples.map((row) => row.map((value) => (value === null ? null : String(value))));
  const report = {
    ...parseReport('mine', { path: 'mine.sql', label: 'mine.sql', text: '' }),
    title: 'Mine',
    question: 'What is it?',
    chart,
  };
  return { report, values: {}, asked: undefined, messages: [], columns, rows, truncated: false };
}

/** Returns a result as a stream with one row per batch. */
export function asStream(result: Result): ResultStream {
  async function* batches(): AsyncGenerator<Value[][]> {
    for (const row of result.rows) yield [row];
  }
  return { ...result, batches: batches(), countRest: () => Promise.resolve(0) };
}

/** Joins the pieces of a formatted result. */
export async function textOf(pieces: AsyncIterable<string | Uint8Array>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += String(piece);
  return text;
}

/** Returns the rows of a result as objects. Numeric values become numbers. Every other value stays the text that Postgres sent. */
export function toRows({ columns, rows }: Pick<Result, 'columns' | 'rows'>): Record<string, string | number | null>[] {
  const { INT2, INT8, FLOAT4, FLOAT8, NUMERIC } = pg.types.builtins;
  const numbers: number[] = [INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC];
  return rows.map((row) =>
    Object.fromEntries(
      columns.map(({ name, type }, i) => {
        const value = row[i] ?? null;
        return [name, value !== null && numbers.includes(type) ? Number(value) : value];
      }),
    ),
  );
}
