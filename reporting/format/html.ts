import { randomUUID } from 'node:crypto';
import { columnTitle, type Data } from '../chart-data.ts';
import { isNumberType, isRightAligned, isTimeType } from '../column-types.ts';
import type { Column, Reach, Result, ResultStream, Value } from '../run-report.ts';
import { html, type Markup, markupText, trusted } from './markup.ts';
import { page } from './page.ts';
import { describeReach, displayText, withThousands } from './values.ts';

/** A chart is drawn from at most this many rows. The chart comes before the table, so its rows must be kept in memory until it is drawn. */
const CHART_ROWS = 10_000;

/** Formats a result as a self-contained HTML page. The page needs no network and no script. */
export async function* toHtml(stream: Omit<ResultStream, 'countRest'>, reach: Reach | undefined): AsyncGenerator<string> {
  const { report, values, asked, columns } = stream;
  const batches = stream.batches[Symbol.asyncIterator]();
  const rows: Value[][] = [];
  let isComplete = false;
  const needed = report.chart.kind === 'none' ? 1 : CHART_ROWS;
  while (!isComplete && rows.length < needed) {
    const next = await batches.next();
    if (next.done) isComplete = true;
    else rows.push(...next.value);
  }
  const result = { report, columns, rows };
  // The library for charts is large, so it is loaded only if the report has a chart.
  const drawn = report.chart.kind === 'none' ? undefined : (await import('./chart.ts')).chart(result);
  // The page is split at this text, and the rows are written between the two parts.
  const gap = randomUUID();
  const whole = page({
    title: report.title,
    head: html`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">`,
    main: html`<h1>${report.title}</h1>
<p class="question">${report.question}</p>
${parameterList(values)}${askedNote(asked)}
${drawn}
${drawn && !isComplete && html`<p class="note">The chart shows the first ${rows.length.toLocaleString('en')} rows.</p>`}
${rows.length === 0 ? EMPTY : tableOf(result, trusted(gap))}
${footnotes(report, reach)}`,
  });
  const [before = '', after = ''] = whole.split(gap);
  yield before;
  yield rowsText(rows, columns);
  // These rows are not needed any more, so their memory is released.
  rows.length = 0;
  while (!isComplete) {
    const next = await batches.next();
    if (next.done) isComplete = true;
    else yield rowsText(next.value, columns);
  }
  yield after;
}

/** Renders the sentence about the time zone and the period. Returns undefined if the report has neither. */
export function askedNote(asked: string | undefined): Markup | undefined {
  return asked === undefined ? undefined : html`<p class="note">${asked}</p>`;
}

/** Renders the notes below a table: the description of the columns, and the time up to which hits are counted. */
export function footnotes(report: Result['report'], reach: Reach | undefined): Markup {
  return html`${report.remarks !== '' && html`<p class="note">${report.remarks}</p>`}${
    reach &&
    html`
<p class="note">${describeReach(reach)}</p>`
  }`;
}

/** Renders the given parameters. Returns undefined if there are none. */
export function parameterList(values: Readonly<Record<string, string>>): Markup | undefined {
  const entries = Object.entries(values);
  if (entries.length === 0) return undefined;
  return html`<dl class="values">${entries.map(([name, value]) => html`<div><dt>${columnTitle(name)}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const EMPTY = html`<p>There are no rows yet.</p>`;

/** Renders the first `maxRows` rows as a table, in a box that scrolls if the table is wider than the page. */
export function table(result: Data, maxRows = result.rows.length): Markup {
  if (result.rows.length === 0) return EMPTY;
  return tableOf(result, trusted(rowsText(result.rows.slice(0, maxRows), result.columns)));
}

function tableOf({ report, columns }: Data, body: Markup): Markup {
  const head = columns.map(({ name, type }) => html`<th scope="col"${isRightAligned(type) && html` class="n"`}>${columnTitle(name)}</th>`);
  return scrollBox(
    report.title,
    html`<table><thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table>`,
  );
}

function rowsText(rows: readonly Value[][], columns: readonly Column[]): string {
  return rows
    .map((row) =>
      markupText(html`<tr>${columns.map((column, i) => cell(row[i] ?? null, column))}</tr>
`),
    )
    .join('');
}

/**
 * Renders a box that scrolls. The box can get the focus, so that users can scroll it with the arrow keys. Its name is for screen readers.
 */
export function scrollBox(label: string, content: Markup): Markup {
  return html`<div class="table" role="region" aria-label="Table: ${label}" tabindex="0">${content}</div>`;
}

function cell(value: Value, { name, type }: Column): Markup {
  if (isRightAligned(type))
    return html`<td class="n">${value === null ? '–' : isNumberType(type) && !/(?:^|_)id$/.test(name) ? withThousands(value) : value}</td>`;
  if (value === null) return html`<td>–</td>`;
  const datetime = isTimeType(type) ? htmlTime(value) : LABEL_OF_TIME.test(value) ? value : undefined;
  const text = displayText(value, type);
  return datetime === undefined ? html`<td>${text}</td>` : html`<td><time datetime="${datetime}">${text}</time></td>`;
}

/** A text that is a local time. The page must not break such a text into two lines. */
const LABEL_OF_TIME = /^\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?(?:[+-]\d\d:\d\d)?)?$/;

/**
 * Formats a time for HTML, with milliseconds at most, and with the minutes of the offset. Returns undefined for values such as infinity.
 */
function htmlTime(value: string): string | undefined {
  const [, day, clock, fraction = '', offset] = /^(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d(?::\d\d)?)?)?$/.exec(value) ?? [];
  if (day === undefined || clock === undefined) return day;
  return `${day}T${clock}${fraction.slice(0, 4)}${offset === '+00' ? 'Z' : (offset?.padEnd(6, ':00') ?? '')}`;
}
