import fc from 'fast-check';
import { type DefaultTreeAdapterTypes, parse } from 'parse5';
import { describe, expect, test } from 'vitest';
import { planLetter } from '../../authoring/letter/plan.ts';
import { expectLinear } from '../../test/support/linear.ts';
import { annotateHtml, letterDocument, letterPolicy, type Mark } from './letter-frame.ts';

type Node = DefaultTreeAdapterTypes.Node;
type Element = DefaultTreeAdapterTypes.Element;

/** All elements of a document in their order. */
function elementsOf(node: Node): Element[] {
  const children = 'childNodes' in node ? node.childNodes.flatMap(elementsOf) : [];
  return 'tagName' in node ? [node, ...children] : children;
}

const attributeOf = ({ attrs }: Element, name: string): string | undefined => attrs.find((each) => each.name === name)?.value;
const textIn = (node: Node): string => ('value' in node ? node.value : 'childNodes' in node ? node.childNodes.map(textIn).join('') : '');

const markOf = (link: number): Mark => ({ href: `/campaign/1/link/${link}?who=both&zone="'<`, text: `${link} %`, weight: 0.5 });

/** Plans a letter, and numbers its links as they come. */
function annotated(html: string): { before: Element[]; after: Element[]; links: number } {
  const { tracked, text } = planLetter(Buffer.from(html), 'html', {
    baseUrls: ['https://t.example'],
    exclude: [],
    trackUnsubscribe: false,
    utm: {},
    pixel: 'none',
  });
  const places = tracked.map(({ from, to }, i) => [from, to, i] as const);
  const result = annotateHtml(text, places, new Map(tracked.map((_, i) => [i, markOf(i)])));
  return { before: elementsOf(parse(text)), after: elementsOf(parse(result)), links: tracked.length };
}

const anchor = fc
  .record({
    quote: fc.constantFrom('"', "'", ''),
    before: fc.constantFrom('', ' class="x>y"', " title='a > b'", ' target=_blank', ' onclick="alert(1)"'),
    after: fc.constantFrom('', ' style="color:red"', " data-x='>'", ' target="_blank"'),
    path: fc.constantFrom('a', 'b?x=1&amp;y=2', 'c#d'),
    text: fc.constantFrom('Offer', '<b>Offer</b>', '<img src="i.png" alt="Offer">', ''),
    open: fc.constantFrom('<a', '<A', '<a\n'),
  })
  .map(
    ({ quote, before, after, path, text, open }) =>
      `${open}${before} href=${quote}https://shop.example/${path}${quote}${after}>${text}</a>`,
  );
const letter = fc
  .array(
    fc.oneof(
      anchor,
      fc.constantFrom('<p>Text ', '</p>', '<table><tr><td>', '</td></tr></table>', '<!-- <a href="x"> -->', '&lt;a href', 'ü '),
    ),
    {
      maxLength: 12,
    },
  )
  .map((pieces) => `<html><body>${pieces.join('')}</body></html>`);

test('each tracked link leads into the desk, has a badge, and nothing else of the letter changes', () => {
  const stays = fc.property(letter, (html) => {
    const { before, after, links } = annotated(html);
    const badges = after.filter((element) => element.tagName === 'span' && textIn(element).endsWith(' %'));
    expect(badges).toHaveLength(links);
    expect(after.filter((element) => !badges.includes(element)).map(({ tagName }) => tagName)).toEqual(
      before.map(({ tagName }) => tagName),
    );
    const leading = after.filter((element) => attributeOf(element, 'href')?.startsWith('/campaign/1/link/') === true);
    expect(leading.map((element) => attributeOf(element, 'href'))).toEqual(Array.from({ length: links }, (_, i) => markOf(i).href));
    for (const element of leading) expect(attributeOf(element, 'target')).toBe('_top');
    const wordsOf = (elements: Element[]): string => textIn(elements[0] as Element).replaceAll(/\d+ %/g, '');
    expect(wordsOf(after)).toBe(wordsOf(before));
  });
  fc.assert(stays, { numRuns: 500 });
});

describe('what is no link of an anchor', () => {
  test('gets the address of the desk without a badge', () => {
    const html = '<map><area href="https://shop.example/"></map>';
    const from = html.indexOf('https');
    expect(annotateHtml(html, [[from, from + 21, 1]], new Map([[1, { href: '/x', text: '1 %', weight: 0 }]]))).toBe(
      '<map><area href="/x"></map>',
    );
  });

  test('a place without a mark stays', () => {
    const html = '<a href="https://shop.example/">x</a>';
    expect(annotateHtml(html, [[9, 30, 1]], new Map())).toBe(html);
  });
});

test('images have no address unless they are shown, and the policy refuses all others', () => {
  const stored = {
    letter: '00',
    prepared_at: new Date(),
    html: '<IMG alt="src=x" SRC = "https://i.example/">',
    text: null,
    html_links: [],
    text_links: [],
  };
  expect(letterDocument(stored, 'html', new Map(), false)).toBe('<IMG alt="src=x" data-SRC = "https://i.example/">');
  expect(letterDocument(stored, 'html', new Map(), true)).toBe(stored.html);
  expect(letterPolicy(false)).not.toMatch(/https?:|allow-scripts|allow-same-origin|allow-forms/);
});

test('the text part is text', () => {
  const text = '<b>bold</b> https://shop.example/?a=1&b=2 end';
  const document = letterDocument(
    { letter: '00', prepared_at: new Date(), html: null, text, html_links: [], text_links: [[12, 41, 1]] },
    'text',
    new Map([[1, { href: '/link', text: '9 %', weight: 1 }]]),
    false,
  );
  const elements = elementsOf(parse(document));
  expect(elements.filter(({ tagName }) => tagName === 'b')).toEqual([]);
  expect(textIn(elements.find(({ tagName }) => tagName === 'pre') as Element)).toBe('<b>bold</b> 9 %https://shop.example/?a=1&b=2 end');
});

test.each<[string, (size: number) => string]>([
  ['images that never end', (size) => '<img '.repeat(size)],
  ['anchors that never end', (size) => '<a href="https://shop.example/" x='.repeat(size / 8)],
])('%s take linear time', (_name, make) => {
  expectLinear(4000, make, (html) => {
    const places = Array.from(html.matchAll(/https:\/\/shop\.example\//g), ({ index }) => [index, index + 21, 1] as const);
    letterDocument(
      { letter: '00', prepared_at: new Date(), html, text: null, html_links: places, text_links: [] },
      'html',
      new Map([[1, { href: '/x', text: '1', weight: 0 }]]),
      false,
    );
  });
});
