import { encode as encodeQuotedPrintable, wrap } from 'nodemailer/lib/qp';
import type { Edit } from '../../authoring/letter/template.ts';
import type { TransferEncoding } from './classify.ts';

// Decodes the body of a part, and applies changes of the decoded bytes to the encoded bytes. All other encoded bytes stay as they are. The
// exception is base64, in which a change moves all bytes after it.

/** A decoded body. */
export interface Body {
  readonly bytes: Buffer;
  /** Returns the encoded body with changes. The changes are positions in `bytes`, sorted, and do not overlap. */
  apply(edits: readonly Edit[]): Buffer;
}

/** Decodes a body. Returns undefined for base64 that is damaged, because a change would lose what cannot be decoded. */
export function openBody(encoded: Buffer, transfer: TransferEncoding): Body | undefined {
  switch (transfer) {
    case 'identity':
      return { bytes: encoded, apply: (edits) => splice(encoded, edits) };
    case 'quoted-printable':
      return openQuotedPrintable(encoded);
    case 'base64':
      return openBase64(encoded);
  }
}

function splice(bytes: Buffer, edits: readonly Edit[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { from, to, bytes: replacement } of edits) {
    pieces.push(bytes.subarray(at, from), replacement);
    at = to;
  }
  pieces.push(bytes.subarray(at));
  return Buffer.concat(pieces);
}

/** The longest line of quoted-printable (RFC 2045, 6.7) and of base64 (6.8), without its CRLF. */
const MAX_ENCODED_LINE = 76;
/** The longest line of a message, without its CRLF (RFC 5322, 2.1.1). */
const MAX_LINE = 998;

/** Returns whether a line is longer than mail servers allow. They would break it. */
export function hasTooLongLine(bytes: Buffer): boolean {
  let at = 0;
  for (let end = bytes.indexOf('\r\n'); end >= 0; end = bytes.indexOf('\r\n', at)) {
    if (end - at > MAX_LINE) return true;
    at = end + 2;
  }
  return bytes.length - at > MAX_LINE;
}

/** Encodes text as quoted-printable. Line breaks of the text stay. */
export function toQuotedPrintable(bytes: Buffer): Buffer {
  return Buffer.from(wrap(encodeQuotedPrintable(bytes), MAX_ENCODED_LINE));
}

function openQuotedPrintable(encoded: Buffer): Body {
  const { bytes, starts } = decodeQuotedPrintable(encoded);
  const isEscape = (at: number): boolean => encoded[at] === 0x3d && hexAt(encoded, at + 1) !== undefined;
  const startOf = (position: number): number => starts[position] as number;
  /** The end of the byte before: what follows may be spaces at the end of a line, which are not decoded. */
  const endBefore = (position: number): number => {
    if (position === 0) return 0;
    const start = starts[position - 1] as number;
    return start + (isEscape(start) ? 3 : 1);
  };
  return {
    bytes,
    apply(edits) {
      const inEncoded = edits.map(({ from, to, bytes: replacement }) => ({
        // A soft line break before or after replaced bytes stays.
        from: from < to && bytes[from] !== 0x0d ? startOf(from) : endBefore(from),
        to: endBefore(to),
        bytes: Buffer.from(escapeBytes(replacement), 'latin1'),
      }));
      return wrapChangedLines(encoded, inEncoded);
    },
  };
}

/** Decodes quoted-printable. `starts` has the position of each decoded byte in the encoded bytes. */
function decodeQuotedPrintable(encoded: Buffer): { bytes: Buffer; starts: Uint32Array } {
  const bytes = Buffer.allocUnsafe(encoded.length);
  const starts = new Uint32Array(encoded.length);
  let length = 0;
  const add = (byte: number, at: number): void => {
    bytes[length] = byte;
    starts[length++] = at;
  };
  for (let at = 0; at < encoded.length; ) {
    const byte = encoded[at] as number;
    if (byte === 0x3d) {
      const value = hexAt(encoded, at + 1);
      if (value !== undefined) {
        add(value, at);
        at += 3;
        continue;
      }
      const { end, isLineEnd } = readBlank(encoded, at + 1);
      if (isLineEnd) {
        at = end === encoded.length ? end : end + 2;
        continue;
      }
      for (; at < end; at++) add(encoded[at] as number, at);
    } else if (byte === 0x20 || byte === 0x09) {
      // Spaces at the end of a line were added on the way (RFC 2045, 6.7, rule 3).
      const { end, isLineEnd } = readBlank(encoded, at);
      for (; at < end; at++) if (!isLineEnd) add(encoded[at] as number, at);
    } else add(byte, at++);
  }
  return { bytes: bytes.subarray(0, length), starts: starts.subarray(0, length) };
}

/** Returns the position after spaces, and whether the line or the text ends there. */
function readBlank(encoded: Buffer, from: number): { end: number; isLineEnd: boolean } {
  let end = from;
  while (encoded[end] === 0x20 || encoded[end] === 0x09) end++;
  return { end, isLineEnd: end === encoded.length || (encoded[end] === 0x0d && encoded[end + 1] === 0x0a) };
}

function hexAt(encoded: Buffer, at: number): number | undefined {
  const [high, low] = [hexDigit(encoded[at]), hexDigit(encoded[at + 1])];
  return high === undefined || low === undefined ? undefined : high * 16 + low;
}

function hexDigit(byte: number | undefined): number | undefined {
  if (byte === undefined) return undefined;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const upper = byte & ~0x20;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x41 + 10 : undefined;
}

