import fc from 'fast-check';
import Sqids from 'sqids';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { TAG_ALPHABET } from './slug.ts';
import { decodeSqid, encodeSqid } from './sqids.ts';

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe('sqids in tables', () => {
  const words = ['fuck', 'shit', 'nazi', 'abcd', 'wxyz'];
  const model = new Sqids({ minLength: 15, blocklist: new Set(words) });

  test('encodes as the sqids package does, blocked words included', () => {
    fc.assert(
      fc.property(number, number, number, (a, b, c) => {
        expect(encodeSqid([a, b, c], new RegExp(words.join('|'), 'i'))).toBe(model.encode([a, b, c]));
      }),
      runs(2000),
    );
  });

  test('decodes as the sqids package does, whatever three safe integers that gives', () => {
    const text = fc.string({ unit: fc.constantFrom(...TAG_ALPHABET.split('')), minLength: 1, maxLength: 38 });
    const encoded = fc.tuple(number, number, number).map((numbers) => model.encode(numbers));
    fc.assert(
      fc.property(fc.oneof(text, encoded), (id) => {
        const numbers = decodeSqid(id);
        if (numbers) expect(model.decode(id)).toEqual(numbers);
        else expect(model.encode(model.decode(id).filter(Number.isSafeInteger)) === id && model.decode(id).length === 3).toBe(false);
      }),
      runs(5000),
    );
  });
});
