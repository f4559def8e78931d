import { columnTitle } from '../chart-data.ts';
import { isRightAligned } from '../column-types.ts';
import type { Reach, ResultStream } from '../run-report.ts';
import { describeReach, displayText } from './values.ts';

/**
 * Formats a result as GitHub's Markdown: the title, the question, the given parameters, the time zone and the period, a table, and the time
 * up to which hits are counted.
 */
export async function* toMarkdown(stream: Omit<ResultStream, 'countRest'>, reach: Reach | undefined): AsyncGenerator<string> {
  const { report, values, asked, columns, batches } = stream;
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  const given = Object.entries(values).map(([name, value]) => `${escapeMarkdown(name)}: ${escapeMarkdown(value)}`);
  yield [
    `# ${escapeMarkdown(report.title)}`,
    escapeMarkdown(report.question).replace(/^([#+=-]|\d+[.)])/, '\\$1'),
    ...(given.length > 0 ? [given.join(', ')] : []),
    ...(asked === undefined ? [] : [escapeMarkdown(asked)]),
    line(columns.map(({ name }) => escapeMarkdown(columnTitle(name)))) +
      line(columns.map(({ type }) => (isRightAligned(type) ? '--:' : '---'))),
  ].join('\n\n');
  for await (const rows of batches)
    yield rows.map((row) => line(row.map((value, i) => escapeMarkdown(displayText(value, columns[i]?.type ?? 0))))).join('');
  if (reach) yield `\n${escapeMarkdown(describeReach(reach))}\n`;
}

/** Escapes a text so that no part of it is markup. Line breaks become spaces, because a line break ends a row of a table. */
export function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_{}[\]<>|~$]/g, '\\$&')
    .replace(/&(?=#?\w+;)/g, '\\&')
    .replace(/\s*[\r\n]+\s*/g, ' ');
}
