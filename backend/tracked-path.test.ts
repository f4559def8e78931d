import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSlugCodec, parseSlugKeys, TAG_ALPHABET } from '../core/slug.ts';
import { gluedForms } from '../test/support/glue.ts';
import { cutAfterName, isPathOf, queryOf } from './tracked-path.ts';

const slugs = createSlugCodec(parseSlugKeys('ab'.repeat(32)));
/** Recipients whose slugs have all possible lengths, with padding and without. */
const RECIPIENTS = [0, ...Array.from({ length: 16 }, (_, i) => 10 ** i + 1), Number.MAX_SAFE_INTEGER];

describe('the name in a path', () => {
  test('ends before whatever a mail client takes for a part of the address, for slugs of every length and for aliases', () => {
    const names = [...RECIPIENTS.map((recipient) => slugs.encode({ link: 12, recipient })), 'black-friday', 'a_b'];
    expect(new Set(names.map(({ length }) => length)).size).toBeGreaterThan(7);
    for (const name of names) {
      for (const glue of gluedForms()) {
        const cut = cutAfterName(`/u/${name}${glue}`);
        // An alias may contain - and _, so these characters do not end a name.
        expect(cut.replace(/[-_]+$/, ''), glue).toBe(`/u/${name}`);
      }
    }
  });

  test('is decoded if a client encoded its characters', () => {
    const encoded = (text: string) => Array.from(text, (char) => `%${char.charCodeAt(0).toString(16)}`).join('');
    for (const upper of [false, true]) {
      const name = `${TAG_ALPHABET}-_`;
      const path = upper ? encoded(name).toUpperCase() : encoded(name);
      expect(cutAfterName(`/u/${path}%2E?x`)).toBe(`/u/${name}`);
    }
    expect(cutAfterName('/u/black%2Dfriday')).toBe('/u/black-friday');
    expect(cutAfterName('/u/black%252Dfriday')).toBe('/u/black');
  });

  test('has nothing but characters of names, whatever the bytes are; other paths stay', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(cutAfterName(`/u/${text}`)).toMatch(/^\/u\/[0-9A-Za-z_-]*$/);
        expect(cutAfterName(`/x/${text}`)).toBe(`/x/${text}`);
      }),
    );
    for (const url of ['', '/', '/u', 'u/x', '*', '/U/abc.']) expect(cutAfterName(url)).toBe(url);
  });

  test('is the whole path, or is not', () => {
    for (const url of ['/u/abc', '/u/abc?', '/u/abc?x=1']) expect(isPathOf(url, 'abc')).toBe(true);
    for (const url of ['/u/abc.', '/u/abcd', '/u/ab', '/u/abc/?x', '/u/%61bc', '/u/abc#']) expect(isPathOf(url, 'abc')).toBe(false);
  });
});

test.each([
  ['/u/abc', ''],
  ['/u/abc?', ''],
  ['/u/abc?a=b', 'a=b'],
  ['/u/abc.?a=b?c', 'a=b?c'],
  ['/u/abc?a=b#c', 'a=b'],
  ['/u/abc%3Fa=b', ''],
])('the query of %s is %j', (url, query) => {
  expect(queryOf(url)).toBe(query);
});
