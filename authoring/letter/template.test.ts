import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { encode, type Encoding } from './encoding.ts';
import { scanHtml } from './html-links.ts';
import { scanText } from './text-links.ts';
import { isPrepared, type LetterPlan, type PixelPlace, planLetter } from './plan.ts';
import { escapeHtml } from '../../core/escape-html.ts';
import { pixelTag } from './inserted-tags.ts';
import { compileLine, compileTemplate, fillTemplate, type Filling } from './template.ts';

const oneOf = (list: string, separator = ' ') => fc.constantFrom(...list.split(separator));

const BASE = 'https://t.example.org';
const PIXEL = `${BASE}/r/P`;
type Kind = LetterPlan['kind'];

const plan = (bytes: Uint8Array, kind: Kind, pixel: PixelPlace = 'none'): LetterPlan =>
  planLetter(bytes, kind, { baseUrls: [BASE], exclude: ['kept.example'], trackUnsubscribe: false, utm: {}, pixel });

const filling = (overrides: Partial<Filling> = {}): Filling => ({
  links: undefined,
  pixel: undefined,
  column: (name) => `<${name}>`,
  ...overrides,
});

function rewritten(it: LetterPlan, pixel: string | undefined): Buffer {
  return fillTemplate(compileTemplate(it, undefined), filling({ links: it.tracked.map((_, i) => `${BASE}/u/L${i}`), pixel }));
}

// The tests use only characters that are one byte in windows-1252. The euro sign, which latin1 does not have, is the byte 0x80.
const bytesOf = (text: string, encoding: Encoding): Buffer =>
  encoding === 'utf-8' ? Buffer.from(text) : Buffer.from(text.replaceAll('€', '\u0080'), 'latin1');

/** Finds the inserted URLs and the pixel in a rewritten letter, and restores the original bytes. */
function undo(bytes: Buffer, spellings: readonly Buffer[], pixel: string | undefined): Buffer {
  let remaining = bytes;
  if (pixel !== undefined) {
    const at = remaining.indexOf(pixel);
    remaining = Buffer.concat([remaining.subarray(0, at), remaining.subarray(at + pixel.length)]);
    expect(at).toBeGreaterThanOrEqual(0);
  }
  const pieces: Buffer[] = [];
  for (const [i, spelling] of spellings.entries()) {
    const insertedUrl = `${BASE}/u/L${i}`;
    const at = remaining.indexOf(insertedUrl);
    expect(at).toBeGreaterThanOrEqual(0);
    pieces.push(remaining.subarray(0, at), spelling);
    remaining = remaining.subarray(at + insertedUrl.length);
  }
  return Buffer.concat([...pieces, remaining]);
}

const address = oneOf(
  'https://e.org/ https://e.org/?a=1&amp;b=2 HTTP://E.org/x&#47;y https://e.org/{{name}} https://kept.example/ mailto:a@e.org #top /x http://é.example/€ ' +
    'https://e.org/unsubscribe {{link}} https://e.org/(a) https://e.org/?a&#123;{b https://e.org',
);
const nasty = fc.oneof(
  oneOf(
    '<!--|-->|<!-->|<|>|"|\'|</a>|</a|<p>|<td>|é€ü|text|Unsubscribe |<!--[if mso]>|<![endif]-->|<![if !mso]>|<?x|</|&amp;|{{|}}|{{name}}|=|<a |href=',
    '|',
  ),
  oneOf('<!doctype html>|<html>|<html amp4email>|<head>|</head>|<body>|</body>|</html>|<BODY class="x">|<img src=x>|<title>|</title>', '|'),
  oneOf(
    '<style>|</style>|<script>|</script>|<textarea>|</textarea>|<plaintext>|<v:rect href="|<base href="https://e.org/a/">|<noscript>',
    '|',
  ),
  fc.constantFrom('\n', '\r\n', ' ', '\t', '\f', '\0'),
);
const htmlLink = fc
  .tuple(
    oneOf('a a A area v:roundrect'),
    oneOf(`" ' |`),
    oneOf('|\n', '|'),
    address,
    oneOf('>here</a>|>Shop</v:roundrect>| data-no-track>x</a>|/>|', '|'),
  )
  .map(([element, quote, gap, spelled, end]) =>
    quote === '|' ? `<${element} href=${spelled} ${end}` : `<${element} class=x href=${quote}${gap}${spelled}${gap}${quote}${end}`,
  );
const html = fc.array(fc.oneof(nasty, htmlLink), { maxLength: 16 }).map((parts) => parts.join(''));
const text = fc
  .array(fc.oneof(address, nasty, oneOf('. , ( ) [ ] *| |* %% ? ! …'), fc.constantFrom(' ', '\n', '\r\n', 'https://')), { maxLength: 20 })
  .map((parts) => parts.join('').replaceAll('…', '...'));
