import type { EChartsCoreOption } from 'echarts/core';
import { init, setPlatformAPI } from 'echarts/dist/echarts.esm.min.mjs';
import type { ChartData, Series } from './chart-data.ts';
import { colourOf, BASE_COLOURS, withCssVariables } from './chart-colours.ts';

// Draws charts as SVG on the server, so a page needs no script and no network to show them. Colours are CSS variables, which have values
// for a light and a dark scheme.

const FONT_SIZE = 12;
/** A chart shows at most this many horizontal bars. The table below it has all rows. */
const MAX_HORIZONTAL_BARS = 20;
/**
 * A chart has at most this many vertical bars. More bars would be too thin to see and would make the SVG large, so they are drawn as lines
 * or areas.
 */
const MAX_VERTICAL_BARS = 120;

// The server does not know the font of the browser, so it uses the widths of a wide font (DejaVu Sans). With a narrower font, some space
// stays empty. With the widths of a narrow font, letters could be cut off.
const widthOf = (text: string): number =>
  Array.from(text).reduce((sum, letter) => sum + (/[\u1100-\uffdc\u{1f000}-\u{3ffff}]/u.test(letter) ? FONT_SIZE : 0.61 * FONT_SIZE), 0);
setPlatformAPI({ measureText: (text) => ({ width: widthOf(text) }) });

export interface Chart {
  svg: string;
  /** A text for facts that the SVG does not show: the scale of the colours, or the number of rows that are left out. */
  caption: string | undefined;
}

/** Draws a chart with a width of `width` pixels. `name` is unique on the page. */
export function drawChart(data: ChartData, name: string, width: number): Chart {
  const render = (option: EChartsCoreOption, height: number) => renderSvg(option, { id: `${name}-${width}`, width, height });
  switch (data.kind) {
    case 'heatmap':
      return {
        svg: render(heatmap(data), 40 + 28 * data.rowLabels.length),
        caption: `Colour: from 0 to ${data.maxValue.toLocaleString('en')} ${data.valueTitle}.`,
      };
    case 'line':
      return { svg: render(lines(data, width), 300), caption: undefined };
    case 'bar':
    case 'stacked-bar': {
      // Bars are vertical if the labels are short enough to fit below them. Otherwise the bars are horizontal, with the labels beside them.
      const isVertical = data.isOrdered || Math.max(...data.labels.map(widthOf)) * data.labels.length < width - 100;
      if (isVertical && data.labels.length > MAX_VERTICAL_BARS) return { svg: render(lines(data, width), 300), caption: undefined };
      if (isVertical) return { svg: render(bars(data, width, true), 300), caption: undefined };
      const shown = firstRows(data, MAX_HORIZONTAL_BARS);
      const perBar = data.kind === 'bar' ? 12 + 14 * shown.series.length : 28;
      const caption =
        data.labels.length > MAX_HORIZONTAL_BARS
          ? `The chart shows the first ${MAX_HORIZONTAL_BARS} of ${data.labels.length} rows.`
          : undefined;
      return { svg: render(bars(shown, width, false), 70 + perBar * shown.labels.length), caption };
    }
  }
}

/** The data of every chart that has axes with labels and values. */
type AxisData = Extract<ChartData, { labels: string[] }>;

function firstRows(data: AxisData, count: number): AxisData {
  return {
    ...data,
    labels: data.labels.slice(0, count),
    series: data.series.map(({ name, values }) => ({ name, values: values.slice(0, count) })),
  };
}

const text = { color: BASE_COLOURS.text, fontSize: FONT_SIZE };
const thinLine = { lineStyle: { color: BASE_COLOURS.line } };
const valueAxis = {
  type: 'value',
  axisLabel: { ...text, hideOverlap: true },
  splitLine: thinLine,
  splitNumber: 4,
  axisLine: { show: false },
};
const categoryAxis = { type: 'category', axisLine: thinLine, axisTick: { show: false } };

