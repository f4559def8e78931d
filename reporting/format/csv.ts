import { csvRow } from '../../core/csv.ts';
import type { Result } from '../run-report.ts';
import { exact } from './values.ts';

/** A header and a line a row. Values are left as they are, formulas too: other programs must get what the database has. */
export function toCsv({ columns, rows }: Result): string {
  return [columns, ...rows.map((row) => row.map(exact))].map(csvRow).join('');
}