const encoding = fc.constantFrom<Encoding>('utf-8', 'windows-1252');
const letter = fc.oneof(
  fc.record({ kind: fc.constant<Kind>('html'), content: html, encoding }),
  fc.record({ kind: fc.constant<Kind>('text'), content: text, encoding }),
);

describe('a letter with our links and pixel', () => {
  test('is the letter again when these are undone, and is known to be prepared', () => {
    fc.assert(
      fc.property(
        letter,
        fc.constantFrom<PixelPlace>('top', 'bottom', 'none'),
        fc.boolean(),
        ({ kind, content, encoding: written }, place, bom) => {
          const original = Buffer.concat([Buffer.from(bom && written === 'utf-8' ? '\ufeff' : ''), bytesOf(content, written)]);
          const first = plan(original, kind, place);
          expect(fillTemplate(compileTemplate(first, undefined), filling())).toEqual(original);

          const result = rewritten(first, PIXEL);
          const spellings = first.tracked.map(({ from, to }) => bytesOf(first.text.slice(from, to), first.encoding));
          expect(undo(result, spellings, first.pixelAt === undefined ? undefined : pixelTag(PIXEL, first.amp))).toEqual(original);

          const second = plan(result, kind, place);
          expect(isPrepared([second])).toBe(first.tracked.length > 0 || first.pixelAt !== undefined);
          expect(rewritten(second, PIXEL)).toEqual(result);
        },
      ),
      runs(3000),
    );
  });

  test('has the pixel where clients show it', () => {
    const pixel = pixelTag(PIXEL, false);
    const place = (content: string, where: PixelPlace): string =>
      rewritten(plan(Buffer.from(content), 'html', where), PIXEL)
        .toString()
        .replace(pixel, '|');
    expect(place('<html><head></head><body class=x>a</body></html>', 'bottom')).toBe('<html><head></head><body class=x>a|</body></html>');
    expect(place('<html><head></head><body class=x>a</body></html>', 'top')).toBe('<html><head></head><body class=x>|a</body></html>');
    expect(place('<html>a</html>', 'bottom')).toBe('<html>a|</html>');
    expect(place('<p>a', 'bottom')).toBe('<p>a|');
    expect(place('\ufeff<p>a', 'top')).toBe('\ufeff|<p>a');
    expect(place('<!doctype html><p>a', 'top')).toBe('<!doctype html>|<p>a');
    expect(place('a</body> b <!-- </body> --></body>', 'bottom')).toBe('a</body> b <!-- </body> -->|</body>');
    expect(place('a<!-- b', 'bottom')).toBe('a|<!-- b');
    expect(place('a<style>b', 'bottom')).toBe('a|<style>b');
    expect(place('a<textarea>', 'bottom')).toBe('a|<textarea>');
    // A pixel after `</` would be part of a comment.
    expect(place('a</', 'bottom')).toBe('a|</');
    expect(place('<html amp4email>a', 'bottom')).toContain('<amp-img ');
    expect(place('a', 'none')).toBe('a');
    expect(rewritten(plan(Buffer.from('a'), 'text', 'bottom'), PIXEL).toString()).toBe('a');
  });

  test('has each address in the place of the one that was there', () => {
    const content = `<a href='https://e.org/a'>x</a><a href=https://e.org/b>x</a><a href="&#104;ttps://e.org/c">x</a>`;
    const expected = `<a href='${BASE}/u/L0'>x</a><a href=${BASE}/u/L1>x</a><a href="${BASE}/u/L2">x</a>`;
    expect(rewritten(plan(Buffer.from(content), 'html'), undefined).toString()).toBe(expected);
  });
});

