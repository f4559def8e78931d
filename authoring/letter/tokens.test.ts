import { decodeHTML, decodeHTMLAttribute } from 'entities';
import fc from 'fast-check';
import { ErrorCodes, Tokenizer, TokenizerMode } from 'parse5';
import { describe, expect, test } from 'vitest';
import { expectLinear } from '../../test/support/linear.ts';
import { runs } from '../../test/support/runs.ts';
import { type Attribute, type Token, tokenize } from './tokens.ts';

// The model is the tokenizer of parse5. After a start tag, it is set to the state that the HTML standard defines for the content of the
// element.
const MODES: Readonly<Record<string, Tokenizer['state']>> = {
  style: TokenizerMode.RAWTEXT,
  xmp: TokenizerMode.RAWTEXT,
  iframe: TokenizerMode.RAWTEXT,
  noembed: TokenizerMode.RAWTEXT,
  noframes: TokenizerMode.RAWTEXT,
  title: TokenizerMode.RCDATA,
  textarea: TokenizerMode.RCDATA,
  script: TokenizerMode.SCRIPT_DATA,
  plaintext: TokenizerMode.PLAINTEXT,
};

interface Seen {
  kind: 'start' | 'end' | 'comment' | 'bogus' | 'unclosed';
  from: number;
  to: number;
  name?: string;
  /**
   * For each attribute name, the value of its first occurrence, and the position after this value and its closing quote. The position is 0
   * if the value is empty.
   */
  attributes?: { name: string; value: string; end: number }[];
}

/** A tokenizer that exposes the start of a token that has no end. */
class OpenEnded extends Tokenizer {
  get openFrom(): number | undefined {
    return this.currentToken?.location?.startOffset;
  }
}

function modelOf(html: string): { seen: Seen[]; text: string } {
  const seen: Seen[] = [];
  let text = '';
  let commentIsOpen = false;
  const read = ({ chars }: { chars: string }) => {
    text += chars;
  };
  const skipped = ({ location }: { location: { startOffset: number; endOffset: number } | null }): void => {
    const from = location?.startOffset ?? -1;
    const to = location?.endOffset ?? -1;
    const isComment = html.startsWith('<!--', from);
    // If a comment has no end, parse5 emits it as a complete comment at the end of the letter.
    if (isComment ? commentIsOpen : html.indexOf('>', from) < 0) seen.push({ kind: 'unclosed', from, to: html.length });
    else seen.push({ kind: isComment ? 'comment' : 'bogus', from, to });
  };
  const tokenizer = new OpenEnded(
    { sourceCodeLocationInfo: true },
    {
      onStartTag({ tagName, attrs, location }) {
        tokenizer.state = MODES[tagName] ?? TokenizerMode.DATA;
        seen.push({
          kind: 'start',
          from: location?.startOffset ?? -1,
          to: location?.endOffset ?? -1,
          name: tagName,
          attributes: attrs.map(({ name, value }) => ({ name, value, end: value === '' ? 0 : (location?.attrs?.[name]?.endOffset ?? -1) })),
        });
      },
      onEndTag({ tagName, location }) {
        seen.push({ kind: 'end', from: location?.startOffset ?? -1, to: location?.endOffset ?? -1, name: tagName });
      },
      onComment: skipped,
      onDoctype: skipped,
      onCharacter: read,
      onWhitespaceCharacter: read,
      onNullCharacter: read,
      onEof() {},
      onParseError({ code }) {
        if (code === ErrorCodes.eofInComment) commentIsOpen = true;
        if (code === ErrorCodes.eofInTag) seen.push({ kind: 'unclosed', from: tokenizer.openFrom ?? -1, to: html.length });
      },
    },
  );
  tokenizer.write(html, true);
  return { seen, text };
}

const normalize = (text: string): string => text.replace(/\r\n?/g, '\n');

function seenBy(html: string, tokens: readonly Token[]): { seen: Seen[]; text: string } {
  const seen: Seen[] = [];
  let text = '';
  let element = '';
  for (const token of tokens) {
    const { from, to } = token;
    const spelled = html.slice(from, to);
    switch (token.kind) {
      case 'start':
        element = token.name;
        seen.push({ kind: 'start', from, to, name: token.name, attributes: firstOfEach(html, token.attributes) });
        break;
      case 'end':
        seen.push({ kind: 'end', from, to, name: token.name });
        break;
      case 'text':
        text += decodeHTML(normalize(spelled));
        break;
      case 'raw':
        text += element === 'title' || element === 'textarea' ? decodeHTML(normalize(spelled)) : normalize(spelled);
        break;
      case 'comment':
        expect(html.slice(from, token.bodyFrom)).toBe('<!--');
        expect(html.slice(token.bodyTo, to)).toMatch(/^(?:-?|--!?)>$/);
        seen.push({ kind: 'comment', from, to });
        break;
      case 'bogus':
        // The HTML standard emits no token for `</>`.
        if (spelled !== '</>') seen.push({ kind: 'bogus', from, to });
        break;
      case 'unclosed':
        seen.push({ kind: 'unclosed', from, to });
        break;
    }
  }
  return { seen, text };
}

function firstOfEach(html: string, attributes: readonly Attribute[]): NonNullable<Seen['attributes']> {
  return attributes
    .filter(({ name }, i) => attributes.findIndex((other) => other.name === name) === i)
    .map(({ name, from, to, quote }) => ({
      name,
      value: decodeHTMLAttribute(normalize(html.slice(from, to))),
      end: to === from ? 0 : to + quote.length,
    }));
}

