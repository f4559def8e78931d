import { csvRow } from '../../core/csv.ts';
import type { Result } from '../run-report.ts';
import { machineText } from './values.ts';

/** Formats a result as CSV with a header. Values stay unchanged, even spreadsheet formulas, so that programs get what the database has. */
export function toCsv({ columns, rows }: Result): string {
  return [columns, ...rows.map((row) => row.map(machineText))].map(csvRow).join('');
}
