import { displayText } from './format/values.ts';
import type { ChartKind } from './report-file.ts';
import type { Result, Value } from './run-report.ts';

export interface Series {
  name: string;
  values: (number | null)[];
}

/** The data of a chart, computed from the rows of a result and the `-- chart:` line of its report. */
export type ChartData =
  | {
      kind: Exclude<ChartKind, 'heatmap' | 'none'>;
      labels: string[];
      /** The labels are times or numbers, so their order has a meaning. */
      isOrdered: boolean;
      series: Series[];
    }
  | {
      kind: 'heatmap';
      columnLabels: string[];
      rowLabels: string[];
      cells: [column: number, row: number, value: number][];
      maxValue: number;
      valueTitle: string;
    };

/** Computes the data of a chart. Undefined if the report has no chart, names a missing column, or has no rows or no numbers. */
export function chartData(result: Result): ChartData | undefined {
  const { report, columns, rows } = result;
  const { kind, x, y } = report.chart;
  const indexesOf = (names: readonly string[]): number[] => names.map((name) => columns.indexOf(name));
  const [xColumns, yColumns] = [indexesOf(x), indexesOf(y)];
  const used = [...xColumns, ...yColumns];
  if (kind === 'none' || rows.length === 0 || xColumns.length === 0 || yColumns.length === 0 || used.includes(-1)) return undefined;
  if (kind === 'heatmap')
    return heatmapData(result, xColumns[0] as number, yColumns[0] as number, yColumns[1] ?? lastNumberColumn(result, used));
  const series = yColumns.map((index) => ({
    name: columnTitle(columns[index] as string),
    values: rows.map((row) => numberOf(row[index])),
  }));
  if (series.every(({ values }) => values.every((value) => value === null))) return undefined;
  const labels = labelsOf(rows, xColumns);
  if (isUnique(labels)) {
    const ordered = xColumns.length === 1 && isOrdered(rows, xColumns[0] as number);
    return { kind, labels: ordered ? withoutYear(labels) : labels, isOrdered: ordered, series };
  }
  return { kind, labels: uniqueLabels(result, xColumns) ?? labels, isOrdered: false, series };
}

/** Returns the name of a column for people: underscores become spaces. */
export function columnTitle(column: string): string {
  return column.replaceAll('_', ' ');
}

function labelsOf(rows: readonly Value[][], columns: readonly number[]): string[] {
  return rows.map((row) => columns.map((index) => labelOf(row[index] ?? null)).join(' · '));
}

/** The label of a value. A URL loses its scheme and `www.`, because labels have little room. */
function labelOf(value: Value): string {
  return displayText(value).replace(/^https?:\/\/(?:www\.)?(?=.)/, '') || '–';
}

function isUnique(labels: readonly string[]): boolean {
  return new Set(labels).size === labels.length;
}

/** Prefixes the labels with the first text column that makes them unique. Undefined if no column does. */
function uniqueLabels({ columns, rows }: Result, xColumns: readonly number[]): string[] | undefined {
  const others = columns.keys().filter((index) => !xColumns.includes(index) && rows.every((row) => typeof row[index] === 'string'));
  return others.map((index) => labelsOf(rows, [index, ...xColumns])).find(isUnique);
}

/** Removes the year if all labels have the same year, to save room. */
function withoutYear(labels: string[]): string[] {
  const year = /^\d{4}-/.exec(labels[0] ?? '')?.[0];
  return year !== undefined && labels.every((label) => label.startsWith(year)) ? labels.map((label) => label.slice(year.length)) : labels;
}

function isOrdered(rows: readonly Value[][], column: number): boolean {
  return rows.every((row) => {
    const value = row[column];
    return typeof value === 'number' || value instanceof Date || (typeof value === 'string' && /^\d{4}-\d\d-\d\d|^\d\d:\d\d/.test(value));
  });
}

function numberOf(value: Value | undefined): number | null {
  const number = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

/** The last column that has only numbers and is not one of `excluded`. */
function lastNumberColumn({ columns, rows }: Result, excluded: readonly number[]): number | undefined {
  return columns
    .keys()
    .filter((index) => !excluded.includes(index) && rows.every((row) => numberOf(row[index]) !== null))
    .toArray()
    .at(-1);
}

function heatmapData({ columns, rows }: Result, xColumn: number, yColumn: number, valueColumn: number | undefined): ChartData | undefined {
  if (valueColumn === undefined) return undefined;
  const columnLabels = [...new Set(rows.map((row) => displayText(row[xColumn] ?? null)))];
  const rowLabels = [...new Set(rows.map((row) => displayText(row[yColumn] ?? null)))];
  // The first row of the heatmap may lack some hours, so the order of the result is not the order of the hours.
  if (rows.every((row) => typeof row[xColumn] === 'number')) columnLabels.sort((a, b) => Number(a) - Number(b));
  const cells = rows.map((row): [number, number, number] => [
    columnLabels.indexOf(displayText(row[xColumn] ?? null)),
    rowLabels.indexOf(displayText(row[yColumn] ?? null)),
    numberOf(row[valueColumn]) ?? 0,
  ]);
  const max = Math.max(...cells.map(([, , value]) => value));
  const valueTitle = columnTitle(columns[valueColumn] as string);
  return { kind: 'heatmap', columnLabels, rowLabels, cells, maxValue: max > 0 ? max : 1, valueTitle };
}
