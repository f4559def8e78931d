import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escapeHtml } from '../../core/escape-html.ts';
import { runs } from '../../test/support/runs.ts';
import { planLetter, type PlanOptions } from '../letter/plan.ts';
import { compileTemplate, fillTemplate } from '../letter/template.ts';
import { deriveText } from './derive-text.ts';

const OPTIONS: PlanOptions = {
  baseUrls: ['https://t.example.org'],
  exclude: ['partner.example'],
  trackUnsubscribe: false,
  utm: {},
  pixel: 'bottom',
};

async function derive(html: string, options: Partial<PlanOptions> = {}) {
  const plan = planLetter(Buffer.from(html), 'html', { ...OPTIONS, charset: 'utf-8', ...options });
  return { html: plan, text: await deriveText(plan) };
}
const textOf = async (html: string): Promise<string> => (await derive(html)).text.text.trimEnd();

describe('the text shows', () => {
  test.each([
    ['<h1>News {{name}}</h1><p>One</p><p>two<br>three</p>', 'News {{name}}\n\nOne\n\ntwo\nthree'],
    ['<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>', ' * a\n * b\n   1. c'],
    ['<p>x <img src="a.png" alt="A &amp; b"> y <img src="p.gif" width="1" height="1" alt="pixel"><img src="q.png"></p>', 'x A & b y'],
    ['<table><tr><td><p>left</p></td><td>right</td></tr><tr><td>below</td></tr></table>', 'left\n\nright\nbelow'],
    ['<table><tr><th>Item</th><th>Price</th></tr><tr><td>Tea</td><td>4 €</td></tr></table>', 'Item | Price\nTea | 4 €'],
    ['<title>no</title><style>no</style><div style="display:none">no<p>no</p></div><p hidden>no</p><b>yes</b>', 'yes'],
    ['<div style="mso-hide:all; max-height:0px; overflow:hidden"><a href="https://shop.example/hidden">no</a></div>yes', 'yes'],
    ['<div style="font-size:0px">gap<div style="font-size:13px">shown</div></div><p style="font-size:0">no <b>no</b></p>', 'gap\nshown'],
    ['<a href="https://shop.example/a?b=1&amp;c=2">Sale</a>', 'Sale (https://shop.example/a?b=1&c=2)'],
    [
      '<a href="https://shop.example/">shop.example</a> <a href="mailto:us@shop.example">us@shop.example</a>',
      'https://shop.example/ us@shop.example',
    ],
    [
      '<a href="https://shop.example/a"><img src="a.png" alt="Sale"></a> <a href="https://shop.example/b"><img src="b.png"></a>',
      'Sale (https://shop.example/a) https://shop.example/b',
    ],
    [
      '<a href="#top">Top</a> <a name="x">X</a> <a href="sale.html">Sale</a> <a href="tel:+491">Call</a> <a href="mailto:us@shop.example?subject=x">Us</a> <a href="data:text/html,x">Data</a>',
      'Top X Sale Call (+491) Us (us@shop.example) Data',
    ],
    ['<base href="https://shop.example/x/"><a href="sale.html">Sale</a>', 'Sale (https://shop.example/x/sale.html)'],
    [
      '<a href="{{unsubscribe}}">No more</a> <a href="https://shop.example/?u={{id|0}}">You</a> {{ a | default: "b" }}',
      'No more ({{unsubscribe}}) You (https://shop.example/?u={{id|0}}) {{ a | default: "b" }}',
    ],
    [
      '<!--[if mso]><v:rect href="https://shop.example/v">VML</v:rect><![endif]--><!--[if !mso]><!--><a href="https://shop.example/v">Buy</a><!--<![endif]-->',
      'Buy (https://shop.example/v)',
    ],
    [
      '<a href="https://shop.example/a">a</a><a href="https://shop.example/b">b</a>, see<a href="https://shop.example/c"><img src="c.png"></a>now (<a href="https://shop.example/d">d</a>).',
      'a (https://shop.example/a) b (https://shop.example/b), see https://shop.example/c now (d (https://shop.example/d)).',
    ],
  ])('%s', async (html, text) => {
    expect(await textOf(html)).toBe(text);
  });

  test('no padding that nobody sees, but joiners that change letters', async () => {
    expect(await textOf(`<p>Preview ${'&#847;&zwnj;&nbsp;&#8199;&#65279;&shy;'.repeat(50)}</p><p>Hello&nbsp;Ann</p>`)).toBe(
      'Preview\n\nHello Ann',
    );
    expect(await textOf('<p>می‌خواهم 👩‍💻 a\u200bb</p>')).toBe('می‌خواهم 👩‍💻 ab');
  });
});