/** Returns the options that all charts with axes share: the legend and the margins. */
function legendAndGrid(series: readonly Series[], width: number): EChartsCoreOption {
  const legendRows = Math.ceil(series.reduce((sum, { name }) => sum + widthOf(name) + 40, 0) / width);
  return {
    animation: false,
    legend: {
      show: series.length > 1,
      borderColor: BASE_COLOURS.line,
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

function bars({ kind, labels, series }: AxisData, width: number, isVertical: boolean): EChartsCoreOption {
  const names = {
    ...categoryAxis,
    data: labels,
    // The first row of the table is the top bar.
    inverse: !isVertical,
    axisLabel: {
      ...text,
      hideOverlap: isVertical,
      ...(isVertical ? {} : { interval: 0, formatter: (label: string) => shorten(label, width * 0.4) }),
    },
  };
  const [xAxis, yAxis] = isVertical ? [names, valueAxis] : [valueAxis, names];
  const colours = series.map(colourOf);
  return {
    ...legendAndGrid(series, width),
    xAxis,
    yAxis,
    series: series.map(({ name, values }, i) => ({
      type: 'bar',
      name,
      data: values,
      barMaxWidth: 48,
      ...(kind === 'stacked-bar' ? { stack: 'all' } : {}),
      // A border separates the segments, so that they differ not only in colour.
      itemStyle: {
        color: colours[i],
        borderColor: BASE_COLOURS.background,
        borderWidth: kind === 'bar' || labels.length > width / 8 ? 0 : 1,
      },
      ...(kind === 'bar' && labels.length * series.length <= 12
        ? {
            label: {
              show: true,
              position: isVertical ? 'top' : 'right',
              color: BASE_COLOURS.text,
              fontSize: FONT_SIZE,
              textBorderWidth: 0,
            },
          }
        : {}),
    })),
  };
}

function lines({ kind, labels, series }: AxisData, width: number): EChartsCoreOption {
  const colours = series.map(colourOf);
  return {
    ...legendAndGrid(series, width),
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
      // A single point cannot be drawn as a line, so a short series shows its points.
      showSymbol: values.length < 20,
      symbolSize: 5,
      symbol: 'circle',
      itemStyle: { color: colours[i] },
      ...styleOf(kind, colours[i], i),
    })),
  };
}

/**
 * Returns the style of a line chart. If there are too many bars, only their outline is drawn. If there are too many stacked bars, they are
 * drawn as areas.
 */
function styleOf(kind: AxisData['kind'], color: string | undefined, index: number): object {
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

/** Removes the middle of a text that is too wide. Keeps the end, because URLs usually differ at the end. */
function shorten(text: string, width: number): string {
  const maxLetters = Math.floor(width / widthOf('x'));
  const letters = Array.from(text);
  if (widthOf(text) <= width) return text;
  return `${letters.slice(0, Math.ceil(maxLetters * 0.4)).join('')}…${letters.slice(1 - Math.floor(maxLetters * 0.6)).join('')}`;
}

function heatmap({ columnLabels, rowLabels, cells, maxValue, valueTitle }: Extract<ChartData, { kind: 'heatmap' }>): EChartsCoreOption {
  const colour = colourOf({ name: valueTitle, values: [] }, 0, []);
  return {
    animation: false,
    grid: { top: 8, left: 4, right: 12, bottom: 4, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    xAxis: { ...categoryAxis, data: columnLabels, axisLabel: { ...text, hideOverlap: true } },
    yAxis: { ...categoryAxis, data: rowLabels, inverse: true, axisLabel: text },
    // One colour with different opacities is readable in the light and the dark scheme. The caption explains the opacity, because the
    // legend of echarts would need 200 colours.
    visualMap: { show: false, min: 0, max: maxValue, inRange: { color: [colour], opacity: [0.06, 1] } },
    series: [{ type: 'heatmap', name: valueTitle, data: cells, itemStyle: { borderColor: BASE_COLOURS.background, borderWidth: 1 } }],
  };
}

function renderSvg(option: EChartsCoreOption, { id, width, height }: { id: string; width: number; height: number }): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(option);
    return withCssVariables(chart.renderToSVGString(), id);
  } finally {
    chart.dispose();
  }
}
