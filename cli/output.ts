import { styleText } from 'node:util';
import Table from 'cli-table3';

// Data goes to stdout, everything else to stderr; colours only where a terminal is.

export function bold(text: string): string {
  return styleText('bold', text, { stream: process.stdout });
}

export function dim(text: string): string {
  return styleText('dim', text, { stream: process.stdout });
}

/** A note for a person, on stderr. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A time as tables show it, to the minute and in UTC. */
export function shortTime(at: Date | null): string | undefined {
  return at?.toISOString().slice(0, 16).replace('T', ' ');
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

type Cell = string | number | null | undefined;

const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Columns aligned, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const aligns = head.map((_, i) =>
    rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null) ? 'right' : 'left',
  );
  const grid = new Table({
    head: head.map((title) => bold(title)),
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: aligns,
  });
  for (const row of rows) grid.push(row.map((cell) => (cell === null || cell === undefined ? dim('–') : String(cell))));
  return grid
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

export function printTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  process.stdout.write(`${table(head, rows)}\n`);
}
