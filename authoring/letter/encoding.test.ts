import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../../test/support/runs.ts';
import { decode, detectEncoding, encode } from './encoding.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const text = fc.string({ unit: 'binary', maxLength: 100 });

describe('bytes read and written again', () => {
  test('are the same, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bytes,
          text.map((it) => new Uint8Array(Buffer.from(it))),
        ),
        (letter) => {
          const encoding = detectEncodingOf(letter);
          expect(Buffer.compare(encode(decode(letter, encoding), encoding), letter)).toBe(0);
        },
      ),
      runs(1000),
    );
  });

  test('as Latin-1 have a character each', () => {
    fc.assert(
      fc.property(bytes, (letter) => {
        const read = decode(letter, 'windows-1252');
        expect(read).toHaveLength(letter.length);
        expect(Buffer.compare(encode(read, 'windows-1252'), letter)).toBe(0);
      }),
      runs(500),
    );
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    expect(Buffer.compare(encode(decode(all, 'windows-1252'), 'windows-1252'), all)).toBe(0);
  });

  test('as UTF-8 keep their byte order mark, and any other', () => {
    for (const letter of ['\ufeffa', '\ufeff\ufeff', 'a\ufeff']) {
      expect(decode(Buffer.from(letter), 'utf-8')).toBe(letter);
      expect(encode(letter, 'utf-8')).toEqual(Buffer.from(letter));
    }
  });
});

describe('the encoding of a letter', () => {
  test.each([
    ['', 'utf-8'],
    ['61', 'utf-8'],
    ['c3a4', 'utf-8'],
    ['efbbbf61', 'utf-8'],
    ['f09f9880', 'utf-8'],
    ['e4', 'windows-1252'],
    ['c3', 'windows-1252'],
    ['c3a4e4', 'windows-1252'],
    // Invalid UTF-8: a surrogate, an overlong encoding, and a code point above U+10FFFF.
    ['eda080', 'windows-1252'],
    ['c080', 'windows-1252'],
    ['f4908080', 'windows-1252'],
  ])('of the bytes %s is %s', (hex, encoding) => {
    expect(detectEncoding(Buffer.from(hex, 'hex'))).toBe(encoding);
  });

  test.each(['fffe3c00', 'feff003c', 'fffe', 'feff'])('UTF-16 is refused: %s', (hex) => {
    expect(() => detectEncoding(Buffer.from(hex, 'hex'))).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringContaining('UTF-16') }),
    );
  });
});

describe('Latin-1', () => {
  test('is read as windows-1252', () => {
    expect(decode(Buffer.from('8085929396e4ff', 'hex'), 'windows-1252')).toBe('€…’“–äÿ');
    expect(encode('€…’“–äÿ', 'windows-1252').toString('hex')).toBe('8085929396e4ff');
  });

  test('what it lacks is replaced, a character at a time', () => {
    expect(encode('aя😀é', 'windows-1252').toString('latin1')).toBe('a??é');
    expect(encode('aя😀é', 'windows-1252', (character) => `[${character.codePointAt(0)}]`).toString('latin1')).toBe('a[1103][128512]é');
  });

  test('UTF-8 lacks nothing', () => {
    expect(encode('aя😀é', 'utf-8', () => 'no')).toEqual(Buffer.from('aя😀é'));
  });
});

/** Like detectEncoding, but random bytes that begin with the byte order mark of UTF-16 are read as windows-1252. */
function detectEncodingOf(letter: Uint8Array): ReturnType<typeof detectEncoding> {
  const [first, second] = letter;
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) ? 'windows-1252' : detectEncoding(letter);
}
