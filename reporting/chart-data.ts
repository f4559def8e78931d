import { isNumberType, isTimeType } from './column-types.ts';
import { displayText, withoutScheme } from './format/values.ts';
import type { ChartKind } from './report-file.ts';
import type { Column, Result, Value } from './run-report.ts';

/** The data from which a chart is computed. */
export type Data = Pick<Result, 'report' | 'columns' | 'rows'>;

export interface Series {
  name: string;
  values: (number | null)[];
}

/** The data of a chart, computed from the rows of a result and the `-- chart:` line of its report. */
export type ChartData =
  | {
      kind: Exclude<ChartKind, 'heatmap' | 'none'>;
      labels: string[];
      /** True if the labels are times or numbers, so that their order has a meaning. */
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

/**
 * Computes the data of a chart. Returns undefined if the report has no chart, or if its chart names a missing column, or if the result has
 * no rows or no numbers.
 */
export function chartData(result: Data): ChartData | undefined {
  const { report, rows } = result;
  const columns = result.columns.map(({ name }) => name);
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
  const labels = labelsOf(result, xColumns);
  if (isUnique(labels)) {
    const ordered = xColumns.length === 1 && isOrdered(result, xColumns[0] as number);
    return { kind, labels: ordered ? withoutYear(labels) : labels, isOrdered: ordered, series };
  }
  return { kind, labels: uniqueLabels(result, xColumns) ?? labels, isOrdered: false, series };
}

/** Returns the name of a column as it is shown to users, with spaces instead of underscores. */
export function columnTitle(column: string): string {
  return column.replaceAll('_', ' ');
}

function labelsOf({ columns, rows }: Data, indexes: readonly number[]): string[] {
  return rows.map((row) => indexes.map((index) => labelOf(row[index] ?? null, columns[index])).join(' · '));
}

/** Returns the label of a value. There is little space for labels, so URLs have no scheme. */
function labelOf(value: Value, column: Column | undefined): string {
  return withoutScheme(displayText(value, column?.type ?? 0)) || '–';
}

function isUnique(labels: readonly string[]): boolean {
  return new Set(labels).size === labels.length;
}

/** Prefixes the labels with the first text column that makes them unique. Returns undefined if no column makes them unique. */
function uniqueLabels(result: Data, xColumns: readonly number[]): string[] | undefined {
  const isText = (index: number): boolean => !isNumberType(result.columns[index]?.type ?? 0);
  const others = result.columns
    .keys()
    .filter((index) => !xColumns.includes(index) && isText(index) && result.rows.every((row) => typeof row[index] === 'string'));
  return others.map((index) => labelsOf(result, [index, ...xColumns])).find(isUnique);
}

/** Removes the year if all labels have the same year, to save space. */
function withoutYear(labels: string[]): string[] {
  const year = /^\d{4}-/.exec(labels[0] ?? '')?.[0];
  return year !== undefined && labels.every((label) => label.startsWith(year)) ? labels.map((label) => label.slice(year.length)) : labels;
}

function isOrdered({ columns, rows }: Data, index: number): boolean {
  const type = columns[index]?.type ?? 0;
  if (isNumberType(type) || isTimeType(type)) return true;
  return rows.every((row) => /^\d{4}-\d\d-\d\d|^\d\d:\d\d/.test(row[index] ?? ''));
}

/** Returns the number that a chart draws. Numbers of JavaScript are exact enough for a drawing. */
function numberOf(value: Value | undefined): number | null {
  const number = value === null || value === undefined || value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
}

/** Returns the index of the last column that has only numbers and is not in `excluded`. */
function lastNumberColumn({ columns, rows }: Data, excluded: readonly number[]): number | undefined {
  return columns
    .keys()
    .filter((index) => !excluded.includes(index) && rows.every((row) => numberOf(row[index]) !== null))
    .toArray()
    .at(-1);
}

function heatmapData({ columns, rows }: Data, xColumn: number, yColumn: number, valueColumn: number | undefined): ChartData | undefined {
  if (valueColumn === undefined) return undefined;
  const labelAt = (row: Value[], index: number): string => displayText(row[index] ?? null, columns[index]?.type ?? 0);
  const columnLabels = [...new Set(rows.map((row) => labelAt(row, xColumn)))];
  const rowLabels = [...new Set(rows.map((row) => labelAt(row, yColumn)))];
  // The columns of the heatmap are found in the order of the result, and the first row may lack some of them. So columns that are numbers,
  // for example hours, are sorted here.
  if (isNumberType(columns[xColumn]?.type ?? 0)) columnLabels.sort((a, b) => Number(a) - Number(b));
  const cells = rows.map((row): [number, number, number] => [
    columnLabels.indexOf(labelAt(row, xColumn)),
    rowLabels.indexOf(labelAt(row, yColumn)),
    numberOf(row[valueColumn]) ?? 0,
  ]);
  const max = cells.reduce((highest, [, , value]) => Math.max(highest, value), 0);
  const valueTitle = columnTitle(columns[valueColumn]?.name ?? '');
  return { kind: 'heatmap', columnLabels, rowLabels, cells, maxValue: max > 0 ? max : 1, valueTitle };
}