describe('columns', () => {
  const fill = (content: Buffer | string, kind: Kind, values: Readonly<Record<string, string>>): Buffer =>
    fillTemplate(
      compileTemplate(plan(Buffer.from(content), kind), Object.keys(values)),
      filling({ column: (name) => values[name] ?? '?' }),
    );

  test('are filled in, escaped in HTML and as they are in a text', () => {
    const value = { name: `<b>"A" & 'B'</b> {{name}} $& é`, 'first name': 'Z' };
    expect(fill('{{name}} {{ first name }}{{\nname\t}}!', 'text', value).toString()).toBe(`${value.name} Z${value.name}!`);
    const escaped = '&lt;b&gt;&quot;A&quot; &amp; &#39;B&#39;&lt;/b&gt; {{name}} $&amp; é';
    expect(fill('<p title="{{name}}">ü {{name}}', 'html', value).toString()).toBe(`<p title="${escaped}">ü ${escaped}`);
    // A letter with only ASCII characters may declare any encoding, so other characters become references.
    expect(fill('<p>{{name}}', 'html', value).toString()).toBe(`<p>${escaped.replace('é', '&#233;')}`);
    expect(fill('<a href="https://e.org/?n={{first name}}">', 'html', value).toString()).toBe('<a href="https://e.org/?n=Z">');
  });

  test('are named once each, and other braces stay', () => {
    const it = plan(Buffer.from('{{a}} {b} {{}} {{{a}}} {{a}}'), 'text');
    const template = compileTemplate(it, ['a']);
    expect(template.columns).toEqual(['a']);
    expect(fillTemplate(template, filling()).toString()).toBe('<a> {b} {{}} <a> <a>');
  });

  test('that do not exist are an error that names those that do', () => {
    const message = expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(/\{\{nme\}\}.*\bname, e-mail$/) });
    expect(() => compileTemplate(plan(Buffer.from('Hello {{ nme }}'), 'text'), ['name', 'e-mail'])).toThrow(message);
    expect(() => compileLine('Hello {{ nme }}', ['name', 'e-mail'])).toThrow(message);
    expect(() => compileTemplate(plan(Buffer.from('<style>{{ nme }}</style>'), 'html'), ['name', 'e-mail'])).toThrow(message);
  });

  test('are the letter itself where there are none to fill in', () => {
    const content = Buffer.from('Hello {{ nme }}');
    expect(fillTemplate(compileTemplate(plan(content, 'text'), undefined), filling())).toEqual(content);
  });

  test('go into a Latin-1 letter as far as it has the characters', () => {
    const value = { name: 'Žofía €я😀' };
    const latin1 = (content: string): Buffer => Buffer.from(content, 'latin1');
    const inHtml = fill(latin1('<p>\u00e4{{name}}'), 'html', value);
    expect(inHtml).toEqual(latin1('<p>\u00e4\u008eof\u00eda \u0080&#1103;&#128512;'));
    expect(fill(latin1('\u00e4{{name}}'), 'text', value)).toEqual(latin1('\u00e4\u008eof\u00eda \u0080??'));
  });

  test('in an address are encoded for their place', () => {
    const values = { email: 'ann+1@x.example', name: 'A & B/ü?', url: 'https://shop.example/?a=1&b=2', phone: '+49 30' };
    const filled = (content: string, kind: Kind = 'html') => fill(content, kind, values).toString();
    const encodedEmail = 'ann%2B1%40x.example';
    const encodedName = 'A%20%26%20B%2F%C3%BC%3F';
    expect(filled('<a href="https://e.org/?e={{email}}">{{email}}</a>')).toBe(
      `<a href="https://e.org/?e=${encodedEmail}">ann+1@x.example</a>`,
    );
    expect(filled('<a href="/{{name}}/x?n={{ name }}#{{name}}">')).toBe(`<a href="/${encodedName}/x?n=${encodedName}#${encodedName}">`);
    expect(filled(`<img src='https://e.org/{{name}}.png' alt="{{email}}">`)).toBe(
      `<img src='https://e.org/${encodedName}.png' alt="ann+1@x.example">`,
    );
    expect(filled('<form action=https://e.org/?{{email}}>')).toBe(`<form action=https://e.org/?${encodedEmail}>`);
    expect(filled('<v:rect href="https://e.org/?e={{email}}">')).toContain(`?e=${encodedEmail}"`);
    // A value that is the whole address is not percent-encoded, because it is an address itself.
    expect(filled('<a href="{{url}}">')).toBe('<a href="https://shop.example/?a=1&amp;b=2">');
    expect(filled('<a href="{{url}}&n={{name}}">')).toBe(`<a href="https://shop.example/?a=1&amp;b=2&n=${encodedName}">`);
    expect(filled('<a href="mailto:{{email}}?subject={{name}}">')).toBe(`<a href="mailto:ann+1@x.example?subject=${encodedName}">`);
    expect(filled('<a href="tel:{{phone}}">')).toBe('<a href="tel:+49%2030">');
    expect(filled('See https://e.org/?e={{email}}&n={{name}}, {{name}}', 'text')).toBe(
      `See https://e.org/?e=${encodedEmail}&n=${encodedName}, A & B/ü?`,
    );
    expect(fill('<a href="https://e.org/?n={{name}}">', 'html', { name: 'a\ud800' }).toString()).toBe(
      '<a href="https://e.org/?n=a%EF%BF%BD">',
    );
  });

  test('in the query or path of an address arrive as the value that they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), oneOf('html text'), fc.boolean(), (value, kind, inPath) => {
        const address = inPath ? 'https://e.org/x-{{v}}' : 'https://e.org/?a=b&v={{v}}&c=d';
        const content = kind === 'html' ? `<a href="${address}">x</a>` : `Read ${address} now`;
        const filled = fill(content, kind as Kind, { v: value }).toString();
        const link = kind === 'html' ? scanHtml(filled).links[0] : scanText(filled)[0];
        const url = new URL(link?.address ?? '');
        expect(inPath ? decodeURIComponent(url.pathname.slice(3)) : url.searchParams.get('v')).toBe(value.toWellFormed());
      }),
      runs(500),
    );
  });

  test('have the default that the letter gives where they are empty', () => {
    const filled = (content: string, name: string) => fill(content, 'text', { name, 'a|b': 'bar' }).toString();
    for (const spelled of [
      '{{name|there}}',
      '{{ name | there }}',
      '{{{name|there}}}',
      '{{ name | default: "there" }}',
      "{{name|default:'there'}}",
    ]) {
      expect(filled(`Hello ${spelled}!`, 'Ann')).toBe('Hello Ann!');
      expect(filled(`Hello ${spelled}!`, '')).toBe('Hello there!');
      expect(filled(`Hello ${spelled}!`, ' ')).toBe('Hello there!');
    }
    expect(filled('{{name|}}', '')).toBe('');
    expect(filled('{{a|b}}', '')).toBe('bar');
    expect(filled('https://e.org/?n={{name|dear reader}}', '')).toBe('https://e.org/?n=dear%20reader');
    expect(() => fill('{{nme|there}}', 'text', { name: '' })).toThrow('{{nme}}');
    expect(compileLine('Hello {{name|there}}', ['name'])(() => '')).toBe('Hello there');
  });

  test('in an address of a header are encoded, and elsewhere not', () => {
    const line = compileLine('<mailto:off@e.org?subject={{email}}>, <https://e.org/?e={{email}}> {{email}}', ['email']);
    expect(line(() => 'ann+1@x.example')).toBe(
      '<mailto:off@e.org?subject=ann%2B1%40x.example>, <https://e.org/?e=ann%2B1%40x.example> ann+1@x.example',
    );
    expect(compileLine('See https://e.org/{{a}}.', ['a'])(() => 'x y')).toBe('See https://e.org/x%20y.');
  });

  test.each(['windows-1251', 'iso-8859-2', 'shift_jis', 'gb18030', 'iso-2022-jp', 'koi8-r', 'big5', 'euc-kr'])(
    'go into a letter in %s in its encoding, as references where it lacks a character, and the other bytes stay',
    (charset) => {
      const own = {
        'windows-1251': 'Жя',
        'iso-8859-2': 'Żó',
        shift_jis: 'ソ表',
        gb18030: '打折',
        'iso-2022-jp': '割引',
        'koi8-r': 'Жя',
        big5: '折扣',
        'euc-kr': '할인',
      }[charset] as string;
      const missing = charset === 'gb18030' ? '' : '😀';
      const content = (value: string, link: string) =>
        encode(`<p>${own}{{x}}${own} ${value} <a href="${link}">${own}</a>`.replace('{{x}}', ''), charset);
      const it = planLetter(content('{{name}}', `https://e.org/${own}`), 'html', {
        baseUrls: [BASE],
        exclude: [],
        trackUnsubscribe: false,
        utm: {},
        pixel: 'none',
        charset,
      });
      expect(it.tracked.map(({ target }) => target)).toEqual([`https://e.org/${own}`]);
      const filled = fillTemplate(compileTemplate(it, ['name']), filling({ links: [`${BASE}/u/L0`], column: () => own + missing }));
      expect(filled).toEqual(content(own + (missing && '&#128512;'), `${BASE}/u/L0`));
    },
  );

  test('of a line are filled in as they are', () => {
    expect(compileLine('Hello {{ name }}, {{name}}', ['name'])((name) => `$& <${name}>`)).toBe('Hello $& <name>, $& <name>');
  });

  test('leave everything else as it was, whatever the letter', () => {
    const piece = fc.oneof(
      nasty.filter((it) => !/[{}]/.test(it)),
      htmlLink.filter((it) => !/[{}]/.test(it)),
      fc.constant(undefined),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), oneOf('html text'), encoding, (pieces, kind, written) => {
        const of = (put: string) => bytesOf(`é€${pieces.map((it) => it ?? put).join('')}`, written);
        const it = plan(of('{{a}}'), kind as Kind);
        // This value is encoded in the same way in every place of a letter.
        const filled = fillTemplate(compileTemplate(it, ['a', 'b']), filling({ column: () => 'Aa1' }));
        expect(filled).toEqual(of('Aa1'));
      }),
      runs(1000),
    );
  });
});

test('escaped text is that text for an HTML parser, in any place', () => {
  expect(escapeHtml(`<&>"'`)).toBe('&lt;&amp;&gt;&quot;&#39;');
});
