// The text of report files, and the part of the text that an error message shows.

export interface SourceFile {
  path: string;
  /** The path that messages show. */
  label: string;
  text: string;
}

const MAX_WIDTH = 100;

/** Returns a message with the file, the line, the text of the line, and a caret below the place. */
export function frameOf({ file, offset }: { file: SourceFile; offset: number }, message: string): string {
  const before = file.text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  const lineEnd = file.text.indexOf('\n', offset);
  const line = file.text
    .slice(lineStart, lineEnd === -1 ? undefined : lineEnd)
    .replaceAll('\t', ' ')
    .trimEnd();
  // Of a long line, only the part around the place is shown.
  const column = offset - lineStart;
  const from = Math.max(0, Math.min(column - MAX_WIDTH / 2, line.length - MAX_WIDTH));
  const shown = Array.from(line.slice(from, from + MAX_WIDTH)).join('');
  const lead = from > 0 ? '…' : '';
  return `${file.label}:${before.split('\n').length}: ${message}\n  ${lead}${shown}\n  ${' '.repeat(lead.length + column - from)}^`;
}
