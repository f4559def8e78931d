import { printable } from './printable.ts';
import { type Cell, tableLines } from './table.ts';

// Writes the output of commands: data to stdout, everything else to stderr.

/** Writes lines for the user to stderr. `style` is e.g. `dim`. */
export function note(text: string, style: (text: string) => string = (plain) => plain): void {
  process.stderr.write(`${style(text.split('\n').map(printable).join('\n'))}\n`);
}

/** Formats a time for a table: UTC, to the minute. Returns undefined for null. */
export function shortTime(at: Date | null): string | undefined {
  return at?.toISOString().slice(0, 16).replace('T', ' ');
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Returns a table as one text. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [...tableLines(head, rows)].join('\n');
}

/** Writes a table. */
export function printTable(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
  let chunk = '';
  for (const line of tableLines(head, rows)) {
    chunk += `${line}\n`;
    if (chunk.length < 65_536) continue;
    process.stdout.write(chunk);
    chunk = '';
  }
  process.stdout.write(chunk);
}
