import { type ChartData, chartData, type Data, type Series } from '../chart-data.ts';
import { lightColourOf } from '../chart-colours.ts';
import { html, type Markup } from './markup.ts';

// Charts for mail. Most mail programs show neither SVG nor style sheets, and some show no images. All of them show tables with coloured cells, so a
// chart is a table. Its texts can be of any language, because the mail program has the fonts.

/** A chart has at most this many rows of bars. The table below it and the attached file have more. */
const MAX_BARS = 20;
/** A chart has at most this many columns, because mail programs cut off what is wider than the window. */
const MAX_COLUMNS = 200;
const WIDTH = 600;
const BAR_WIDTH = 320;
const HEIGHT = 120;
const TEXT = '#1d2329';
const QUIET = '#5f6b76';

type AxisData = Extract<ChartData, { labels: string[] }>;
type HeatmapData = Extract<ChartData, { kind: 'heatmap' }>;

/** Draws the chart of a result as tables with inline styles. Returns undefined if the report has no chart or there is nothing to draw. */
export function mailChart(result: Data): Markup | undefined {
  const data = chartData(result);
  if (data === undefined) return undefined;
  if (data.kind === 'heatmap') return heatmap(data);
  return data.isOrdered ? columns(data) : bars(data);
}

const share = (value: number | null, max: number, length: number): number =>
  value === null || value <= 0 || max <= 0 ? 0 : Math.max(1, Math.round((value / max) * length));
const shown = (value: number | null): string => (value === null ? '–' : value.toLocaleString('en'));
const caption = (text: string): Markup => html`<p style="margin:4px 0;font-size:12px;color:${QUIET}">${text}</p>`;

function legend(series: readonly Series[]): Markup | undefined {
  if (series.length < 2) return undefined;
  return html`<p style="margin:4px 0;font-size:12px">${series.map(
    (one, i) => html`<span style="color:${lightColourOf(one, i, series)}">&#9632;</span> ${one.name} &nbsp; `,
  )}</p>`;
}

/** A coloured cell. Outlook needs the attributes, other programs need the style. */
const block = (colour: string, width: number, height: number): Markup =>
  html`<td width="${width}" height="${height}" bgcolor="${colour}" style="width:${width}px;height:${height}px;font-size:0;line-height:0;background-color:${colour}">&nbsp;</td>`;

/** Horizontal bars: a row for each label, and in it a bar for each series. Stacked series are in one bar. */
function bars({ kind, labels, series }: AxisData): Markup {
  const isStacked = kind === 'stacked-bar';
  const places = labels.slice(0, MAX_BARS).map((_, i) => i);
  const totalAt = (i: number): number => series.reduce((sum, { values }) => sum + Math.max(0, values[i] ?? 0), 0);
  const max = Math.max(...places.map((i) => (isStacked ? totalAt(i) : Math.max(...series.map(({ values }) => values[i] ?? 0)))));
  const colourAt = (n: number): string => lightColourOf(series[n] as Series, n, series);
  const bar = (i: number, parts: readonly number[]): Markup =>
    html`<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>${parts.map((n) => {
      const width = share(series[n]?.values[i] ?? null, max, BAR_WIDTH);
      return width > 0 && block(colourAt(n), width, 12);
    })}<td style="padding-left:6px;font-size:12px;color:${TEXT};white-space:nowrap">${parts.map((n) => shown(series[n]?.values[i] ?? null)).join(' + ')}</td></tr></table>`;
  const all = series.map((_, n) => n);
  return html`${legend(series)}<table cellpadding="0" cellspacing="0" border="0">${places.map(
    (
      i,
    ) => html`<tr><td valign="top" style="padding:2px 8px 2px 0;font-size:12px;color:${TEXT}">${labels[i]}</td><td style="padding:2px 0">${
      isStacked ? bar(i, all) : all.map((n) => bar(i, [n]))
    }</td></tr>
`,
  )}</table>${labels.length > MAX_BARS && caption(`The chart shows the first ${MAX_BARS} of ${shown(labels.length)} rows.`)}`;
}

/** Columns in the order of time. Series that are not stacked are drawn below each other, with the same scale. */
function columns({ kind, labels, series }: AxisData): Markup {
  const from = Math.max(0, labels.length - MAX_COLUMNS);
  const places = labels.slice(from).map((_, i) => from + i);
  const width = Math.max(2, Math.min(40, Math.floor(WIDTH / places.length) - 1));
  const groups = kind === 'stacked-bar' ? [series.map((_, n) => n)] : series.map((_, n) => [n]);
  const totals = groups.map((group) => places.map((i) => group.reduce((sum, n) => sum + Math.max(0, series[n]?.values[i] ?? 0), 0)));
  const max = Math.max(...totals.flat());
  const column = (group: readonly number[], i: number): Markup => {
    // The first series is at the bottom.
    const parts = group.toReversed().map((n) => ({ height: share(series[n]?.values[i] ?? null, max, HEIGHT), n }));
    return html`<td valign="bottom" style="padding-right:1px;vertical-align:bottom"><table role="presentation" cellpadding="0" cellspacing="0" border="0">${parts.map(
      ({ height, n }) => height > 0 && html`<tr>${block(lightColourOf(series[n] as Series, n, series), width, height)}</tr>`,
    )}</table></td>`;
  };
  return html`${legend(series)}${groups.map(
    (
      group,
    ) => html`${caption(`${groups.length > 1 ? `${series[group[0] as number]?.name}: ` : ''}up to ${shown(max)}`)}<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="border-bottom:1px solid ${QUIET}"><tr>${places.map((i) => column(group, i))}</tr></table>
`,
  )}${caption(`From ${labels[from]} to ${labels.at(-1)}.${from > 0 ? ` The chart shows the last ${MAX_COLUMNS} of ${shown(labels.length)} rows.` : ''}`)}`;
}

/** Mixes a colour with white. `part` is from 0 (white) to 1. */
function mixed(colour: string, part: number): string {
  const channels = [1, 3, 5].map((at) => Math.round(255 - (255 - Number.parseInt(colour.slice(at, at + 2), 16)) * part));
  return `#${channels.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
}

function heatmap({ columnLabels, rowLabels, cells, maxValue, valueTitle }: HeatmapData): Markup {
  const colour = lightColourOf({ name: valueTitle, values: [] }, 0, []);
  const values = new Map(cells.map(([column, row, value]) => [`${column} ${row}`, value]));
  const small = 'font-size:10px;text-align:center;padding:1px 2px';
  const cell = (column: number, row: number): Markup => {
    const value = values.get(`${column} ${row}`);
    if (value === undefined) return html`<td></td>`;
    const part = Math.max(0.06, value / maxValue);
    const background = mixed(colour, part);
    return html`<td bgcolor="${background}" style="${small};background-color:${background};color:${part > 0.8 ? '#ffffff' : TEXT}">${shown(value)}</td>`;
  };
  return html`<table cellpadding="0" cellspacing="1" border="0"><tr><td></td>${columnLabels.map((label) => html`<th style="${small};color:${QUIET}">${label}</th>`)}</tr>
${rowLabels.map(
  (
    label,
    row,
  ) => html`<tr><th style="${small};text-align:left;color:${QUIET}">${label}</th>${columnLabels.map((_, column) => cell(column, row))}</tr>
`,
)}</table>${caption(`Colour: from 0 to ${shown(maxValue)} ${valueTitle}.`)}`;
}
