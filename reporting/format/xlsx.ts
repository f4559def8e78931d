import { writeXlsxStream } from 'hucre/xlsx';
import { columnTitle } from '../chart-data.ts';
import { isBooleanType, isNumberType, isTimeType } from '../column-types.ts';
import type { Column, ResultStream, Value } from '../run-report.ts';
import { displayText } from './values.ts';

/** The longest text that a cell can have. */
const MAX_TEXT = 32_767;
/** Excel keeps this many digits of a number. A number with more is a text. */
const MAX_DIGITS = 15;
/** The widths of the columns are those of the first rows. */
const WIDTH_ROWS = 200;
const MAX_WIDTH = 60;

type Cell = string | number | boolean | Date | null;

/**
 * Formats a result as a workbook for spreadsheets: a header that stays in sight, numbers, dates and booleans as such, everything else as
 * text. A text that begins with = is no formula. More rows than a sheet holds go on in further sheets.
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
/** The first day that all spreadsheets read the same way. */
const FIRST_DAY = '1900-03-01';

function cellOf(value: Value, type: number): Cell {
  if (value === null) return null;
  if (isNumberType(type)) {
    const isExact = value.replace(/e.*$/i, '').replace(/\D/g, '').replace(/^0+/, '').length <= MAX_DIGITS;
    return isExact && Number.isFinite(Number(value)) ? Number(value) : value;
  }
  if (isBooleanType(type)) return value === 't';
  // A spreadsheet has no time zones: a time is that of the clock. It has milliseconds; a time with more digits is a text.
  const [clock] = isTimeType(type) ? (/^\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d{1,3})?)?(?=$|[+-])/.exec(value) ?? []) : [];
  if (clock !== undefined && clock >= FIRST_DAY) return new Date(`${clock.replace(' ', 'T')}${clock.includes(' ') ? 'Z' : ''}`);
  const text = value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT - 1)}…` : value;
  // Spreadsheets read _x0041_ as the character with this number.
  return text.replaceAll(/_(?=x[0-9A-Fa-f]{4}_)/g, '_x005F_');
}

function widthOf({ name, type }: Column, index: number, sample: readonly Value[][]): number {
  const longest = sample.reduce((width, row) => Math.max(width, displayText(row[index] ?? null, type).length), columnTitle(name).length);
  return Math.min(MAX_WIDTH, Math.max(isTimeType(type) ? 18 : 6, longest) + 2);
}

/** The name of a sheet may not have these characters, and at most 31. */
function sheetName(title: string): string {
  return (
    title
      .replace(/[\\/*?:[\]\x00-\x1f]/g, ' ')
      .replace(/^'+|'+$/g, '')
      .trim()
      .slice(0, 28) || 'Report'
  );
}
