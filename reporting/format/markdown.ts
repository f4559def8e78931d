import type { Reach, Result } from '../run-report.ts';
import { title } from '../chart-data.ts';
import { describeReach, plain } from './values.ts';

/** Title, question, parameters and a table of GitHub's Markdown. */
export function toMarkdown({ report, values, columns, rows }: Result, reach: Reach | undefined): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const isNumber = columns.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number' || row[i] === null));
  const given = Object.entries(values).map(([name, value]) => `${escapeMarkdown(name)}: ${escapeMarkdown(value)}`);
  const table = [
    line(columns.map((column) => escapeMarkdown(title(column)))),
    line(isNumber.map((is) => (is ? '--:' : '---'))),
    ...rows.map((row) => line(row.map((value) => escapeMarkdown(plain(value))))),
  ];
  return `${[
    `# ${escapeMarkdown(report.title)}`,
    escapeMarkdown(report.question).replace(/^([#+=-]|\d+[.)])/, '\\$1'),
    ...(given.length > 0 ? [given.join(', ')] : []),
    table.join('\n'),
    ...(reach ? [escapeMarkdown(describeReach(reach))] : []),
  ].join('\n\n')}\n`;
}

/** Nothing in it is markup, no line of it ends a row or a cell. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_{}[\]<>|~$]/g, '\\$&')
    .replace(/&(?=#?\w+;)/g, '\\&')
    .replace(/\s*[\r\n]+\s*/g, ' ');
}
