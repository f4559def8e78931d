import { BarChart, HeatmapChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, VisualMapComponent } from 'echarts/components';
import { type EChartsCoreOption, init, setPlatformAPI, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { type ChartData, chartData, type Series } from './chart-data.ts';
import { colourOf, INK, withVariables } from './chart-colours.ts';
import type { Result } from './run-report.ts';

// Charts are drawn here, as SVG: a page needs no script and no network to show one. Colours are CSS variables, for light and dark.

use([BarChart, LineChart, HeatmapChart, GridComponent, LegendComponent, VisualMapComponent, SVGRenderer]);

const FONT_SIZE = 12;
/** More names than this under each other are not looked at; the table has them all. */
const MOST_BARS = 20;
/** More bars than this beside each other are no bars any more, and a long text; an area says the same. */
const MOST_UPRIGHT = 120;

// Nobody knows here which font a browser will take. Too much room is ugly, too little cuts letters off: as in a wide one (DejaVu Sans).
const widthOf = (text: string): number =>
  Array.from(text).reduce((sum, letter) => sum + (/[\u1100-\uffdc\u{1f000}-\u{3ffff}]/u.test(letter) ? FONT_SIZE : 0.61 * FONT_SIZE), 0);
setPlatformAPI({ measureText: (text) => ({ width: widthOf(text) }) });

export interface Drawn {
  svg: string;
  /** What it cannot say itself. */
  caption: string | undefined;
}

/** The chart of a report's result as SVG of that width in pixels; undefined where there is none, or nothing to draw. */
export function drawChart(result: Result, width: number): Drawn | undefined {
  const data = chartData(result);
  if (data === undefined) return undefined;
  const render = (option: EChartsCoreOption, height: number) => rendered(option, { id: `${result.report.name}-${width}`, width, height });
  switch (data.kind) {
    case 'heatmap':
      return {
        svg: render(heatmap(data), 40 + 28 * data.names.length),
        caption: `Colour: from 0 to ${data.most.toLocaleString('en')} ${data.value}.`,
      };
    case 'line':
      return { svg: render(lines(data, width), 300), caption: undefined };
    case 'bar':
    case 'stacked-bar': {
      // Names of a few letters stand below upright bars; longer ones beside lying bars.
      const isUpright = data.isOrdered || Math.max(...data.labels.map(widthOf)) * data.labels.length < width - 100;
      if (isUpright && data.labels.length > MOST_UPRIGHT) return { svg: render(lines(data, width), 300), caption: undefined };
      if (isUpright) return { svg: render(bars(data, width, true), 300), caption: undefined };
      const shown = firstOf(data, MOST_BARS);
      const perBar = data.kind === 'bar' ? 12 + 14 * shown.series.length : 28;
      const caption = data.labels.length > MOST_BARS ? `The chart shows the first ${MOST_BARS} of ${data.labels.length} rows.` : undefined;
      return { svg: render(bars(shown, width, false), 70 + perBar * shown.labels.length), caption };
    }
  }
}

type Flat = Extract<ChartData, { labels: string[] }>;

function firstOf(data: Flat, count: number): Flat {
  return {
    ...data,
    labels: data.labels.slice(0, count),
    series: data.series.map(({ name, values }) => ({ name, values: values.slice(0, count) })),
  };
}

const text = { color: INK.text, fontSize: FONT_SIZE };
const quiet = { lineStyle: { color: INK.line } };
const valueAxis = {
  type: 'value',
  axisLabel: { ...text, hideOverlap: true },
  splitLine: quiet,
  splitNumber: 4,
  axisLine: { show: false },
};
const categoryAxis = { type: 'category', axisLine: quiet, axisTick: { show: false } };

function around(series: readonly Series[], width: number): EChartsCoreOption {
  const legendRows = Math.ceil(series.reduce((sum, { name }) => sum + widthOf(name) + 40, 0) / width);
  return {
    animation: false,
    legend: {
      show: series.length > 1,
      borderColor: INK.line,
      top: 0,
      left: 0,
      textStyle: text,
      itemWidth: 14,
      itemHeight: 10,
      icon: 'rect',
    },
    grid: {
      top: series.length > 1 ? 20 + 20 * legendRows : 16,
      left: 4,
      right: 28,
      bottom: 4,
      outerBoundsMode: 'same',
      outerBoundsContain: 'axisLabel',
    },
  };
}

function bars({ kind, labels, series }: Flat, width: number, isUpright: boolean): EChartsCoreOption {
  const names = {
    ...categoryAxis,
    data: labels,
    // The first row of the table is the uppermost bar.
    inverse: !isUpright,
    axisLabel: {
      ...text,
      hideOverlap: isUpright,
      ...(isUpright ? {} : { interval: 0, formatter: (label: string) => shortened(label, width * 0.4) }),
    },
  };
  const [xAxis, yAxis] = isUpright ? [names, valueAxis] : [valueAxis, names];
  const colours = series.map(colourOf);
  return {
    ...around(series, width),
    xAxis,
    yAxis,
    series: series.map(({ name, values }, i) => ({
      type: 'bar',
      name,
      data: values,
      barMaxWidth: 48,
      ...(kind === 'stacked-bar' ? { stack: 'all' } : {}),
      // Segments are told apart by more than their colour.
      itemStyle: { color: colours[i], borderColor: INK.background, borderWidth: kind === 'bar' || labels.length > width / 8 ? 0 : 1 },
      ...(kind === 'bar' && labels.length * series.length <= 12
        ? { label: { show: true, position: isUpright ? 'top' : 'right', color: INK.text, fontSize: FONT_SIZE, textBorderWidth: 0 } }
        : {}),
    })),
  };
}

function lines({ kind, labels, series }: Flat, width: number): EChartsCoreOption {
  const colours = series.map(colourOf);
  return {
    ...around(series, width),
    xAxis: {
      ...categoryAxis,
      data: labels,
      boundaryGap: false,
      axisLabel: { ...text, hideOverlap: true, interval: Math.ceil(labels.length / Math.max(2, width / 110)) - 1, alignMinLabel: 'left' },
    },
    yAxis: valueAxis,
    series: series.map(({ name, values }, i) => ({
      type: 'line',
      name,
      data: values,
      // A single point is no line.
      showSymbol: values.length < 20,
      symbolSize: 5,
      symbol: 'circle',
      itemStyle: { color: colours[i] },
      ...strokeOf(kind, colours[i], i),
    })),
  };
}

/** Lines; or what stands for bars that are too many: their outline, or stacked areas. */
function strokeOf(kind: Flat['kind'], color: string | undefined, index: number): object {
  const line = { color, width: 2, type: index % 2 === 0 ? 'solid' : 'dashed' };
  switch (kind) {
    case 'line':
      return { lineStyle: line };
    case 'bar':
      return { step: 'middle', showSymbol: false, lineStyle: line };
    case 'stacked-bar':
      return { step: 'middle', showSymbol: false, stack: 'all', lineStyle: { width: 0 }, areaStyle: { color, opacity: 1 } };
  }
}

/** Begin and end of a text that is too long: the end is where addresses differ. */
function shortened(text: string, width: number): string {
  const most = Math.floor(width / widthOf('x'));
  const letters = Array.from(text);
  if (widthOf(text) <= width) return text;
  return `${letters.slice(0, Math.ceil(most * 0.4)).join('')}…${letters.slice(1 - Math.floor(most * 0.6)).join('')}`;
}

function heatmap({ columns, names, cells, most, value }: Extract<ChartData, { kind: 'heatmap' }>): EChartsCoreOption {
  const colour = colourOf({ name: value, values: [] }, 0, []);
  return {
    animation: false,
    grid: { top: 8, left: 4, right: 12, bottom: 4, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    xAxis: { ...categoryAxis, data: columns, axisLabel: { ...text, hideOverlap: true } },
    yAxis: { ...categoryAxis, data: names, inverse: true, axisLabel: text },
    // One colour, more or less of it: that reads in light and dark. What it means stands in the caption, echarts' own scale has 200 colours.
    visualMap: { show: false, min: 0, max: most, inRange: { color: [colour], opacity: [0.06, 1] } },
    series: [{ type: 'heatmap', name: value, data: cells, itemStyle: { borderColor: INK.background, borderWidth: 1 } }],
  };
}

function rendered(option: EChartsCoreOption, { id, width, height }: { id: string; width: number; height: number }): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(option);
    return withVariables(chart.renderToSVGString(), id);
  } finally {
    chart.dispose();
  }
}
