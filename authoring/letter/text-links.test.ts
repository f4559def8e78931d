import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expectLinear } from '../../test/support/linear.ts';
import { runs } from '../../test/support/runs.ts';
import { scanText } from './text-links.ts';

const oneOf = (list: string, separator = ' ') => fc.constantFrom(...list.split(separator));

const addressesIn = (text: string): string[] => scanText(text).map(({ address }) => address);

describe('addresses in a text', () => {
  // Characters that may be anywhere in a URL, and characters that may also be at its end.
  const inside = oneOf(`a Z 0 - _ . ~ / ? & = # % + @ : ; , ! $ ' * ü é я 字 %20 (b) [c] index.html`);
  const last = oneOf('a Z 9 / - = & # % + @ $ ü (b) [c]');
  const address = fc
    .tuple(
      oneOf('http:// https:// HTTPS:// Http://'),
      oneOf('e.org a.example:8080 bücher.example [::1] 字.example'),
      fc.array(inside, { maxLength: 8 }),
      last,
    )
    .map(([scheme, host, middle, end]) => `${scheme}${host}/${middle.join('')}${end}`);
  const opening = oneOf('|(|[|{|<|"|“|«|»|„|‘|「|（|【|:|,|*|_|~|-|–|…|→|URL:<|(siehe |\u00a0|、', '|');
  const closing = oneOf(
    '|.|,|;|:|!|?|...|…|?!|)|]|}|>|"|”|»|«|“|’|\'|」|）|】|。|，|！|？|、|).|),|.)|)]|*|**|_|~|\u00a0|\u200b|>.|". ',
    '|',
  );
  const gap = oneOf('| |\n|\r\n|\t|\n\n| text |\r\n> | text\n', '|');
  const place = fc.tuple(gap, opening, address, closing, fc.oneof(gap, fc.constant(' ')));

  test('are found exactly, whatever stands around them', () => {
    fc.assert(
      fc.property(fc.array(place, { maxLength: 5 }), (places) => {
        let text = '';
        const expected: { from: number; to: number; address: string }[] = [];
        for (const [before, open, spelled, close, after] of places) {
          text += `${before}${open}`;
          expected.push({ from: text.length, to: text.length + spelled.length, address: spelled });
          // Without white space, the URL would continue with the next text.
          text += `${spelled}${close}${/\s$/.test(after) ? after : ' '}`;
        }
        expect(scanText(text).map(({ from, to, address: found }) => ({ from, to, address: found }))).toEqual(expected);
        expect(addressesIn(text.trimEnd())).toEqual(expected.map((it) => it.address));
      }),
      runs(3000),
    );
  });

  test.each([
    ['See https://e.org.', ['https://e.org']],
    ['See https://e.org/a, or https://e.org/b!', ['https://e.org/a', 'https://e.org/b']],
    ['https://e.org/a;b,c.html', ['https://e.org/a;b,c.html']],
    ['Really https://e.org/a?!', ['https://e.org/a']],
    ['https://e.org/?', ['https://e.org/']],
    ['https://e.org/?a=1&b=2...', ['https://e.org/?a=1&b=2']],
    ['(https://e.org/a)', ['https://e.org/a']],
    ['(see https://e.org/a_(b))', ['https://e.org/a_(b)']],
    ['https://e.org/a_(b)', ['https://e.org/a_(b)']],
    ['(https://e.org/a_(b).html).', ['https://e.org/a_(b).html']],
    ['[text](https://e.org/a)', ['https://e.org/a']],
    ['[1]: https://e.org/?a[]=1&b[]=2', ['https://e.org/?a[]=1&b[]=2']],
    ['[https://e.org/a]', ['https://e.org/a']],
    ['<https://e.org/a.>', ['https://e.org/a']],
    ['<https://e.org/a>', ['https://e.org/a']],
    ['<URL:https://e.org/a>', ['https://e.org/a']],
    ['"https://e.org/a"', ['https://e.org/a']],
    ["'https://e.org/a'", ['https://e.org/a']],
    ['„https://e.org/a“', ['https://e.org/a']],
    ['**https://e.org/a**', ['https://e.org/a']],
    ['https://e.org/a | https://e.org/b', ['https://e.org/a', 'https://e.org/b']],
    ['https://e.org/a\r\nhttps://e.org/b\r\n', ['https://e.org/a', 'https://e.org/b']],
    ['https://e.org/a\nnext line', ['https://e.org/a']],
    ['https://e.org/a', ['https://e.org/a']],
    ['\ufeffhttps://e.org/a', ['https://e.org/a']],
    ['詳細：https://e.org/a。', ['https://e.org/a']],
    ['「https://e.org/a」', ['https://e.org/a']],
    ['HTTP://E.ORG/A', ['HTTP://E.ORG/A']],
    ['https://e.org/#a', ['https://e.org/#a']],
    ['https://user@e.org:8080/a~b', ['https://user@e.org:8080/a~b']],
    ['{{link}} http://{{host}}/a', ['http://{{host}}/a']],
    ['https://e.org/{{ first name }}/b.', ['https://e.org/{{ first name }}/b']],
    ['https://e.org/?a=*|FIRST NAME|*.', ['https://e.org/?a=*|FIRST NAME|*']],
    ['https://e.org/[[data:first name]]/b', ['https://e.org/[[data:first name]]/b']],
    ['https://e.org/${first name}', ['https://e.org/${first name}']],
    ['https://e.org/%%name%%, and', ['https://e.org/%%name%%']],
    ['https://e.org/?to=https://other.example/', ['https://e.org/?to=https://other.example/']],
    ['www.e.org mailto:a@e.org ftp://e.org //e.org https:/e.org', []],
    ['xhttps://e.org/', []],
    ['', []],
  ])('in %j: %j', (text, addresses) => {
    expect(addressesIn(text)).toEqual(addresses);
  });
});

describe('the sentence of an address', () => {
  test.each([
    ['To unsubscribe: https://e.org/a', 'To unsubscribe:'],
    ['First line\nUnsubscribe https://e.org/a now\nlast line', 'Unsubscribe   now'],
    ['Unsubscribe:\nhttps://e.org/a\nlast line', 'Unsubscribe:'],
    ['Unsubscribe:\r\n<https://e.org/a>\r\n', 'Unsubscribe:'],
    ['https://e.org/a', ''],
    // Each link has its own context.
    ['Shop: https://e.org/a | Unsubscribe: https://e.org/b', 'Shop:', 'Unsubscribe:'],
    ['Unsubscribe: https://e.org/a\nhttps://e.org/b', 'Unsubscribe:', ''],
    ['https://e.org/unsubscribe\nhttps://e.org/b', '', ''],
    ['https://e.org/unsubscribe https://e.org/b', '', ''],
  ])('in %j is %j', (text, ...contexts) => {
    expect(scanText(text).map((link) => link.context)).toEqual(contexts);
  });
});

test('addresses of a text have no words, and one label', () => {
  expect(scanText('Shop https://e.org/a')).toMatchObject([{ words: '', label: 'text', noTrack: false }]);
});

test.each(['https://e.org/a\n', 'https://e.org/a ', 'Shop https://e.org/a\n', 'https://e.org/a,', 'http://'])(
  'four times as many of %j take about four times as long',
  (text) => {
    expectLinear(2000, (times) => text.repeat(times), scanText);
  },
);

test.each([')', '.', '(', '*|', '{{', '%%', '[[', ']', "'", '{%', '%%=', '${'])(
  'an address with four times as many %j takes about four times as long',
  (text) => {
    expectLinear(10_000, (times) => `https://e.org/${text.repeat(times)}`, scanText);
  },
);
