import { columnTitle } from '../chart-data.ts';
import { drawChart } from '../charts.ts';
import type { Reach, Result, Value } from '../run-report.ts';
import { html, type Markup, trusted } from './markup.ts';
import { page } from './page.ts';
import { describeReach, machineText, displayText } from './values.ts';

/** Each chart is drawn in two widths, in pixels: on a phone the letters of the wide one would be too small. */
const WIDTHS = { wide: 960, narrow: 340 } as const;

/** Formats a result as a self-contained HTML page, which needs no network and no script. */
export function toHtml(result: Result, reach: Reach | undefined): string {
  const { report, values } = result;
  return page({
    title: report.title,
    head: html`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">`,
    main: html`<h1>${report.title}</h1>
<p class="question">${report.question}</p>
${parameterList(values)}
${chart(result)}
${table(result)}
${footnotes(result, reach)}`,
  });
}

/** Renders the notes below a table: the description of the columns, and how far the data reach. */
export function footnotes({ report }: Result, reach: Reach | undefined): Markup {
  return html`${report.remarks !== '' && html`<p class="note">${report.remarks}</p>`}${
    reach &&
    html`
<p class="note">${describeReach(reach)}</p>`
  }`;
}

/** Renders the given parameters. Undefined if there are none. */
export function parameterList(values: Readonly<Record<string, string>>): Markup | undefined {
  const entries = Object.entries(values);
  if (entries.length === 0) return undefined;
  return html`<dl class="values">${entries.map(([name, value]) => html`<div><dt>${columnTitle(name)}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Renders the chart in both widths; the style sheet shows one of them. Undefined if there is nothing to draw. */
export function chart(result: Result): Markup | undefined {
  const charts = (['wide', 'narrow'] as const).map((name) => ({ name, drawn: drawChart(result, WIDTHS[name]) }));
  const label = `Chart: ${result.report.title}. The table below the chart has the numbers.`;
  if (charts.some(({ drawn }) => drawn === undefined)) return undefined;
  return html`<figure>${charts.map(({ name, drawn }) => html`<div class="${name}">${withLabel(drawn?.svg ?? '', label)}</div>`)}
${charts[0]?.drawn?.caption && html`<figcaption class="note">${charts[0].drawn.caption}</figcaption>`}</figure>`;
}

/** Gives an SVG a text for screen readers. */
function withLabel(svg: string, label: string): Markup {
  const [, rest = ''] = svg.split(/^<svg/);
  const begin = rest.indexOf('>');
  return html`<svg role="img" aria-label="${label}"${trusted(rest.slice(0, begin))}><title>${label}</title>${trusted(rest.slice(begin + 1))}`;
}

/** Renders the first `maxRows` rows as a table, in a box that scrolls if the table is wider than the page. */
export function table(result: Result, maxRows = result.rows.length): Markup {
  const { report, columns, rows } = result;
  if (rows.length === 0) return html`<p>There are no rows yet.</p>`;
  const isNumber = columns.map((_, i) => rows.every((row) => typeof row[i] === 'number' || row[i] === null));
  const head = columns.map((column, i) => html`<th scope="col"${isNumber[i] && html` class="n"`}>${columnTitle(column)}</th>`);
  const body = rows.slice(0, maxRows).map(
    (row) => html`<tr>${row.map((value, i) => cell(value, columns[i] as string, isNumber[i] === true))}</tr>
`,
  );
  return scrollBox(
    report.title,
    html`<table><thead><tr>${head}</tr></thead><tbody>
${body}</tbody></table>`,
  );
}

/** Renders a box that scrolls. It can get the focus and has a name, so that it also scrolls with the arrow keys. */
export function scrollBox(label: string, content: Markup): Markup {
  return html`<div class="table" role="region" aria-label="Table: ${label}" tabindex="0">${content}</div>`;
}

function cell(value: Value, column: string, isNumber: boolean): Markup {
  if (value === null) return html`<td${isNumber && html` class="n"`}>–</td>`;
  if (typeof value === 'number')
    return html`<td class="n">${/(?:^|_)id$/.test(column) ? value : value.toLocaleString('en', { maximumFractionDigits: 6 })}</td>`;
  // A local time is a time, too: the page must not break it over two lines.
  const isTime = value instanceof Date || (typeof value === 'string' && /^\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?$/.test(value));
  return isTime ? html`<td><time datetime="${machineText(value)}">${displayText(value)}</time></td>` : html`<td>${displayText(value)}</td>`;
}
