import type { ResultStream } from '../run-report.ts';

/**
 * Formats a result as CSV, byte for byte as `psql --csv` prints it: a header, lines that end with a line feed, empty fields for null, and t
 * and f for booleans. Values stay unchanged, even if they are spreadsheet formulas, so that programs get the values of the database.
 */
export async function* toCsv({ columns, batches }: Pick<ResultStream, 'columns' | 'batches'>): AsyncGenerator<string> {
  yield line(columns.map(({ name }) => name));
  if (columns.length === 0) return;
  for await (const rows of batches) yield rows.map(line).join('');
}

const line = (values: readonly (string | null)[]): string => `${values.map(field).join(',')}\n`;

/** Formats one value. The value \. is quoted, as in psql, because \. would end the data of COPY. */
function field(value: string | null): string {
  if (value === null) return '';
  return /[",\r\n]/.test(value) || value === '\\.' ? `"${value.replaceAll('"', '""')}"` : value;
}
