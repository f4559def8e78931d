import { table } from '../cli/output.ts';
import type { Fixture } from './fixture.ts';

// The result of a bench is a list of figures. Each figure has the value of clickledger, the value of a baseline from the same run, and the
// target.

export interface Figure {
  what: string;
  unit: string;
  ours: number;
  /** The baseline: the same work without clickledger. */
  bare?: { what: string; value: number };
  /** A ratio to the baseline, a minimum, or a maximum (`atMost`, e.g. for memory). */
  target?: { ratio: number } | { atLeast: number } | { atMost: number };
}

export type Bench = (context: { directory: string; fixture: Fixture; progress: (text: string) => void }) => Promise<Figure[]>;

/** Returns the median of the rates of all rounds of one side: clickledger or the baseline. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Throws if the two numbers differ. Every bench checks its results, because the speed of a run has no meaning if the run lost a line. */
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

const number = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 1 : 0 });

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
