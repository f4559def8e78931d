import { plain } from './format/values.ts';
import type { ChartKind } from './report-file.ts';
import type { Result, Value } from './run-report.ts';

export interface Series {
  name: string;
  values: (number | null)[];
}

/** What is drawn, taken from rows and the `-- chart:` line. */
export type ChartData =
  | {
      kind: Exclude<ChartKind, 'heatmap' | 'none'>;
      labels: string[] /** Times or numbers, one after the other. */;
      isOrdered: boolean;
      series: Series[];
    }
  | {
      kind: 'heatmap';
      columns: string[];
      names: string[];
      cells: [column: number, row: number, value: number][];
      most: number;
      value: string;
    };

/** Undefined where nothing is to be drawn: no chart asked for, no such columns, no rows, no numbers. */
export function chartData(result: Result): ChartData | undefined {
  const { report, columns, rows } = result;
  const { kind, x, y } = report.chart;
  const places = (names: readonly string[]): number[] => names.map((name) => columns.indexOf(name));
  const [across, up] = [places(x), places(y)];
  if (kind === 'none' || rows.length === 0 || across.length === 0 || up.length === 0 || [...across, ...up].includes(-1)) return undefined;
  if (kind === 'heatmap') return heat(result, across[0] as number, up[0] as number, up[1] ?? lastNumber(result, [...across, ...up]));
  const series = up.map((place) => ({ name: title(columns[place] as string), values: rows.map((row) => numberOf(row[place])) }));
  if (series.every(({ values }) => values.every((value) => value === null))) return undefined;
  const labels = named(rows, across);
  if (isUnique(labels)) {
    const inOrder = across.length === 1 && isOrdered(rows, across[0] as number);
    return { kind, labels: inOrder ? withoutYear(labels) : labels, isOrdered: inOrder, series };
  }
  return { kind, labels: distinguished(result, across) ?? labels, isOrdered: false, series };
}

/** A column's name as a person reads it. */
export function title(column: string): string {
  return column.replaceAll('_', ' ');
}

function named(rows: readonly Value[][], places: readonly number[]): string[] {
  return rows.map((row) => places.map((place) => nameOf(row[place] ?? null)).join(' · '));
}

/** Addresses begin alike; in a chart there is no room for that. */
function nameOf(value: Value): string {
  return plain(value).replace(/^https?:\/\/(?:www\.)?(?=.)/, '') || '–';
}

function isUnique(labels: readonly string[]): boolean {
  return new Set(labels).size === labels.length;
}

/** With the first column of texts before them that tells the rows apart. */
function distinguished({ columns, rows }: Result, across: readonly number[]): string[] | undefined {
  const others = columns.keys().filter((place) => !across.includes(place) && rows.every((row) => typeof row[place] === 'string'));
  return others.map((place) => named(rows, [place, ...across])).find(isUnique);
}

/** The year only takes room where there is but one. */
function withoutYear(labels: string[]): string[] {
  const year = /^\d{4}-/.exec(labels[0] ?? '')?.[0];
  return year !== undefined && labels.every((label) => label.startsWith(year)) ? labels.map((label) => label.slice(year.length)) : labels;
}

function isOrdered(rows: readonly Value[][], place: number): boolean {
  return rows.every((row) => {
    const value = row[place];
    return typeof value === 'number' || value instanceof Date || (typeof value === 'string' && /^\d{4}-\d\d-\d\d|^\d\d:\d\d/.test(value));
  });
}

function numberOf(value: Value | undefined): number | null {
  const number = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

function lastNumber({ columns, rows }: Result, taken: readonly number[]): number | undefined {
  return columns
    .keys()
    .filter((place) => !taken.includes(place) && rows.every((row) => numberOf(row[place]) !== null))
    .toArray()
    .at(-1);
}

function heat({ columns: titles, rows }: Result, across: number, down: number, value: number | undefined): ChartData | undefined {
  if (value === undefined) return undefined;
  const columns = [...new Set(rows.map((row) => plain(row[across] ?? null)))];
  const names = [...new Set(rows.map((row) => plain(row[down] ?? null)))];
  // Reports give what there is: rows by row, hours of the first one perhaps with gaps.
  if (rows.every((row) => typeof row[across] === 'number')) columns.sort((a, b) => Number(a) - Number(b));
  const cells = rows.map((row): [number, number, number] => [
    columns.indexOf(plain(row[across] ?? null)),
    names.indexOf(plain(row[down] ?? null)),
    numberOf(row[value]) ?? 0,
  ]);
  const most = Math.max(...cells.map(([, , number]) => number));
  return { kind: 'heatmap', columns, names, cells, most: most > 0 ? most : 1, value: title(titles[value] as string) };
}
