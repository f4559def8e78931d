import fc from 'fast-check';
import { type DefaultTreeAdapterTypes, parse } from 'parse5';
import { describe, expect, test } from 'vitest';
import { expectLinear } from '../../test/support/linear.ts';
import { runs } from '../../test/support/runs.ts';
import { clientAddress, scanHtml } from './html-links.ts';

const oneOf = (list: string, separator = ' ') => fc.constantFrom(...list.split(separator));

const addressesIn = (html: string): string[] => scanHtml(html).links.map(({ address }) => address);
/** Returns the only link of a letter. */
const linkIn = (html: string) => {
  const { links } = scanHtml(html);
  expect(links).toHaveLength(1);
  return links[0] as (typeof links)[number];
};

// The tests build random letters from links. For each link, the URL and its spelling in HTML are known.
interface Known {
  address: string;
  spelled: string;
}
type Part = string | Known | Part[];

const ADDRESS = oneOf(
  'https://example.org/ http://example.org/?a=1&b=2 https://example.org/?copy=1&copy=2&lt=3#top #top /x?y=z mailto:a@example.org {{link}} ' +
    'https://bücher.example/ü?q="quoted"&r=\'s\' https://example.org/(x)<y>{z}&amp; *|UNSUB|*',
);
const NAMES: Readonly<Record<string, readonly string[]>> = {
  '&': ['&amp;', '&#38;', '&#x26;', '&AMP;'],
  '<': ['<', '&lt;', '&#60;'],
  '>': ['&gt;', '&#x3E;'],
  '"': ['&quot;', '&#34;'],
  "'": ['&#39;', '&apos;', '&#X27;'],
  ü: ['ü', '&uuml;', '&#252;'],
};
/** A URL in one of its possible spellings in HTML. The line breaks and the surrounding spaces are not part of the URL. */
const known = ADDRESS.chain((address) =>
  fc
    .tuple(
      oneOf(',\n, \t', ','),
      fc.tuple(
        ...Array.from(address, (character) =>
          fc.oneof(
            { weight: 9, arbitrary: fc.constantFrom(...(NAMES[character] ?? [character])) },
            { weight: 1, arbitrary: fc.constant(`&#${character.codePointAt(0)};`) },
            { weight: 1, arbitrary: fc.constantFrom(...(NAMES[character] ?? [character])).map((text) => `\n${text}`) },
          ),
        ),
      ),
    )
    .map(([gap, characters]): Known => ({ address, spelled: `${gap}${characters.join('')}${gap}` })),
);
const before = oneOf('|class="x" |title=\'href="https://hidden.example/"\' |data-href=https://hidden.example/ |\n', '|');
const after = oneOf('| target=_blank| href="https://second.example/"|/| style="color:red"', '|');
const quoted = fc.tuple(known, before, oneOf('href HREF Href'), oneOf('=,\n=\t', ','), oneOf(`" '`), after);
const link = oneOf('a A area v:roundrect').chain((element) =>
  fc
    .oneof(
      { weight: 4, arbitrary: quoted },
      // An unquoted value cannot contain spaces.
      {
        weight: 1,
        arbitrary: quoted.map(
          ([{ address, spelled }, b, h, e, , a]) =>
            [{ address, spelled: spelled.replace(/[\s>]/g, '') }, b, h, e, '', a.replace('/', '')] as const,
        ),
      },
    )
    .map(
      ([it, b, h, e, quote, a]): Part => [
        `<${element} ${b}${h}${e}${quote}`,
        it,
        `${quote}${a}>`,
        element === 'area' ? '' : `text</${element}>`,
      ],
    ),
);
const noise = oneOf(
  'text|<!-- <a href="https://hidden.example/">x</a> -->|<style>a[href="https://hidden.example/"]{}</style>|<a name="x">here</a>|<a>b</a>|' +
    '<title><a href="https://hidden.example/">x</a></title>|<link href="https://hidden.example/"><form action="https://hidden.example/"></form>|' +
    '<img src="https://hidden.example/" alt="<a href=\'https://hidden.example/\'>">|<!--><!--->|<br/>|<p|<!doctype html>|< a href="https://hidden.example/">|' +
    '</a href="https://hidden.example/">|<script>"<a href=https://hidden.example/>"</script>|<!--[if mso]>text<![endif]-->|https://hidden.example/',
  '|',
).map((text) => (text === '<p' ? '<p\n>' : text));
const { letter } = fc.letrec<{ letter: Part; part: Part }>((tie) => ({
  letter: fc.array(tie('part'), { maxLength: 6 }),
  part: fc.oneof(
    { maxDepth: 4 },
    link,
    noise,
    oneOf('div P table td span li h1 center noscript svg', ' ').chain((name) =>
      tie('letter').map((inside): Part => [`<${name}>`, inside, `</${name}>`]),
    ),
    tie('letter').map((inside): Part => ['<!--[if !mso]><!-->', inside, '<!--<![endif]-->']),
    tie('letter').map((inside): Part => ['<![if !mso]>', inside, '<![endif]>']),
    // Comments do not nest, so a conditional comment contains no other comment.
    fc
      .tuple(
        oneOf('[if mso],[if gte mso 9],[IF (gte mso 9)|(IE)]', ','),
        fc.array(fc.oneof(link, fc.constantFrom('text', '<td>', '</p>')), { maxLength: 3 }),
      )
      .map(([condition, inside]): Part => [`<!--${condition}>`, inside, '<![endif]-->']),
  ),
}));

