import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { createSlugCodec, isAlias, parseSlugKeys, TAG_ALPHABET, tagOf } from './slug.ts';

const keys = parseSlugKeys(`${'ab'.repeat(32)},${'cd'.repeat(32)}`);
const codec = createSlugCodec(keys);
const link = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const recipient = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe('slugs', () => {
  test('round trip for all ids, 17 to 19 characters for those of the first 200,000 links and 10 million people', () => {
    fc.assert(
      fc.property(link, recipient, (l, r) => {
        const slug = codec.encode({ link: l, recipient: r });
        expect(codec.verify(slug)).toEqual({ ok: true, ids: { link: l, recipient: r } });
        expect(codec.decode(slug)).toEqual({ link: l, recipient: r });
        expect(isAlias(slug)).toBe(false);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), fc.integer({ min: 0, max: 10_000_000 }), (l, r) => {
        const { length } = codec.encode({ link: l, recipient: r });
        expect(length).toBeGreaterThanOrEqual(17);
        expect(length).toBeLessThanOrEqual(19);
      }),
    );
  });

  test('the tag is that of the recipient, or of the link where there is none', () => {
    fc.assert(
      fc.property(link, link, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (a, b, r) => {
        expect(codec.encode({ link: a, recipient: r }).slice(0, 2)).toBe(codec.encode({ link: b, recipient: r }).slice(0, 2));
        expect(codec.encode({ link: a, recipient: 0 }).slice(0, 2)).toBe(tagOf({ link: a, recipient: 0 }));
      }),
    );
  });

  test('tags spread recipients evenly', () => {
    const counts = new Map<string, number>();
    const recipients = 384_400;
    for (let i = 1; i <= recipients; i++) {
      const tag = tagOf({ link: 1, recipient: i });
      counts.set(tag, (counts.get(tag) ?? 0) + 1);
    }
    expect(counts.size).toBe(62 * 62);
    // 100 recipients are expected for each tag, with a standard deviation of 10. The limits allow five standard deviations.
    expect(Math.min(...counts.values())).toBeGreaterThan(50);
    expect(Math.max(...counts.values())).toBeLessThan(150);
  });

  test('another key signs another slug, and any listed key verifies', () => {
    const old = createSlugCodec(parseSlugKeys('cd'.repeat(32)));
    const otherKey = createSlugCodec(parseSlugKeys('ef'.repeat(32)));
    const slug = old.encode({ link: 7, recipient: 9 });
    expect(slug).not.toBe(codec.encode({ link: 7, recipient: 9 }));
    expect(codec.verify(slug).ok).toBe(true);
    expect(otherKey.verify(slug).ok).toBe(false);
  });

  test('a changed character is a forgery, unless it only spells the same numbers differently', () => {
    fc.assert(
      fc.property(link, recipient, fc.nat(), fc.constantFrom(...TAG_ALPHABET.split('')), (l, r, position, character) => {
        const slug = codec.encode({ link: l, recipient: r });
        const i = position % slug.length;
        const changed = slug.slice(0, i) + character + slug.slice(i + 1);
        const result = codec.verify(changed);
        if (result.ok) expect(result.ids).toEqual({ link: l, recipient: r });
      }),
      runs(2000),
    );
  });

  test('the signature covers the numbers of exactly this text: a shorter or a longer one never has other numbers', () => {
    fc.assert(
      fc.property(
        link,
        recipient,
        fc.nat(40),
        fc.string({ unit: fc.constantFrom(...TAG_ALPHABET.split(''), '.', '-', '%', ' ') }),
        (l, r, at, more) => {
          const slug = codec.encode({ link: l, recipient: r });
          for (const text of [slug.slice(0, at), slug + more, slug.slice(0, at) + more + slug.slice(at), more + slug]) {
            const result = codec.verify(text);
            if (result.ok) expect(result.ids).toEqual({ link: l, recipient: r });
          }
        },
      ),
      runs(2000),
    );
  });

  test('any text is verified without throwing, and made-up ones fail', () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => !codec.verify(text).ok));
    for (const text of ['', 'ab', 'z'.repeat(40), '9'.repeat(40), 'z'.repeat(200), '00' + '9'.repeat(38), `00${'\u{1F4A9}'.repeat(9)}`]) {
      expect(codec.verify(text).ok).toBe(false);
    }
  });

  test('the fingerprint of a key tells nothing of it and everything of its identity', () => {
    expect(keys[0]?.fingerprint).toHaveLength(16);
    expect(keys[0]?.fingerprint).not.toBe(keys[1]?.fingerprint);
    expect(hash('sha256', Buffer.from('ab'.repeat(32), 'hex'), 'hex').startsWith(keys[0]?.fingerprint ?? '')).toBe(false);
  });

  test('aliases always have - or _, which no slug has', () => {
    expect(['black-friday', 'a_b', '2026-sale'].every(isAlias)).toBe(true);
    expect(['blackfriday', '-x', '', 'a b-c', 'ä-b', `${'x'.repeat(64)}-`].some(isAlias)).toBe(false);
  });
});
