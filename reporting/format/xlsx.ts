import { writeXlsxStream } from 'hucre/xlsx';
import { columnTitle } from '../chart-data.ts';
import { isBooleanType, isNumberType, isTimeType } from '../column-types.ts';
import type { Column, ResultStream, Value } from '../run-report.ts';
import { displayText } from './values.ts';

/** The maximum number of characters in a cell. */
const MAX_TEXT = 32_767;
/** Excel keeps this many digits of a number. A number with more digits is written as a text. */
const MAX_DIGITS = 15;
/** The column widths are computed from this many rows. */
const WIDTH_ROWS = 200;
const MAX_WIDTH = 60;

type Cell = string | number | boolean | Date | null;

/**
 * Formats a result as a workbook for spreadsheet programs. The header stays visible when the user scrolls. Numbers, dates and booleans keep
 * their type, and all other values are texts. A text that begins with = is not a formula. If there are more rows than fit in one sheet, the
 * workbook has several sheets.
 */
export async function* toXlsx({ report, columns, batches }: Omit<ResultStream, 'countRest'>): AsyncGenerator<Uint8Array> {
  const source = batches[Symbol.asyncIterator]();
  const first = await source.next();
  const sample: Value[][] = first.done ? [] : first.value.slice(0, WIDTH_ROWS);
  async function* rows(): AsyncGenerator<Cell[]> {
    for (let next = first; !next.done; next = await source.next())
      for (const row of next.value) yield row.map((value, i) => cellOf(value, columns[i]?.type ?? 0));
  }
  yield* writeXlsxStream(rows(), {
    name: sheetName(report.title),
    columns: columns.map((column, i) => ({
      header: columnTitle(column.name),
      width: widthOf(column, i, sample),
      ...(isTimeType(column.type) ? { numFmt: column.type === DATE ? 'yyyy-mm-dd' : 'yyyy-mm-dd hh:mm:ss' } : {}),
    })),
    freezePane: { rows: 1 },
    zip64: false,
  });
}

const DATE = 1082;
/** The first day that all spreadsheet programs read in the same way. */
const FIRST_DAY = '1900-03-01';

function cellOf(value: Value, type: number): Cell {
  if (value === null) return null;
  if (isNumberType(type)) {
    const isExact = value.replace(/e.*$/i, '').replace(/\D/g, '').replace(/^0+/, '').length <= MAX_DIGITS;
    return isExact && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  if (isBooleanType(type)) return value === 't';
  // A spreadsheet has no time zones, so a time is written as the local time without its offset. A spreadsheet has at most milliseconds, so
  // a time with more digits is written as a text.
  const [clock] = isTimeType(type) ? (/^\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d{1,3})?)?(?=$|[+-])/.exec(value) ?? []) : [];
  if (clock !== undefined && clock >= FIRST_DAY) return new Date(`${clock.replace(' ', 'T')}${clock.includes(' ') ? 'Z' : ''}`);
  const text = value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT - 1)}…` : value;
  // Spreadsheet programs read the text _x0041_ as the character with the number 0x41, so the first underscore is escaped.
  return text.replaceAll(/_(?=x[0-9A-Fa-f]{4}_)/g, '_x005F_');
}

function widthOf({ name, type }: Column, index: number, sample: readonly Value[][]): number {
  const longest = sample.reduce((width, row) => Math.max(width, displayText(row[index] ?? null, type).length), columnTitle(name).length);
  return Math.min(MAX_WIDTH, Math.max(isTimeType(type) ? 18 : 6, longest) + 2);
}

/** Makes the name of a sheet from a title. The name must not contain certain characters and has at most 31 characters. */
function sheetName(title: string): string {
  return (
    title
      .replace(/[\\/*?:[\]\x00-\x1f]/g, ' ')
      .replace(/^'+|'+$/g, '')
      .trim()
      .slice(0, 28) || 'Report'
  );
}
