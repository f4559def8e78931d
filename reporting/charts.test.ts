import { parseFragment } from 'parse5';
import { describe, expect, test } from 'vitest';
import { HOSTILE } from '../test/support/campaigns.ts';
import { createResult, type Sample } from '../test/support/results.ts';
import { chartData, type Data } from './chart-data.ts';
import { colourVariables } from './chart-colours.ts';
import { type Chart, drawChart } from './charts.ts';
import type { ChartKind } from './report-file.ts';

const KINDS = ['bar', 'line', 'stacked-bar'] as const;

/** Draws the chart of a result. Undefined if there is nothing to draw. */
function drawResult(result: Data, width: number): Chart | undefined {
  const data = chartData(result);
  return data && drawChart(data, 'result', width);
}

function draw(kind: ChartKind, x: string, y: string[], columns: string[], rows: Sample[][], width = 960): string | undefined {
  return drawResult(createResult(columns, rows, { kind, x: [x], y }), width)?.svg;
}

const hours = (count: number): Sample[][] =>
  Array.from({ length: count }, (_, i) => [
    `2030-05-${String(1 + Math.floor(i / 24)).padStart(2, '0')} ${String(i % 24).padStart(2, '0')}:00`,
    i % 7,
    i % 3,
  ]);

describe.each(KINDS)('a %s chart', (kind) => {
  const svg = draw(kind, 'hour', ['human_hits', 'machine_hits'], ['hour', 'human_hits', 'machine_hits'], hours(24)) ?? '';

  test('is SVG of that size, and has what people and what machines did in the same two colours', () => {
    expect(svg).toMatch(/^<svg width="960" height="\d+" /);
    expect(svg).toContain('viewBox="0 0 960 ');
    expect(svg).toContain('"var(--human)"');
    expect(svg).toContain('"var(--machine)"');
    expect(svg).not.toMatch(/--human-2|--machine-2|--series/);
  });

  test('has nothing that a page without inline styles would refuse, and no colour that is no variable', () => {
    expect(svg).not.toMatch(/ style=|<style|<script|ecmeta|class=/);
    expect(svg).not.toMatch(/#0a00|rgba?\(10,/);
    expect(
      Array.from(svg.matchAll(/(?:fill|stroke)="([^"]*)"/g), ([, colour]) => colour).filter(
        (c) => !/^(?:none|var\(--[\w-]+\)|url\(#mine-960-\w+\)|#000|#fff|rgb\(0,0,0\))$/.test(c ?? ''),
      ),
    ).toEqual([]);
  });

  test('is the same text when it is drawn again', () => {
    expect(draw(kind, 'hour', ['human_hits', 'machine_hits'], ['hour', 'human_hits', 'machine_hits'], hours(24))).toBe(svg);
  });

  test('stays small however many rows there are', () => {
    expect(draw(kind, 'hour', ['human_hits', 'machine_hits'], ['hour', 'human_hits', 'machine_hits'], hours(700))?.length).toBeLessThan(
      100_000,
    );
  });
});

test.each([...KINDS, 'heatmap'] as const)('no text of the data is markup in a %s chart', (kind) => {
  const rows = [
    [HOSTILE, 'a', 1],
    [`" fill="#0a0001" x='`, HOSTILE, 2],
    [`style="color:red" class="x"`, 'c', 3],
  ];
  for (const width of [960, 340]) {
    const svg = draw(kind, 'x', kind === 'heatmap' ? ['name', HOSTILE] : [HOSTILE], ['x', 'name', HOSTILE], rows, width) ?? '';
    expect(svg).not.toMatch(/<img|onerror=alert\(1\)>|<\/script/);
    const errors: string[] = [];
    parseFragment(svg, { onParseError: ({ code }) => errors.push(code) });
    expect(errors).toEqual([]);
  }
});

test('a heatmap has a cell a row, and says what its colours mean', () => {
  const rows: Sample[][] = ['Mon', 'Tue'].flatMap((day) =>
    [0, 1, 2].map((hour): Sample[] => [day, hour, day === 'Tue' && hour === 2 ? 9 : 0]),
  );
  const drawn = drawResult(
    createResult(['weekday', 'hour', 'human_hits'], rows, { kind: 'heatmap', x: ['hour'], y: ['weekday', 'human_hits'] }),
    960,
  );
  expect(drawn?.caption).toBe('Colour: from 0 to 9 human hits.');
  expect(Array.from(drawn?.svg.matchAll(/fill="var\(--human\)"/g) ?? [])).toHaveLength(6);
});

test('more bars under each other than anybody reads are left out, and that is said', () => {
  const rows = Array.from({ length: 50 }, (_, i): Sample[] => [`https://shop.example/a-long-address/${i}`, i]);
  const drawn = drawResult(createResult(['link', 'hits'], rows, { kind: 'bar', x: ['link'], y: ['hits'] }), 960);
  expect(drawn?.caption).toBe('The chart shows the first 20 of 50 rows.');
});

describe('what is drawn', () => {
  test.each([
    ['no chart is asked for', 'none', ['a'], ['b'], [['x', 1]]],
    ['there are no rows', 'bar', ['a'], ['b'], []],
    ['a column is not there', 'bar', ['a'], ['c'], [['x', 1]]],
    ['no columns are named', 'bar', [], [], [['x', 1]]],
    [
      'nothing is a number',
      'bar',
      ['a'],
      ['b'],
      [
        ['x', null],
        ['y', 'z'],
      ],
    ],
  ] as [string, ChartKind, string[], string[], Sample[][]][])('nothing where %s', (_, kind, x, y, rows) => {
    expect(drawResult(createResult(['a', 'b'], rows, { kind, x, y }), 960)).toBeUndefined();
  });

  test('rows that the named column does not tell apart have another one before it', () => {
    const rows = [
      ['one', 'click', 1],
      ['one', 'open', 2],
      ['two', 'click', 3],
    ];
    const data = chartData(createResult(['campaign', 'kind', 'hits'], rows, { kind: 'bar', x: ['kind'], y: ['hits'] }));
    expect(data).toMatchObject({ labels: ['one · click', 'one · open', 'two · click'] });
  });

  test('two series of people are told apart, and neither looks like a machine', () => {
    const svg =
      draw('bar', 'c', ['human_opens', 'human_clicks', 'hits'], ['c', 'human_opens', 'human_clicks', 'hits'], [['x', 1, 2, 3]]) ?? '';
    expect(svg).toContain('var(--human)');
    expect(svg).toContain('var(--human-2)');
    expect(svg).toContain('var(--series-1)');
    expect(svg).not.toContain('var(--machine');
  });
});

test.each(['light', 'dark'] as const)('every colour is told from the background in %s, WCAG 1.4.11', (scheme) => {
  const colours = new Map(
    colourVariables(scheme)
      .split(';')
      .map((line) => line.split(':') as [string, string]),
  );
  const background = luminance(colours.get('--background') ?? '');
  for (const [name, colour] of colours) {
    if (name === '--background' || name === '--line') continue;
    const [low = 0, high = 0] = [luminance(colour), background].toSorted((a, b) => a - b);
    expect([name, (high + 0.05) / (low + 0.05)]).toEqual([name, expect.toSatisfy((ratio: number) => ratio >= 3)]);
  }
});

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = Array.from(hex.matchAll(/[0-9a-f]{2}/g), ([two]) => {
    const c = Number.parseInt(two, 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