function assemble(part: Part): { html: string; expected: { from: number; to: number; address: string }[] } {
  const expected: { from: number; to: number; address: string }[] = [];
  let html = '';
  const put = (piece: Part): void => {
    if (Array.isArray(piece)) piece.forEach(put);
    else if (typeof piece === 'string') html += piece;
    else {
      expected.push({ from: html.length, to: html.length + piece.spelled.length, address: piece.address });
      html += piece.spelled;
    }
  };
  put(part);
  return { html, expected };
}

describe('links of a letter', () => {
  test('are all found, in their order, with their addresses and where these stand', () => {
    fc.assert(
      fc.property(letter, (part) => {
        const { html, expected } = assemble(part);
        expect(scanHtml(html).links.map(({ from, to, address }) => ({ from, to, address }))).toEqual(expected);
      }),
      runs(2000),
    );
  });

  // <table> and <select> are left out, because the parser moves or drops elements in them. The comparison ignores the order of the tree and
  // the elements that the parser copies.
  const markup = fc
    .array(
      fc.oneof(
        oneOf('div p b i span ul li h1 center a area font noscript button form em').chain((name) =>
          oneOf(`<${name}>|</${name}>|<${name} class=x>`, '|'),
        ),
        oneOf(
          '<a href=1>|<a href="2&amp;3">|<A HREF=\' 4 \'>x|<area href=5/>|<a href>|<a href="">|<a href=6 href=7 />|<a\thref\n=\r\n"8\n9">',
          '|',
        ),
        oneOf(
          'text|<!-- <a href=no> -->|<!-->|<style><a href=no></style>|<title><a href=no></title>|<textarea><a href=no></textarea>|<img src=x>',
          '|',
        ),
        oneOf(
          '<html>|<head>|<body>|</body>|</head>|<!doctype html>|<xmp><a href=no></xmp>|<!-- --!>|<script><!--<script></script><a href=no>--></script>|<a href="',
          '|',
        ),
      ),
      { maxLength: 16 },
    )
    .map((parts) => parts.join(''));

  test('are those that a whole parser of HTML finds', () => {
    fc.assert(
      fc.property(markup, (html) => {
        const found = scanHtml(html).links.map(({ from, to, address }) => {
          const quoted = /["']/.test(html.charAt(from - 1)) && html.charAt(to) === html.charAt(from - 1);
          return { to: from === to && !quoted ? 0 : to + Number(quoted), address };
        });
        expect(found).toEqual(parsedLinks(html));
      }),
      runs(2000),
    );
  });

  test.each([
    ['<a href="https://e.org/?a=1&copy=2&reg=3&notin=4">', 'https://e.org/?a=1&copy=2&reg=3&notin=4'],
    ['<a href="https://e.org/?a=1&amp;amp;b=2">', 'https://e.org/?a=1&amp;b=2'],
    ['<a href="https://e.org/&#x1F600;&#0;&#x80;">', 'https://e.org/😀\ufffd€'],
    ['<a href=https://e.org/a/>', 'https://e.org/a/'],
    ['<a href = https://e.org/>', 'https://e.org/'],
    ['<a href="https://e.org/a\r\n  b">', 'https://e.org/a  b'],
    ['<a href="&#10;https://e.org/&#9;a&nbsp;">', 'https://e.org/a\u00a0'],
    ['<a/href="https://e.org/">', 'https://e.org/'],
    ['<a href="https://e.org/"title="x">', 'https://e.org/'],
    ['<a title=">" href="https://e.org/">', 'https://e.org/'],
    ['<a href="">', ''],
    ['<v:rect href="https://e.org/" />', 'https://e.org/'],
  ])('%s leads to %s', (html, address) => {
    expect(addressesIn(html)).toEqual([address]);
  });

  test.each([
    '<a href="https://e.org/"',
    '<a href="https://e.org/>x</a>',
    '<a xlink:href="https://e.org/">x</a>',
    '<!-- [if mso]><a href="https://e.org/">x</a> -->',
    '<!--[if mso]><!-- <a href="https://e.org/">x</a> -->',
    '<link href="https://e.org/">',
    '<abbr href="https://e.org/">',
    '<plaintext><a href="https://e.org/">',
    '<!--[if mso]><style><![endif]--><style><a href="https://e.org/"></style>',
  ])('%s has none', (html) => {
    expect(addressesIn(html)).toEqual([]);
  });

  test('data-no-track and data-track-label belong to the link that has them', () => {
    const { links } = scanHtml('<a href=1 data-no-track>x</a><a href=2 data-track-label="a &amp; b">x</a><a href=3 DATA-NO-TRACK="">x</a>');
    expect(links.map(({ noTrack, label }) => [noTrack, label])).toEqual([
      [true, ''],
      [false, 'a & b'],
      [true, ''],
    ]);
  });
});

describe('words of a link', () => {
  test.each([
    ['<a href=x>Read <b>more</b></a> tail', 'Read more'],
    ['<a href=x>Read\r\n\t  more&nbsp;&raquo;</a>', 'Read more »'],
    ['<a href=x><p>One</p><p>two</p></a>', 'One two'],
    ['<a href=x>One<br>two</a>', 'One two'],
    ['<a href=x><img src=y alt="Our &amp; shop"></a>', 'Our & shop'],
    ['<a href=x title="Unsubscribe">out</a>', 'out Unsubscribe'],
    ['<a href=x aria-label="Close">×</a>', '× Close'],
    ['<area href=x alt="Left half">not this', 'Left half'],
    ['<v:roundrect href=x><center>Buy</center></v:roundrect>not this', 'Buy'],
    ['<a href=x>open', 'open'],
    ['<a href=x>One<a name=y>not this</a>', 'One'],
    ['<a href=x>One<!-- not this --><style>nor this</style></a>', 'One'],
    ['<a href=x>One</b></a>', 'One'],
    ['<a href=x>Af<b>melden</b></a>', 'Afmelden'],
    ['<a href=x>unsub<!-- -->scribe</a>', 'unsubscribe'],
    ['<a href=x></a>', ''],
    ['<a href=x><img src=y></a>', ''],
  ])('%s: %s', (html, words) => {
    expect(linkIn(html).words).toBe(words);
  });
});

describe('the sentence of a link', () => {
  test.each([
    ['<p>To stop these, <a href=x>click here</a> please.</p>', 'To stop these, click here please'],
    ['<p>First. To stop, <a href=x>go</a> now. Last.</p>', 'To stop, go now'],
    ['<p>Enough? <a href=x>Here</a>!</p>', 'Enough? Here'],
    ['<p>Version 2.0 is <a href=x>here</a> at e.org today.</p>', 'Version 2.0 is here at e.org today'],
    ['<td>Other</td><td>This <a href=x>one</a></td><td>Other</td>', 'This one'],
    ['<p>This <span>is <a href=x>one</a></span> sentence</p>', 'This is one sentence'],
    ['<p>It is <a href=x>this<br>one</a>', 'It is this one'],
    ['<p>It &auml;ndert<!-- x -->&nbsp;sich <a href=x>hier</a>', 'It ändert sich hier'],
    ['<p>Words around <a href=x><img src=y></a> an image</p>', ''],
    ['Logo <img src=y alt="of us"> <a href=x>here</a>', 'Logo of us here'],
  ])('%s: %s', (html, context) => {
    expect(linkIn(html).context).toBe(context);
  });
});

describe('what a letter says of itself', () => {
  test('where its parts begin and end', () => {
    const html = '<!doctype html><html lang="de"><head><title></body></title></head><body class="x">text<!-- </body> --></body></html>';
    const { landmarks } = scanHtml(html);
    const afterOf = (text: string) => html.indexOf(text) + text.length;
    expect(landmarks).toEqual({
      afterDoctype: afterOf('html>'),
      afterHtmlStart: afterOf('"de">'),
      afterHead: afterOf('</head>'),
      afterBodyStart: afterOf('"x">'),
      beforeBodyEnd: html.lastIndexOf('</body>'),
      beforeHtmlEnd: html.indexOf('</html>'),
      amp: false,
      images: [],
      addresses: [],
    });
  });

  test('where its addresses are, of whatever element', () => {
    const html =
      '<a href="A1">x</a><img alt=no src=A2><form action=\'A3\'><td background="A4"><v:rect href=A5></v:rect><svg><a xlink:href="A6">';
    expect(scanHtml(html).landmarks.addresses.map(({ from, to }) => html.slice(from, to))).toEqual(['A1', 'A2', 'A3', 'A4', 'A5', 'A6']);
  });

  test.each([
    ['<p>text</p><!-- open', 11],
    ['<p>text</p><a href="', 11],
    ['<p>text</p><style>a{}', 11],
    ['<p>text</p><style>', 11],
    ['<p>text</p><style>a{}</style ', 11],
    ['<p>text</p><plaintext>', 11],
    ['<p>text</p><title>x</title>', undefined],
  ])('%j is shown up to %s', (html, unclosed) => {
    expect(scanHtml(html).landmarks.unclosed).toBe(unclosed);
  });

  test('its base, its images and whether it is AMP', () => {
    expect(scanHtml('<base target=x><base href=" https://e.org/?a&amp;b "><base href=no>').landmarks.base).toBe('https://e.org/?a&b');
    expect(scanHtml('<img src="a&amp;b"><amp-img src=c><img>').landmarks.images).toEqual(['a&b', 'c', '']);
    expect(
      [scanHtml('<html ⚡4email>'), scanHtml('<html amp4email>'), scanHtml('<html class="amp4email">')].map((it) => it.landmarks.amp),
    ).toEqual([true, true, false]);
  });
});

test('addresses begin and end where the URL parser of a client says', () => {
  const any = fc.array(oneOf('\0|\x1f| |\t|\n|\r|\x7f|\u00a0|a|/|é', '|')).map((parts) => parts.join(''));
  fc.assert(
    fc.property(any, (text) => {
      // A URL parser reads the cleaned URL as the same URL. The cleaned URL has no character that the parser would remove.
      const address = clientAddress(text);
      expect(URL.parse(address, 'https://e.org/x')?.href).toBe(URL.parse(text, 'https://e.org/x')?.href);
      expect(address).not.toMatch(/^[\0-\x20]|[\0-\x20]$|[\t\n\r]/);
    }),
    runs(500),
  );
});

test.each([
  '<a href=x>a</a> ',
  '<p><a href=x>a</a></p>',
  '<area href=x>',
  '<v:rect href=x>',
  '<a href=x></p>',
  '<!--[if mso]><style>-->',
  '<!--[if mso]><a href=x>-->',
  '<!--[if mso]><a title="-->',
  '<!--[if mso]><title></p-->',
])('four times as many of %j take about four times as long', (text) => {
  expectLinear(2000, (times) => text.repeat(times), scanHtml);
});

function parsedLinks(html: string): { to: number; address: string }[] {
  const found = new Map<number, { to: number; address: string }>();
  const visit = (node: DefaultTreeAdapterTypes.Node): void => {
    const attribute = 'attrs' in node && /^(?:a|area)$/.test(node.tagName) ? node.attrs.find(({ name }) => name === 'href') : undefined;
    const location = attribute && 'attrs' in node ? node.sourceCodeLocation?.attrs?.['href'] : undefined;
    if (attribute && location) {
      const value = attribute.value.replace(/^[\0-\x20]+|[\0-\x20]+$|[\t\n\r]/g, '');
      const empty = html.slice(location.startOffset, location.endOffset).toLowerCase() === 'href';
      found.set(location.startOffset, { to: empty ? 0 : location.endOffset, address: value });
    }
    if ('childNodes' in node) node.childNodes.forEach(visit);
  };
  visit(parse(html, { sourceCodeLocationInfo: true, scriptingEnabled: false }));
  return [...found].sort(([a], [b]) => a - b).map(([, it]) => it);
}