test('each link is tracked exactly if it is tracked in the HTML, with the same target', async () => {
  const { html, text } = await derive(
    `<p><a href="https://shop.example/a">a</a> <a data-no-track href="https://shop.example/a">b</a>
<a href="https://partner.example/x">c</a> <a href="https://shop.example/u?1">Unsubscribe</a> <a href="https://t.example.org/u/x">d</a>
To unsubscribe, <a href="https://shop.example/q">click here</a>. <a href="https://shop.example/a b" data-track-label="top">e</a></p>`,
    { utm: { source: 'letter' } },
  );
  expect(text.tracked.map(({ target, label }) => [target, label])).toEqual(html.tracked.map(({ target }) => [target, 'text']));
  expect(text.kept.map(({ reason, address }) => [reason, address])).toEqual(html.kept.map(({ reason, address }) => [reason, address]));
  expect(text.tracked.map(({ from, to }) => text.text.slice(from, to))).toEqual(['https://shop.example/a', 'https://shop.example/a%20b']);
  const fill = (links: string[] | undefined) =>
    fillTemplate(compileTemplate(text, []), { links, pixel: undefined, column: () => '' }).toString();
  expect(fill(['T1', 'T2'])).toContain('a (T1) b (https://shop.example/a)');
  expect(fill(undefined)).toBe(text.text);
});

/** A piece of a letter, with the words and the addresses that its text must have, in order. */
interface Piece {
  html: string;
  shows: string[];
}

const word = fc.stringMatching(/^[a-z]{3,8}$/);
const leaf: fc.Arbitrary<Piece> = fc.oneof(
  word.map((text) => ({ html: ` ${text} `, shows: [text] })),
  word.map((name) => ({ html: ` {{${name}}} `, shows: [`{{${name}}}`] })),
  fc.tuple(word, word, fc.constantFrom('', ' data-no-track')).map(([text, path, noTrack]) => {
    const address = `https://shop.example/${path}?a=1&b=${text}`;
    return { html: ` <a${noTrack} href="${escapeHtml(address)}">${text}</a> `, shows: [text, address] };
  }),
  word.map((text) => ({ html: ` <img src="https://shop.example/i.png" alt="${text}"> `, shows: [text] })),
  word.map((text) => ({ html: `<span style="display: none">${text} <a href="https://shop.example/${text}">x</a></span>`, shows: [] })),
  fc.constant<Piece>({ html: '&zwnj;&nbsp;&#847;&zwnj;&nbsp;', shows: [] }),
);
const tree = fc.letrec<{ piece: Piece }>((tie) => ({
  piece: fc.oneof(
    { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .tuple(
        fc.constantFrom(
          ['<div>', '</div>'],
          ['<p>', '</p>'],
          ['<ul><li>', '</li></ul>'],
          ['<table><tr><td>', '</td></tr></table>'],
          ['<h2>', '</h2>'],
          ['<table><tr><th>', '</th></tr></table>'],
          ['<b>', '</b>'],
          ['<div style="font-size:0px;"><div style="color:red; font-size:13px">', '</div></div>'],
          ['<blockquote>', '</blockquote>'],
        ),
        fc.array(tie('piece'), { maxLength: 4 }),
      )
      .map(([[open, close], pieces]) => ({
        html: open + pieces.map(({ html }) => html).join('') + close,
        shows: pieces.flatMap(({ shows }) => shows),
      })),
  ),
})).piece;

test('all that a letter shows is in the text, in order, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(tree, { maxLength: 5 }), async (pieces) => {
      const { html, text } = await derive(`<html><body>${pieces.map((piece) => piece.html).join('')}</body></html>`);
      // List bullets, quotes and brackets are not words.
      const words = text.text.split(/[\s()|>*]+/).filter((each) => each !== '');
      expect(words).toEqual(pieces.flatMap(({ shows }) => shows));
      expect(text.text).not.toMatch(/\u034f|[\u00ad\u200b-\u200f\u00a0\ufeff]/);
      const isTracked = new Map(html.tracked.map(({ words: shown, address }) => [`${shown} ${address}`, true]));
      for (const { words: shown, address } of text.tracked) expect(isTracked.get(`${shown} ${address}`)).toBe(true);
      for (const { words: shown, address } of text.kept) expect(isTracked.get(`${shown} ${address}`)).toBeUndefined();
      for (const { from, to, address } of [...text.tracked, ...text.kept]) expect(text.text.slice(from, to)).toBe(address);
    }),
    runs(300),
  );
});

test.each(globSync('*.html', { cwd: join(import.meta.dirname, '../../test/letters') }).filter((name) => !name.includes('.expected.')))(
  'the letter %s has a text, whose links have the decisions of the HTML',
  async (name) => {
    const html = planLetter(await readFile(join(import.meta.dirname, '../../test/letters', name)), 'html', OPTIONS);
    const text = await deriveText(html);
    expect(text.text).not.toMatch(/0cllink|0cltag/);
    // A link outside of Outlook's comments is in the text.
    const shown = html.text.replace(/<!--\[if[\s\S]*?<!\[endif\]-->/g, '');
    if (html.tracked.some(({ from, to }) => shown.includes(html.text.slice(from, to)))) expect(text.tracked).not.toHaveLength(0);
    const targets = new Set(html.tracked.map(({ target }) => target));
    for (const { target, from, to } of text.tracked) {
      expect(targets.has(target)).toBe(true);
      expect(text.slice(from, to).toString()).toMatch(/^https?:/i);
    }
    const kept = new Set(html.kept.map(({ address, reason }) => `${reason} ${address}`));
    for (const { address, reason } of text.kept) expect(kept.has(`${reason} ${address}`)).toBe(true);
  },
);
