import { parse } from 'parse5';
import { describe, expect, test } from 'vitest';
import { HOSTILE } from '../../test/support/campaigns.ts';
import pg from 'pg';
import { asStream, createResult, textOf as joined } from '../../test/support/results.ts';
import { toHtml } from './html.ts';

const REACH = { lastAt: new Date('2030-05-01T12:00:00Z'), holes: 2, missingBytes: 10 };

interface Element {
  nodeName: string;
  attrs?: { name: string; value: string }[];
  childNodes?: Element[];
  value?: string;
}

/** Parses a document into its elements and its parse errors. */
function read(text: string): { elements: Element[]; errors: string[] } {
  const errors: string[] = [];
  const all = (node: Element): Element[] => [node, ...(node.childNodes ?? []).flatMap(all)];
  const document = parse(text, { onParseError: ({ code }) => errors.push(code) }) as unknown as Element;
  return { elements: all(document), errors };
}

const named = (elements: Element[], name: string) => elements.filter(({ nodeName }) => nodeName === name);
const attribute = (element: Element | undefined, wanted: string) => element?.attrs?.find(({ name }) => name === wanted)?.value;
const textOf = (element: Element | undefined): string => element?.value ?? (element?.childNodes ?? []).map(textOf).join('');

describe('a report as a page', async () => {
  const result = {
    ...createResult(
      [HOSTILE, 'human_hits', 'at'],
      [
        [HOSTILE, 12345, '2030-05-01 08:00:00+00'],
        ['two', null, null],
      ],
      { kind: 'bar', x: [HOSTILE], y: ['human_hits'] },
      { at: pg.types.builtins.TIMESTAMPTZ },
    ),
    values: { campaign: HOSTILE },
  };
  result.report.title = HOSTILE;
  result.report.question = HOSTILE;
  result.report.remarks = HOSTILE;
  const page = await joined(toHtml(asStream({ ...result, asked: 'By UTC: from the first hit to the last hit.' }), REACH));
  const { elements, errors } = read(page);

  test('is HTML without a mistake, whatever is in it', () => {
    expect(errors).toEqual([]);
    for (const name of ['script', 'img', 'iframe', 'object', 'link'])
      expect(named(elements, name).filter((e) => attribute(e, 'rel') !== 'icon')).toEqual([]);
    expect(elements.flatMap(({ attrs = [] }) => attrs).filter(({ name }) => name.startsWith('on') || name === 'style')).toEqual([]);
    expect(textOf(named(elements, 'h1')[0])).toBe(HOSTILE);
  });

  test('loads nothing from anywhere', () => {
    const addresses = elements
      .flatMap(({ attrs = [] }) => attrs)
      .filter(({ name }) => ['src', 'href', 'action', 'xlink:href'].includes(name));
    expect(addresses.filter(({ value }) => !/^(?:#|data:image)/.test(value))).toEqual([]);
    expect(page).not.toMatch(/@import|url\(["']?http/);
  });

  test('has a table whose headers are headers', () => {
    const headers = named(elements, 'th');
    expect(headers.map((header) => [textOf(header), attribute(header, 'scope')])).toEqual([
      [HOSTILE.replaceAll('_', ' '), 'col'],
      ['human hits', 'col'],
      ['at', 'col'],
    ]);
    expect(named(elements, 'td').map(textOf)).toEqual([HOSTILE, '12,345', '2030-05-01 08:00 UTC', 'two', '–', '–']);
    expect(attribute(named(elements, 'time')[0], 'datetime')).toBe('2030-05-01T08:00:00Z');
  });

  test('has a chart with a name, for wide and narrow screens', () => {
    const charts = named(elements, 'svg');
    expect(charts).toHaveLength(2);
    for (const chart of charts) {
      expect(attribute(chart, 'role')).toBe('img');
      expect(attribute(chart, 'aria-label')).toContain(HOSTILE);
      expect(textOf(chart.childNodes?.find(({ nodeName }) => nodeName === 'title'))).toContain(HOSTILE);
    }
  });

  test('says which parameters it was made with, and how far the data reach', () => {
    expect(named(elements, 'dd').map(textOf)).toEqual([HOSTILE]);
    expect(named(elements, 'p').map(textOf)).toContain('By UTC: from the first hit to the last hit.');
    expect(named(elements, 'p').map(textOf)).toContain(
      'Counted until 2030-05-01 12:00 UTC; 2 holes (10 bytes of the logs) are not counted yet, so these numbers will grow.',
    );
  });
});

test('without rows it says so, and draws nothing', async () => {
  const page = await joined(toHtml(asStream(createResult(['a', 'b'], [], { kind: 'bar', x: ['a'], y: ['b'] })), undefined));
  expect(page).toContain('There are no rows yet.');
  expect(page).not.toContain('<svg');
});

test('of many rows the table has all, the chart the first, and that is said', async () => {
  const rows = Array.from({ length: 25_000 }, (_, i) => [`row ${i}`, i]);
  const page = await joined(toHtml(asStream(createResult(['a', 'b'], rows, { kind: 'bar', x: ['a'], y: ['b'] })), undefined));
  expect(page.split('<tr>')).toHaveLength(25_000 + 2);
  expect(page).toContain('The chart shows the first 10,000 rows.');
  expect(read(page).errors).toEqual([]);
});