const escapeBytes = (bytes: Buffer): string =>
  bytes.toString('latin1').replace(/[^ -<>-~]/g, (character) => `=${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

/**
 * Applies changes to encoded bytes, and breaks lines that become longer than quoted-printable allows. In a changed line, what is next to a change
 * must not get another meaning: a space that becomes the last character, and an equals sign that stands for itself.
 */
function wrapChangedLines(encoded: Buffer, edits: readonly Edit[]): Buffer {
  const text = encoded.toString('latin1');
  let result = '';
  let at = 0;
  for (let i = 0; i < edits.length; ) {
    const { from: first } = edits[i] as Edit;
    const lineStart = Math.max(at, first === 0 ? 0 : text.lastIndexOf('\n', first - 1) + 1);
    let line = '';
    let lineAt = lineStart;
    let lineEnd = lineStart;
    // All changes that touch the same line are applied before it is broken.
    do {
      const { from, to, bytes } = edits[i++] as Edit;
      line += escapeLoneEquals(text.slice(lineAt, from)) + bytes.toString('latin1');
      lineAt = to;
      const end = text.indexOf('\r\n', to);
      lineEnd = end < 0 ? text.length : end;
    } while (i < edits.length && (edits[i] as Edit).from <= lineEnd);
    const [rest, padding] = splitPadding(text.slice(lineAt, lineEnd));
    const softEnd = rest.endsWith('=') ? '=' : '';
    line = escapeLastBlank(line + escapeLoneEquals(rest.slice(0, rest.length - softEnd.length)));
    result += text.slice(at, lineStart) + wrapLine(line, softEnd) + padding;
    at = lineEnd;
  }
  return Buffer.from(result + text.slice(at), 'latin1');
}

const escapeLoneEquals = (text: string): string => text.replace(/=(?![\dA-Fa-f]{2})/g, '=3D');

/** Splits the spaces and tabs at the end from a line. They are not part of its text. */
function splitPadding(line: string): [text: string, padding: string] {
  let end = line.length;
  while (line[end - 1] === ' ' || line[end - 1] === '\t') end--;
  return [line.slice(0, end), line.slice(end)];
}

/** Escapes a space or tab at the end, because receivers drop it there. */
const escapeLastBlank = (line: string): string => line.replace(/[ \t]$/, (blank) => (blank === ' ' ? '=20' : '=09'));

/** Breaks a line of quoted-printable with soft line breaks. An escape such as `=3D` is not broken. `softEnd` is the soft line break at its end. */
function wrapLine(line: string, softEnd: string): string {
  let rest = line;
  const lines: string[] = [];
  while (rest.length + softEnd.length > MAX_ENCODED_LINE) {
    const escape = rest.lastIndexOf('=', MAX_ENCODED_LINE - 2);
    const cut = escape > MAX_ENCODED_LINE - 4 ? escape : MAX_ENCODED_LINE - 1;
    lines.push(`${rest.slice(0, cut)}=`);
    rest = rest.slice(cut);
  }
  return [...lines, rest + softEnd].join('\r\n');
}

function openBase64(encoded: Buffer): Body | undefined {
  const text = encoded.toString('latin1');
  const bytes = Buffer.from(text, 'base64');
  // Padding in the middle, or text after the end, as some mailing lists add it.
  const isWhole = bytes.toString('base64').replace(/=+$/, '') === text.replace(/\s+/g, '').replace(/={1,2}$/, '');
  if (!isWhole) return undefined;
  return {
    bytes,
    apply(edits) {
      const firstLine = encoded.indexOf('\r\n');
      const length = firstLine > 0 && firstLine <= MAX_ENCODED_LINE && firstLine % 4 === 0 ? firstLine : MAX_ENCODED_LINE;
      const lines = splice(bytes, edits)
        .toString('base64')
        .match(new RegExp(`.{1,${length}}`, 'g'));
      let contentEnd = text.length;
      while (/\s/.test(text.charAt(contentEnd - 1))) contentEnd--;
      return Buffer.from((lines ?? []).join('\r\n') + text.slice(contentEnd), 'latin1');
    },
  };
}

/**
 * Returns a body without the soft line breaks of `format=flowed; delsp=yes` (RFC 3676, 4.2): a space, the line break and the space that
 * stuffs the next line. Such a line break may be inside an address. Quoted text and the line before a signature keep their line breaks.
 */
export function withoutSoftBreaks(body: Body): Body {
  const text = body.bytes.toString('latin1');
  const breaks = Array.from(text.matchAll(/(?<=^([^>\r\n][^\r\n]*)) \r\n(?!>) ?/gm)).filter(([, line]) => line !== '--');
  if (breaks.length === 0) return body;
  const kept: Buffer[] = [];
  /** For each piece between two line breaks, its position in the result and in the original. */
  const pieces: { at: number; original: number }[] = [];
  let at = 0;
  let original = 0;
  for (const { index, 0: matched } of [...breaks, { index: text.length, 0: '' }]) {
    pieces.push({ at, original });
    kept.push(body.bytes.subarray(original, index));
    at += index - original;
    original = index + matched.length;
  }
  const startOf = (position: number): number => {
    let [low, high] = [0, pieces.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((pieces[middle]?.at ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    const { at: start, original: from } = pieces[low] as { at: number; original: number };
    return from + position - start;
  };
  return {
    bytes: Buffer.concat(kept),
    apply: (edits) =>
      body.apply(edits.map(({ from, to, bytes }) => ({ from: startOf(from), to: to > from ? startOf(to - 1) + 1 : startOf(from), bytes }))),
  };
}
