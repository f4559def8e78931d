import type { Reach, Result } from '../run-report.ts';
import { columnTitle } from '../chart-data.ts';
import { describeReach, displayText } from './values.ts';

/** Formats a result as GitHub's Markdown: title, question, given parameters, a table, and how far the data reach. */
export function toMarkdown({ report, values, columns, rows }: Result, reach: Reach | undefined): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const isNumber = columns.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null));
  const given = Object.entries(values).map(([name, value]) => `${escapeMarkdown(name)}: ${escapeMarkdown(value)}`);
  const table = [
    line(columns.map((column) => escapeMarkdown(columnTitle(column)))),
    line(isNumber.map((is) => (is ? '--:' : '---'))),
    ...rows.map((row) => line(row.map((value) => escapeMarkdown(displayText(value))))),
  ];
  return `${[
    `# ${escapeMarkdown(report.title)}`,
    escapeMarkdown(report.question).replace(/^([#+=-]|\d+[.)])/, '\\$1'),
    ...(given.length > 0 ? [given.join(', ')] : []),
    table.join('\n'),
    ...(reach ? [escapeMarkdown(describeReach(reach))] : []),
  ].join('\n\n')}\n`;
}

/** Escapes a text so that nothing in it is markup. Line breaks become spaces, because a line break ends a row of a table. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_{}[\]<>|~$]/g, '\\$&')
    .replace(/&(?=#?\w+;)/g, '\\&')
    .replace(/\s*[\r\n]+\s*/g, ' ');
}
