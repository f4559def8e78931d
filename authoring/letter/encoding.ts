import { isUtf8 } from 'node:buffer';
import { labelToName, TextDecoder } from '@exodus/bytes/encoding.js';
import { createMultibyteEncoder } from '@exodus/bytes/multi-byte.js';
import { createSinglebyteEncoder } from '@exodus/bytes/single-byte.js';
import { percentEncodeAfterEncoding } from '@exodus/bytes/whatwg.js';
import sniffHtmlEncoding from 'html-encoding-sniffer';
import { ClickledgerError } from '../../core/errors.ts';

// Finds the encoding of a file, decodes its bytes to text, and encodes text. Encodings are those of the WHATWG Encoding standard, as in
// browsers. Positions in the text can be converted to positions in the bytes, so that all bytes outside of links stay unchanged, even if
// they are damaged.

/** The name of an encoding in the WHATWG Encoding standard, in lower case, e.g. 'utf-8' or 'windows-1251'. */
export type Encoding = string;

/**
 * The way in which the encoding was found: by a byte order mark, by the charset that the user gives, by the <meta> of an HTML letter, or by
 * the bytes, if they are UTF-8. `fallback` means that the encoding was not found.
 */
type EncodingSource = 'bom' | 'charset' | 'meta' | 'bytes' | 'fallback';

export interface DetectedEncoding {
  readonly encoding: Encoding;
  readonly source: EncodingSource;
}

/** The encoding of bytes that are not UTF-8 and declare no encoding. Browsers use the same encoding for western languages. */
const FALLBACK: Encoding = 'windows-1252';

const UTF_16: ReadonlySet<Encoding> = new Set(['utf-16le', 'utf-16be']);
const MULTI_BYTE: ReadonlySet<Encoding> = new Set(['gbk', 'gb18030', 'big5', 'euc-jp', 'euc-kr', 'iso-2022-jp', 'shift_jis']);

/** Returns the encoding of a label such as `latin1` or `cp1251`. Throws `bad-input` for a label that browsers do not support. */
export function parseCharset(label: string): Encoding {
  const name = labelToName(label)?.toLowerCase();
  if (name === undefined || name === 'replacement' || name === 'x-user-defined')
    throw new ClickledgerError(
      'bad-input',
      `charset '${label}' is not supported. Examples: utf-8, windows-1251, iso-8859-2, shift_jis, gb18030.`,
    );
  return name;
}

/**
 * Finds the encoding of a letter as browsers do. The first of these that exists decides: a byte order mark, `charset`, and in HTML a <meta>
 * within the first 1,024 bytes. If there is none, the result is UTF-8 if the bytes look like UTF-8, and otherwise `fallback`.
 */
export function detectEncoding(
  bytes: Uint8Array,
  { charset, html = false, fallback = FALLBACK }: { charset?: Encoding | undefined; html?: boolean; fallback?: Encoding } = {},
): DetectedEncoding {
  const bom = byteOrderMark(bytes);
  if (bom !== undefined) return { encoding: bom, source: 'bom' };
  if (charset !== undefined) return { encoding: charset, source: 'charset' };
  const declared = html ? sniffHtmlEncoding(bytes, { defaultEncoding: '' }).toLowerCase() : '';
  if (declared !== '') return { encoding: parseCharset(declared), source: 'meta' };
  return looksLikeUtf8(bytes) ? { encoding: 'utf-8', source: 'bytes' } : { encoding: fallback, source: 'fallback' };
}

function byteOrderMark([first, second, third]: Uint8Array): Encoding | undefined {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  return first === 0xef && second === 0xbb && third === 0xbf ? 'utf-8' : undefined;
}

/**
 * Returns true if the bytes are UTF-8, apart from a few bytes that are damaged. In text of another encoding, byte sequences that are valid
 * in UTF-8 are rare. In damaged UTF-8 text, most sequences are valid.
 */
