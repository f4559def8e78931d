import stringWidth from 'fast-string-width';
import { bold, dim } from './style.ts';
import { printable } from './printable.ts';

// Formats tables with aligned columns for a terminal.

export type Cell = string | number | null | undefined;

const GAP = '  ';

/**
 * Yields the lines of a table. Columns of numbers are aligned to the right. `numeric` says for each column whether it has numbers. Without
 * `numeric`, a column has numbers if all its cells are numbers or empty. An empty cell is shown as –. Control characters are shown as
 * escapes, because names and addresses come from outside.
 */
export function* tableLines(head: readonly string[], rows: readonly (readonly Cell[])[], numeric?: readonly boolean[]): Generator<string> {
  const texts = rows.map((row) => head.map((_, i) => cellText(row[i])));
  const widths = head.map((title, i) => texts.reduce((width, row) => Math.max(width, stringWidth(row[i] as string)), stringWidth(title)));
  const areNumbers =
    numeric ??
    head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null || row[i] === undefined));
  const align = (text: string, i: number, format: (text: string) => string): string => {
    const padding = ' '.repeat((widths[i] as number) - stringWidth(text));
    return areNumbers[i] ? padding + format(text) : format(text) + padding;
  };
  yield head
    .map((title, i) => align(title, i, bold))
    .join(GAP)
    .trimEnd();
  for (const [r, row] of texts.entries())
    yield row
      .map((text, i) => align(text, i, isEmpty(rows[r]?.[i]) ? dim : (plain) => plain))
      .join(GAP)
      .trimEnd();
}

const isEmpty = (cell: Cell): boolean => cell === null || cell === undefined;
const cellText = (cell: Cell): string => (isEmpty(cell) ? '–' : printable(String(cell)));
