import { isUtf8 } from 'node:buffer';
import { ClickledgerError } from '../../core/errors.ts';

// Letters are rewritten as text and must come back byte for byte: only encodings are read in which every byte has its own way there and back.

/** What letters are written in. Latin-1 is read as browsers and mail programs read it: as windows-1252, which gives 0x80 to 0x9F printable characters. */
export type Encoding = 'utf-8' | 'windows-1252';

// What windows-1252 has at 0x80 to 0x9f (WHATWG Encoding, index windows-1252); elsewhere a byte is the character of its number. Written
// down, because TextDecoder differs there between versions of Node.
const HIGH =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';
const BYTE_OF = new Map(Array.from(HIGH, (character, i) => [character, 0x80 + i]));

/** UTF-8 if the bytes are valid UTF-8, else Latin-1. */
export function detectEncoding(bytes: Uint8Array): Encoding {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new ClickledgerError('bad-input', 'this is UTF-16: save it as UTF-8');
  return isUtf8(bytes) ? 'utf-8' : 'windows-1252';
}

/** The text, a byte order mark included: `encode` gives the same bytes again. */
export function decode(bytes: Uint8Array, encoding: Encoding): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (encoding === 'utf-8') return buffer.toString('utf8');
  return buffer.toString('latin1').replace(/[\x80-\x9f]/g, (character) => HIGH.charAt(character.charCodeAt(0) - 0x80));
}

/** The bytes of a text. What Latin-1 does not have is written as `replace` says, which must give ASCII. */
export function encode(text: string, encoding: Encoding, replace: (character: string) => string = () => '?'): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text, 'utf8');
  const bytes = text.replace(/[^\x00-\x7f\xa0-\xff]/gu, (character) => {
    const byte = BYTE_OF.get(character);
    return byte === undefined ? replace(character) : String.fromCharCode(byte);
  });
  return Buffer.from(bytes, 'latin1');
}
