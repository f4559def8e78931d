import { type ChartData, chartData, type Data } from '../chart-data.ts';
import { drawChart } from '../charts.ts';
import { html, type Markup, trusted } from './markup.ts';

/** Each chart is drawn in two widths, in pixels. On a phone, the letters of the wide chart would be too small. */
const WIDTHS = { wide: 960, narrow: 340 } as const;

/** Renders the chart in both widths. The style sheet shows one of them. Returns undefined if there is nothing to draw. */
export function chart(result: Data): Markup | undefined {
  const data = chartData(result);
  return data && figure(data, result.report.name, `Chart: ${result.report.title}. The table below the chart has the numbers.`);
}

/** Renders a chart from its data. `name` is unique on the page, and `label` is for screen readers. */
export function figure(data: ChartData, name: string, label: string): Markup {
  const charts = (['wide', 'narrow'] as const).map((size) => ({ size, drawn: drawChart(data, name, WIDTHS[size]) }));
  return html`<figure>${charts.map(({ size, drawn }) => html`<div class="${size}">${withLabel(drawn.svg, label)}</div>`)}
${charts[0]?.drawn.caption !== undefined && html`<figcaption class="note">${charts[0].drawn.caption}</figcaption>`}</figure>`;
}

/** Adds a text for screen readers to an SVG. */
function withLabel(svg: string, label: string): Markup {
  const [, rest = ''] = svg.split(/^<svg/);
  const begin = rest.indexOf('>');
  return html`<svg role="img" aria-label="${label}"${trusted(rest.slice(0, begin))}><title>${label}</title>${trusted(rest.slice(begin + 1))}`;
}
