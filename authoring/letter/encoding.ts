import { isUtf8 } from 'node:buffer';
import { ClickledgerError } from '../../core/errors.ts';

// Decodes the bytes of a letter to text and encodes the text to bytes again. Both steps together must return exactly the same bytes.
// Therefore only two encodings are supported, for which decoding and encoding are exact inverses.

/**
 * The encoding of a letter. A letter in Latin-1 is read as windows-1252, as browsers and mail programs do. The difference is that
 * windows-1252 has printable characters at 0x80 to 0x9f.
 */
export type Encoding = 'utf-8' | 'windows-1252';

// The characters of windows-1252 at 0x80 to 0x9f (WHATWG Encoding, index windows-1252). All other bytes stand for the character with the
// same number. The table is written out because TextDecoder decodes these bytes differently in different versions of Node.
const WINDOWS_1252_HIGH =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';
const BYTE_OF = new Map(Array.from(WINDOWS_1252_HIGH, (character, i) => [character, 0x80 + i]));

/** Returns UTF-8 if the bytes are valid UTF-8, otherwise windows-1252. Throws `bad-input` for UTF-16 with a byte order mark. */
export function detectEncoding(bytes: Uint8Array): Encoding {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new ClickledgerError('bad-input', 'the letter must be in UTF-8 or Latin-1, not in UTF-16. Save it as UTF-8.');
  return isUtf8(bytes) ? 'utf-8' : 'windows-1252';
}

/** Decodes bytes to text. A byte order mark stays in the text, so that `encode` returns the same bytes. */
export function decode(bytes: Uint8Array, encoding: Encoding): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (encoding === 'utf-8') return buffer.toString('utf8');
  return buffer.toString('latin1').replace(/[\x80-\x9f]/g, (character) => WINDOWS_1252_HIGH.charAt(character.charCodeAt(0) - 0x80));
}

/**
 * Encodes text to bytes. `replace` returns a substitute in ASCII for each character that windows-1252 does not have. The default
 * substitute is a question mark.
 */
export function encode(text: string, encoding: Encoding, replace: (character: string) => string = () => '?'): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text, 'utf8');
  const bytes = text.replace(/[^\x00-\x7f\xa0-\xff]/gu, (character) => {
    const byte = BYTE_OF.get(character);
    return byte === undefined ? replace(character) : String.fromCharCode(byte);
  });
  return Buffer.from(bytes, 'latin1');
}
