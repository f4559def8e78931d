import { table } from '../cli/output.ts';
import type { Fixture } from './fixture.ts';

// What a bench gives: our figure, beside it the bare one of the same run, and what was hoped for.

export interface Figure {
  what: string;
  unit: string;
  ours: number;
  /** The same work without clickledger around it. */
  bare?: { what: string; value: number };
  /** A ratio to the bare figure, or a figure of its own; `atMost` for memory. */
  target?: { ratio: number } | { atLeast: number } | { atMost: number };
}

export type Bench = (context: { directory: string; fixture: Fixture; say: (text: string) => void }) => Promise<Figure[]>;

/** Rates of the rounds of one side: the middle one counts. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Throws when something is not as it must be: a fast bench that lost a line is no bench. */
export function expectEqual(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`);
}

function isMet(figure: Figure): boolean | undefined {
  const { ours, bare, target } = figure;
  if (target === undefined) return undefined;
  if ('atLeast' in target) return ours >= target.atLeast;
  if ('atMost' in target) return ours <= target.atMost;
  return bare !== undefined && ours / bare.value >= target.ratio;
}

function targetText({ target }: Figure): string | undefined {
  if (target === undefined) return undefined;
  if ('ratio' in target) return `ratio ${target.ratio}`;
  return 'atLeast' in target ? number(target.atLeast) : `≤ ${number(target.atMost)}`;
}

const number = (value: number): string => Math.round(value).toLocaleString('en-US');

export function printFigures(figures: readonly Figure[], json: boolean): void {
  const rows = figures.map((figure) => ({ ...figure, ratio: figure.bare && figure.ours / figure.bare.value, met: isMet(figure) }));
  if (json) {
    process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const cells = rows.map((row) => [
    row.what,
    row.unit,
    number(row.ours),
    row.bare && number(row.bare.value),
    row.bare?.what,
    row.ratio?.toFixed(2),
    targetText(row),
    row.met === undefined ? undefined : row.met ? 'yes' : 'no',
  ]);
  process.stdout.write(`${table(['what', 'unit', 'ours', 'bare', 'bare is', 'ratio', 'target', 'met'], cells)}\n`);
}
