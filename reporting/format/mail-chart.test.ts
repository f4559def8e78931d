import { expect, test } from 'vitest';
import type { ChartSpec } from '../report-file.ts';
import { parseReport } from '../report-file.ts';
import { sourceFile } from '../psql-script.ts';
import { mailChart } from './mail-chart.ts';
import { markupText } from './markup.ts';

const TEXT = 25;
const NUMBER = 20;

/** Draws a chart of these rows. The first column has texts, the others have numbers. */
function draw(chart: ChartSpec, columns: readonly string[], rows: (string | null)[][]): string | undefined {
  const report = { ...parseReport('a', sourceFile('a.sql', 'a.sql', 'SELECT 1;\n')), chart };
  const drawn = mailChart({ report, columns: columns.map((name, i) => ({ name, type: i === 0 ? TEXT : NUMBER })), rows });
  return drawn && markupText(drawn);
}

const widthsIn = (html: string | undefined): number[] =>
  Array.from((html ?? '').matchAll(/<td width="(\d+)" height="12"/g), ([, width]) => Number(width));
const heightsIn = (html: string | undefined): number[] =>
  Array.from((html ?? '').matchAll(/<td width="\d+" height="(\d+)"/g), ([, height]) => Number(height));

test('bars are as long as their values, and stand beside their labels and numbers', () => {
  const html = draw(
    { kind: 'bar', x: ['link'], y: ['hits'] },
    ['link', 'hits'],
    [
      ['<one>', '1000'],
      ['two', '500'],
      ['three', '0'],
      ['four', null],
    ],
  );
  expect(widthsIn(html)).toEqual([320, 160]);
  expect(html).toContain('&lt;one&gt;');
  expect(html).toContain('>1,000<');
  expect(html).toContain('>–<');
});

test('a small value is seen', () => {
  expect(
    widthsIn(
      draw(
        { kind: 'bar', x: ['a'], y: ['n'] },
        ['a', 'n'],
        [
          ['x', '1000000'],
          ['y', '1'],
        ],
      ),
    ),
  ).toEqual([320, 1]);
});

test('stacked values are in one bar, whose length is their sum; others have a bar each', () => {
  const rows = [
    ['a', '30', '10'],
    ['b', '10', '10'],
  ];
  const stacked = draw({ kind: 'stacked-bar', x: ['x'], y: ['human_hits', 'machine_hits'] }, ['x', 'human_hits', 'machine_hits'], rows);
  expect(widthsIn(stacked)).toEqual([240, 80, 80, 80]);
  expect(stacked).toContain('30 + 10');
  const beside = draw({ kind: 'bar', x: ['x'], y: ['human_hits', 'machine_hits'] }, ['x', 'human_hits', 'machine_hits'], rows);
  expect(widthsIn(beside)).toEqual([320, 107, 107, 107]);
  // Both have a legend with the two colours.
  for (const html of [stacked, beside]) expect(new Set(html?.match(/(?<=color:)#\w{6}(?=">&#9632;)/g)).size).toBe(2);
});

test('a column for each time, with the highest 120 pixels high', () => {
  const html = draw(
    { kind: 'line', x: ['day'], y: ['hits'] },
    ['day', 'hits'],
    [
      ['2030-05-01', '4'],
      ['2030-05-02', '0'],
      ['2030-05-03', '2'],
    ],
  );
  expect(heightsIn(html)).toEqual([120, 60]);
  expect(html).toContain('From 05-01 to 05-03.');
  expect(html).toContain('up to 4');
});

test('what is too much for a mail is left out, and the chart says so', () => {
  const many = (count: number, label: (i: number) => string) => Array.from({ length: count }, (_, i) => [label(i), '1']);
  const bars = draw(
    { kind: 'bar', x: ['a'], y: ['n'] },
    ['a', 'n'],
    many(21, (i) => `link ${i}`),
  );
  expect(widthsIn(bars)).toHaveLength(20);
  expect(bars).toContain('the first 20 of 21 rows');
  const hours = draw(
    { kind: 'bar', x: ['a'], y: ['n'] },
    ['a', 'n'],
    many(240, (i) => new Date(i * 3_600_000).toISOString().slice(0, 16).replace('T', ' ')),
  );
  expect(heightsIn(hours)).toHaveLength(200);
  expect(hours).toContain('the last 200 of 240 rows');
  expect(hours).toContain('to 01-10 23:00');
});

test('a heatmap has a cell for each pair, darker for more', () => {
  const html = draw(
    { kind: 'heatmap', x: ['hour'], y: ['weekday', 'hits'] },
    ['weekday', 'hour', 'hits'],
    [
      ['Mon', '8', '0'],
      ['Mon', '9', '10'],
      ['Tue', '9', '5'],
    ],
  );
  const cells = Array.from((html ?? '').matchAll(/bgcolor="(#\w{6})"[^>]*>(\d+)</g), ([, colour, value]) => [
    value,
    Number.parseInt(colour?.slice(1, 3) ?? '', 16),
  ]);
  expect(cells.map(([value]) => value)).toEqual(['0', '10', '5']);
  const [none, most, half] = cells.map(([, red]) => Number(red)) as [number, number, number];
  expect(none).toBeGreaterThan(half);
  expect(half).toBeGreaterThan(most);
});

test('without numbers there is no chart', () => {
  expect(draw({ kind: 'bar', x: ['a'], y: ['n'] }, ['a', 'n'], [])).toBeUndefined();
  expect(draw({ kind: 'none', x: [], y: [] }, ['a', 'n'], [['a', '1']])).toBeUndefined();
});
