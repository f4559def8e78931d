import type { Data } from '../chart-data.ts';
import { drawChart } from '../charts.ts';
import { html, type Markup, trusted } from './markup.ts';

/** Each chart is drawn in two widths, in pixels. On a phone, the letters of the wide chart would be too small. */
const WIDTHS = { wide: 960, narrow: 340 } as const;

/** Renders the chart in both widths. The style sheet shows one of them. Returns undefined if there is nothing to draw. */
export function chart(result: Data): Markup | undefined {
  const charts = (['wide', 'narrow'] as const).map((name) => ({ name, drawn: drawChart(result, WIDTHS[name]) }));
  const label = `Chart: ${result.report.title}. The table below the chart has the numbers.`;
  if (charts.some(({ drawn }) => drawn === undefined)) return undefined;
  return html`<figure>${charts.map(({ name, drawn }) => html`<div class="${name}">${withLabel(drawn?.svg ?? '', label)}</div>`)}
${charts[0]?.drawn?.caption && html`<figcaption class="note">${charts[0].drawn.caption}</figcaption>`}</figure>`;
}

/** Adds a text for screen readers to an SVG. */
function withLabel(svg: string, label: string): Markup {
  const [, rest = ''] = svg.split(/^<svg/);
  const begin = rest.indexOf('>');
  return html`<svg role="img" aria-label="${label}"${trusted(rest.slice(0, begin))}><title>${label}</title>${trusted(rest.slice(begin + 1))}`;
}
