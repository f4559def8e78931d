import { title } from '../chart-data.ts';
import { drawChart } from '../charts.ts';
import type { Reach, Result, Value } from '../run-report.ts';
import { html, type Markup, trusted } from './markup.ts';
import { page } from './page.ts';
import { describeReach, exact, plain } from './values.ts';

/** Wide enough for a desktop; and for a phone, where the letters of the wide one would be too small to read. */
const WIDTHS = { wide: 960, narrow: 340 } as const;

/** A report as one page that needs nothing else: no network, no script. */
export function toHtml(result: Result, reach: Reach | undefined): string {
  const { report, values } = result;
  return page({
    title: report.title,
    head: html`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">`,
    main: html`<h1>${report.title}</h1>
<p class="question">${report.question}</p>
${valuesList(values)}
${chart(result)}
${table(result)}
${notes(result, reach)}`,
  });
}

/** What stands below a table: how its columns are meant, and how far the data reach. */
export function notes({ report }: Result, reach: Reach | undefined): Markup {
  return html`${report.remarks !== '' && html`<p class="note">${report.remarks}</p>`}${
    reach &&
    html`
<p class="note">${describeReach(reach)}</p>`
  }`;
}

/** The parameters that were given. */
export function valuesList(values: Readonly<Record<string, string>>): Markup | undefined {
  const entries = Object.entries(values);
  if (entries.length === 0) return undefined;
  return html`<dl class="values">${entries.map(([name, value]) => html`<div><dt>${title(name)}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** The chart of a report, drawn for a desktop and for a phone; the style sheet shows one of them. */
export function chart(result: Result): Markup | undefined {
  const drawings = (['wide', 'narrow'] as const).map((name) => ({ name, drawn: drawChart(result, WIDTHS[name]) }));
  const label = `Chart: ${result.report.title}. The table below it has its numbers.`;
  if (drawings.some(({ drawn }) => drawn === undefined)) return undefined;
  return html`<figure>${drawings.map(({ name, drawn }) => html`<div class="${name}">${labelled(drawn?.svg ?? '', label)}</div>`)}
${drawings[0]?.drawn?.caption && html`<figcaption class="note">${drawings[0].drawn.caption}</figcaption>`}</figure>`;
}

function labelled(svg: string, label: string): Markup {
  const [, rest = ''] = svg.split(/^<svg/);
  const begin = rest.indexOf('>');
  return html`<svg role="img" aria-label="${label}"${trusted(rest.slice(0, begin))}><title>${label}</title>${trusted(rest.slice(begin + 1))}`;
}

/** A table in a box of its own, which scrolls where it is wider than the page. */
export function table(result: Result, mostRows = result.rows.length): Markup {
  const { report, columns, rows } = result;
  if (rows.length === 0) return html`<p>Nothing yet.</p>`;
  const isNumber = columns.map((_, i) => rows.every((row) => typeof row[i] === 'number' || row[i] === null));
  const head = columns.map((column, i) => html`<th scope="col"${isNumber[i] && html` class="n"`}>${title(column)}</th>`);
  const body = rows.slice(0, mostRows).map(
    (row) => html`<tr>${row.map((value, i) => cell(value, columns[i] as string, isNumber[i] === true))}</tr>
`,
  );
  return scrolling(
    report.title,
    html`<table><thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table>`,
  );
}

/** Whoever has no mouse scrolls with the arrow keys, so the box can have the focus and has a name. */
export function scrolling(label: string, content: Markup): Markup {
  return html`<div class="table" role="region" aria-label="Table: ${label}" tabindex="0">${content}</div>`;
}

function cell(value: Value, column: string, isNumber: boolean): Markup {
  if (value === null) return html`<td${isNumber && html` class="n"`}>–</td>`;
  if (typeof value === 'number')
    return html`<td class="n">${/(?:^|_)id$/.test(column) ? value : value.toLocaleString('en', { maximumFractionDigits: 6 })}</td>`;
  // A local time, too: it must not break in two.
  const isTime = value instanceof Date || (typeof value === 'string' && /^\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?$/.test(value));
  return isTime ? html`<td><time datetime="${exact(value)}">${plain(value)}</time></td>` : html`<td>${plain(value)}</td>`;
}
