import { columnTitle } from '../chart-data.ts';
import { isNumberType, isRightAligned } from '../column-types.ts';
import type { Column, Reach, Result, Value } from '../run-report.ts';
import { mailChart } from './mail-chart.ts';
import { toMarkdown } from './markdown.ts';
import { html, type Markup, markupText } from './markup.ts';
import { describeReach, displayText, withThousands } from './values.ts';

// Formats the first rows of a result as the two parts of a mail. All rows are in the attached file.

/** The table of a mail has at most this many rows. */
const TABLE_ROWS = 20;

/** The first rows of a result, and what the mail says about all rows. */
export interface MailContent {
  result: Omit<Result, 'truncated'>;
  /** The number of all rows. */
  total: number;
  reach: Reach | undefined;
  /** The name of the attached file. */
  attachment: string;
}

/** Formats a result as the HTML part of a mail. All styles are inline, because many mail programs remove style sheets. */
export function toMailHtml(content: MailContent): string {
  const { result, reach } = content;
  const { report, values, asked } = result;
  const given = Object.entries(values).map(([name, value]) => `${columnTitle(name)}: ${value}`);
  return markupText(html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${report.title}</title></head>
<body style="margin:16px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;font-size:14px;line-height:1.4;color:#1d2329;background-color:#ffffff">
<h1 style="margin:0 0 4px;font-size:20px">${report.title}</h1>
<p style="margin:0 0 12px">${report.question}</p>
${given.length > 0 && paragraph(given.join(', '))}${asked !== undefined && paragraph(asked)}
${mailChart(result)}
${result.rows.length === 0 ? paragraph('There are no rows yet.') : table(result.columns, result.rows.slice(0, TABLE_ROWS))}
${paragraph(rowsNote(content))}
${report.remarks !== '' && note(report.remarks)}${reach && note(describeReach(reach))}
</body></html>
`);
}

/** Formats a result as the text part of a mail, in Markdown. */
export async function toMailText(content: MailContent): Promise<string> {
  const { result, reach } = content;
  const rows = result.rows.slice(0, TABLE_ROWS);
  let text = '';
  for await (const piece of toMarkdown({ ...result, batches: oneBatch(rows) }, undefined)) text += piece;
  return [text.trimEnd(), rowsNote(content), ...(reach ? [describeReach(reach)] : [])].join('\n\n').concat('\n');
}

async function* oneBatch(rows: Value[][]): AsyncGenerator<Value[][]> {
  yield rows;
}

function rowsNote({ result, total, attachment }: MailContent): string {
  const shown = Math.min(result.rows.length, TABLE_ROWS);
  if (total === 0) return `The attached file ${attachment} has only the names of the columns.`;
  const number = (count: number): string => count.toLocaleString('en');
  return shown < total
    ? `These are the first ${number(shown)} of ${number(total)} rows. The attached file ${attachment} has all rows.`
    : `The attached file ${attachment} has the same rows.`;
}

const paragraph = (text: string): Markup => html`<p style="margin:8px 0">${text}</p>`;
const note = (text: string): Markup => html`<p style="margin:8px 0;font-size:12px;color:#5f6b76">${text}</p>`;

function table(columns: readonly Column[], rows: readonly Value[][]): Markup {
  const style = 'padding:4px 8px;border-bottom:1px solid #d5dae0;font-size:13px;vertical-align:top';
  const alignOf = (type: number): string => (isRightAligned(type) ? 'right' : 'left');
  const cell = (value: Value, { name, type }: Column): Markup => {
    const isCount = isNumberType(type) && !/(?:^|_)id$/.test(name);
    const text = value === null ? '–' : isCount ? withThousands(value) : displayText(value, type);
    const wrap = isRightAligned(type) ? '' : ';word-break:break-word';
    return html`<td align="${alignOf(type)}" style="${style};text-align:${alignOf(type)}${wrap}">${text}</td>`;
  };
  return html`<table cellpadding="0" cellspacing="0" border="0" style="margin:12px 0;border-collapse:collapse"><tr>${columns.map(
    ({ name, type }) => html`<th align="${alignOf(type)}" style="${style};text-align:${alignOf(type)}">${columnTitle(name)}</th>`,
  )}</tr>
${rows.map(
  (row) => html`<tr>${columns.map((column, i) => cell(row[i] ?? null, column))}</tr>
`,
)}</table>`;
}