const oneOf = (list: string, separator = ' ') => fc.constantFrom(...list.split(separator));
const space = fc.constantFrom('', ' ', '\n', '\t', '\f', '\r\n', '\r', '/', ' / ');
const name = oneOf(
  'a A div DIV v:rect img body script ScRiPt style STYLE title textarea xmp iframe noembed noframes noscript plaintext a<b a"b scripts é aé',
);
const value = fc
  .array(fc.oneof(oneOf('a &amp; &copy=1 &copy &#x41 &#65; = / <b> --> é 😀 ?'), fc.constantFrom(' ', '\r\n', '\t')), { maxLength: 4 })
  .map((parts) => parts.join(''));
const attribute = fc
  .tuple(
    space,
    oneOf(`href HREF a A = =a a"b ' a<b é -`),
    space,
    fc.oneof(
      fc.constant(''),
      fc.tuple(space, value).map(([gap, text]) => `=${gap}${text}`),
      fc.tuple(space, value, fc.constantFrom('"', "'", '>')).map(([gap, text, quote]) => `=${gap}${quote}${text}${quote}`),
    ),
  )
  .map((parts) => parts.join(''));
const tag = fc
  .tuple(
    fc.constantFrom('<', '<', '</', '< ', '</ '),
    name,
    fc.array(attribute, { maxLength: 4 }),
    space,
    fc.constantFrom('>', '>', '>', '/>', ''),
  )
  .map(([open, named, attributes, gap, close]) => `${open}${named}${attributes.join('')}${gap}${close}`);
const remark = fc.oneof(
  oneOf('<!-->,<!--->,<!---->,<!--a--!>,<!--a-->,<!-- a -- b -->,<!----!>,<!---!>,<!--a,<!--<!--a-->,--!>,-->', ','),
  oneOf('<!x>,<!,<?php ?>,<?,</ x>,</>,<!doctype html>,<!DOCTYPE a "b>">,<![CDATA[a>b]]>,<![endif]-->,<!->,</', ','),
);
// Random lexemes produce markup that the other generators do not produce.
const lexemes = fc
  .array(
    fc.oneof(
      oneOf(`< > / ! - -- = " ' ? [ ] & &amp; ; a é 😀 script style title <script </script <!-- --> </style </title> <textarea>`),
      fc.constantFrom(' ', '\n', '\r', '\t', '\f', '\v', '\u00a0', '<a '),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));
const element = fc
  .tuple(oneOf('script style title textarea xmp noframes SCRIPT'), fc.array(fc.oneof(lexemes, remark, tag), { maxLength: 5 }))
  .map(([named, content]) => `<${named}>${content.join('')}</${named}>`);
const script = fc
  .array(oneOf('<!--,-->,<script,</script,>, ,/,-,<,!,a,<script>,</script>,--!>,<!-->', ','), { maxLength: 16 })
  .map((parts) => `<script>${parts.join('')}`);
const whole = fc.array(fc.oneof(tag, remark, lexemes, element, script), { maxLength: 10 }).map((parts) => parts.join(''));
// The letter may end at any position.
const html = fc.oneof(
  whole,
  fc.tuple(whole, fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1)).replace(/[\ud800-\udbff]$/, '')),
);

describe('tokens against the tokenizer of parse5', () => {
  test('tags, attributes, comments and text are those of the HTML standard', () => {
    fc.assert(
      fc.property(html, (text) => {
        expect(seenBy(text, [...tokenize(text)])).toEqual(modelOf(text));
      }),
      runs(5000),
    );
  });

  test('only ASCII letters of names are folded', () => {
    for (const text of ['<lin\u212a>', '<a data-no-trac\u212a>', '<a h\u0130>', '</\u212a>', '</a\u212a>', '<\u017fcript><a>'])
      expect(seenBy(text, [...tokenize(text)])).toEqual(modelOf(text));
  });

  test('a NUL ends nothing', () => {
    const [token] = tokenize('<a\0b href="x\0y" c\0d>');
    expect(token).toMatchObject({ kind: 'start', from: 0, to: 20, attributes: [{ name: 'href', from: 11, to: 14 }, {}] });
  });
});

describe('tokens', () => {
  test('cover the letter without gap or overlap', () => {
    fc.assert(
      fc.property(html, (text) => {
        let at = 0;
        for (const { from, to } of tokenize(text)) {
          expect(from).toBe(at);
          expect(to).toBeGreaterThan(from);
          at = to;
        }
        expect(at).toBe(text.length);
      }),
      runs(2000),
    );
  });

  test('of the inside of a comment are what they would be alone', () => {
    fc.assert(
      fc.property(html, html, (before, inside) => {
        const from = before.length;
        const shifted = [...tokenize(inside)].map((token) =>
          JSON.parse(JSON.stringify(token), (key, at: unknown) => (isPosition(key, at) ? at + from : at)),
        );
        expect([...tokenize(`${before}${inside}--><p>`, from, from + inside.length)]).toEqual(shifted);
      }),
      runs(2000),
    );
  });

  const marks = '<,</,<!,<?,<a ,<a ",<a b=",<a b=\'>,<a/,<a b=,<a b="">,</a ,<!--,<!-->,<!--->,--,-->,<![CDATA['.split(',');
  const raw =
    '<style>,<style></styl,<style></style>,<style></style ,<script>,<script><!--,<script><!--<script>,<script></script>,<plaintext>';
  test.each([...marks, ...raw.split(',')])('four times as many of %j take about four times as long', (text) => {
    expectLinear(
      25_000,
      (times) => text.repeat(times),
      (html) => {
        for (const _ of tokenize(html));
      },
    );
  });
});

const isPosition = (key: string, at: unknown): at is number => typeof at === 'number' && /^(?:from|to|bodyFrom|bodyTo)$/.test(key);