function looksLikeUtf8(bytes: Uint8Array): boolean {
  if (isUtf8(bytes)) return true;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const invalid = text.split('\ufffd').length - 1;
  const valid = text.match(/[^\x00-\x7f\ufffd]/gu)?.length ?? 0;
  return valid >= invalid;
}

/** A text together with the bytes from which it was decoded. */
export interface DecodedText {
  readonly text: string;
  readonly encoding: Encoding;
  /** Returns the original bytes of a part of the text. Positions are counted in UTF-16 code units. */
  slice(from: number, to?: number): Buffer;
  /** Returns the position in the original bytes of a position in the text. */
  offsetOf(position: number): number;
}

/** Decodes bytes. A byte order mark stays in the text. Bytes that are not valid in the encoding become U+FFFD in the text. */
export function decode(bytes: Uint8Array, encoding: Encoding): DecodedText {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { text, offsets } = decodeWithOffsets(buffer, encoding);
  const offsetOf = (position: number): number => (offsets ? (offsets[position] ?? buffer.length) : position);
  return {
    text,
    encoding,
    offsetOf,
    slice(from, to = text.length) {
      const [start, end] = [offsetOf(from), offsetOf(to)];
      return encoding === 'iso-2022-jp' ? sliceIso2022(buffer, start, end) : buffer.subarray(start, end);
    },
  };
}

/** Decodes bytes. Code unit `i` of the text begins at the byte `offsets[i]`. Without `offsets`, it begins at the byte `i`. */
function decodeWithOffsets(bytes: Buffer, encoding: Encoding): { text: string; offsets?: Uint32Array } {
  if (encoding === 'utf-8' && isUtf8(bytes)) {
    const text = bytes.toString('utf8');
    return text.length === bytes.length ? { text } : { text, offsets: utf8Offsets(text) };
  }
  if (encoding !== 'utf-8' && !MULTI_BYTE.has(encoding) && !UTF_16.has(encoding)) return { text: new TextDecoder(encoding).decode(bytes) };
  return decodeStepwise(bytes, encoding);
}

function utf8Offsets(text: string): Uint32Array {
  const offsets = new Uint32Array(text.length + 1);
  let offset = 0;
  for (let i = 0; i < text.length; i++) {
    offsets[i] = offset;
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair counts as two of the four bytes.
    offset += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
  }
  offsets[text.length] = offset;
  return offsets;
}

/** Decodes byte by byte, and records from which bytes each character was decoded. A run of ASCII is decoded in one step. */
function decodeStepwise(bytes: Buffer, encoding: Encoding): { text: string; offsets: Uint32Array } {
  const decoder = new TextDecoder(encoding, { ignoreBOM: true });
  // Each byte adds at most two code units to the text.
  const offsets = new Uint32Array(bytes.length * 2 + 2);
  const hasAsciiRuns = encoding !== 'iso-2022-jp' && !UTF_16.has(encoding);
  let text = '';
  // The position of the first byte that has not been decoded to a character yet.
  let from = 0;
  for (let at = 0; at <= bytes.length; ) {
    if (hasAsciiRuns && from === at) {
      let end = at;
      while (end < bytes.length && (bytes[end] as number) < 0x80) end++;
      for (; from < end; from++) offsets[text.length + from - at] = from;
      text += bytes.toString('latin1', at, end);
      at = end;
    }
    const isEnd = at === bytes.length;
    const units = isEnd ? decoder.decode() : decoder.decode(bytes.subarray(at, at + 1), { stream: true });
    if (units !== '') {
      if (encoding === 'iso-2022-jp') from = skipAsciiEscapes(bytes, from);
      // An invalid byte becomes U+FFFD. The byte at which the decoder detects the error may become a separate character.
      const isError = units.length > 1 && units.startsWith('\ufffd');
      for (let i = 0; i < units.length; i++) offsets[text.length + i] = isError && i === units.length - 1 && !isEnd ? at : from;
      text += units;
      from = at + 1;
    }
    at++;
  }
  offsets[text.length] = bytes.length;
  return { text, offsets: offsets.subarray(0, text.length + 1) };
}

