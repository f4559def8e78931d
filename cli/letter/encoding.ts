import { isUtf8 } from 'node:buffer';
import { ClickledgerError } from '../../core/errors.ts';

// Letters are rewritten as text and must come back byte for byte: only encodings are read in which every byte has its own way there and back.

/** What letters are written in. Latin-1 is read as browsers and mail programs read it: as windows-1252, which gives 0x80 to 0x9F printable characters. */
export type Encoding = 'utf-8' | 'windows-1252';

const DECODED = new TextDecoder('windows-1252').decode(Uint8Array.from({ length: 256 }, (_, byte) => byte));
const BYTE_OF = new Map(Array.from(DECODED, (character, byte) => [character, byte]));

/** UTF-8 if the bytes are valid UTF-8, else Latin-1. */
export function detectEncoding(bytes: Uint8Array): Encoding {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new ClickledgerError('bad-input', 'this is UTF-16: save it as UTF-8');
  return isUtf8(bytes) ? 'utf-8' : 'windows-1252';
}

/** The text, a byte order mark included: `encode` gives the same bytes again. */
export function decode(bytes: Uint8Array, encoding: Encoding): string {
  return new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes);
}

/** The bytes of a text. What Latin-1 does not have is written as `replace` says, which must give ASCII. */
export function encode(text: string, encoding: Encoding, replace: (character: string) => string = () => '?'): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text, 'utf8');
  const bytes: number[] = [];
  for (const character of text) {
    const byte = BYTE_OF.get(character);
    if (byte === undefined) bytes.push(...Buffer.from(replace(character), 'latin1'));
    else bytes.push(byte);
  }
  return Buffer.from(bytes);
}
