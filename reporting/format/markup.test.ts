import fc from 'fast-check';
import { parseFragment } from 'parse5';
import { expect, test } from 'vitest';
import { html, markupText, trusted } from './markup.ts';

interface Node {
  nodeName: string;
  value?: string;
  attrs?: { name: string; value: string }[];
  childNodes?: Node[];
}

test('whatever a text is, a browser reads that text and nothing else', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('<b>', '</p>', '"', "'>", '&lt;', '<!--', '</script>', ''),
      (random, hostile) => {
        // These characters are left out, because the HTML parser itself changes them.
        const text = `${random}${hostile}${random}`.replaceAll(/[\0\r]/g, '');
        const [p, ...others] = (parseFragment(markupText(html`<p title="${text}">${text}</p>`)) as unknown as Node).childNodes ?? [];
        expect(others).toEqual([]);
        expect(p?.attrs).toEqual([{ name: 'title', value: text }]);
        expect((p?.childNodes ?? []).map(({ nodeName, value }) => [nodeName, value])).toEqual(text === '' ? [] : [['#text', text]]);
      },
    ),
  );
});

test('pieces and lists of them stand as they are, nothing is nothing', () => {
  const items = ['a', '<'].map((text) => html`<li>${text}</li>`);
  expect(markupText(html`<ul>${items}</ul>${undefined}${false}${0}${trusted('<hr>')}`)).toBe('<ul><li>a</li><li>&lt;</li></ul>0<hr>');
});