// ISO-2022-JP has states. ESC ( B begins ASCII, ESC ( J begins Roman, and ESC $ begins kanji with two bytes each. A piece of the text must
// begin and end in the state ASCII.

const ESC = 0x1b;
const TO_ASCII = Buffer.from('\x1b(B', 'latin1');

/** Skips the escapes to ASCII before a character, because they belong to the text before this character. */
function skipAsciiEscapes(bytes: Buffer, from: number): number {
  let at = from;
  while (bytes[at] === ESC && bytes[at + 1] === 0x28) at += 3;
  return at;
}

/** Returns the bytes from `from` to `to`. Adds escapes if they are needed, so that the result begins and ends in the state ASCII. */
function sliceIso2022(bytes: Buffer, from: number, to: number): Buffer {
  const escapeAt = (position: number): Buffer | undefined => {
    const at = position === 0 ? -1 : bytes.lastIndexOf(ESC, position - 1);
    const isKanji = at >= 0 && bytes[at + 1] === 0x24;
    return isKanji && position > at + 2 ? bytes.subarray(at, at + 3) : undefined;
  };
  const piece = bytes.subarray(from, to);
  const before = from < to ? escapeAt(from) : undefined;
  const after = from < to && escapeAt(to) !== undefined && to < bytes.length ? TO_ASCII : undefined;
  return before || after ? Buffer.concat([before ?? Buffer.alloc(0), piece, after ?? Buffer.alloc(0)]) : piece;
}

/** Returns true if the bytes of a part of the text are valid in its encoding. */
export function isValidAt(decoded: DecodedText, from: number, to: number): boolean {
  if (!decoded.text.slice(from, to).includes('\ufffd')) return true;
  try {
    new TextDecoder(decoded.encoding, { fatal: true }).decode(decoded.slice(from, to));
    return true;
  } catch {
    return false;
  }
}

const encoders = new Map<Encoding, (text: string) => Uint8Array>();

/** Returns the function that encodes text. The function throws if the encoding does not have one of the characters. */
function encoderOf(encoding: Encoding): (text: string) => Uint8Array {
  let encoder = encoders.get(encoding);
  if (!encoder) {
    encoder = MULTI_BYTE.has(encoding) ? createMultibyteEncoder(encoding) : createSinglebyteEncoder(encoding);
    encoders.set(encoding, encoder);
  }
  return encoder;
}

/**
 * Encodes text. `replace` returns a substitute in ASCII for each character that the encoding does not have. The default is a question mark.
 */
export function encode(text: string, encoding: Encoding, replace: (character: string) => string = () => '?'): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text, 'utf8');
  if (encoding === 'utf-16le') return Buffer.from(text, 'utf16le');
  if (encoding === 'utf-16be') return Buffer.from(text, 'utf16le').swap16();
  const encoder = encoderOf(encoding);
  const encodable = (character: string): boolean => {
    try {
      encoder(character);
      return true;
    } catch {
      return false;
    }
  };
  if (encodable(text)) return Buffer.from(encoder(text));
  return Buffer.from(encoder(text.replace(/[^\x00-\x7f]/gu, (character) => (encodable(character) ? character : replace(character)))));
}

/**
 * Returns the URL that browsers request if a page in this encoding links to `address`. In the query, a character that is not ASCII becomes its
 * bytes in the encoding of the page, and each byte is percent-encoded (WHATWG URL, query state).
 */
export function encodeQuery(address: string, encoding: Encoding): string {
  if (encoding === 'utf-8' || UTF_16.has(encoding)) return address;
  const found = /^([^?#]*\?)([^#]*)(#[\s\S]*)?$/.exec(address);
  if (!found) return address;
  const [, before = '', query = '', fragment = ''] = found;
  // The bytes of an encoded character can include these ASCII characters, which must be percent-encoded in a query.
  return `${before}${query.replace(/[^\x00-\x7f]+/gu, (run) => percentEncodeAfterEncoding(encoding, run, ` "#'<>`))}${fragment}`;
}
