import { parseHeaderValue } from 'nodemailer/lib/mime-funcs';
import { decodeWords } from 'postal-mime';

// Reads and changes the header of a message or of a MIME part (RFC 5322, 2.2). Fields that do not change keep their bytes.

interface Field {
  /** The name in lower case. */
  readonly name: string;
  /** The position of the field in the bytes of the header, with its folded lines and its last CRLF. */
  readonly from: number;
  readonly to: number;
  /** The value as one line, with one character for each byte. */
  readonly value: string;
}

export interface Header {
  /** The header with the empty line after it. Lines end in CRLF. */
  readonly bytes: Buffer;
  readonly fields: readonly Field[];
}

/** A value such as `text/html; charset=utf-8`. */
export interface StructuredValue {
  /** The value without parameters, in lower case. */
  readonly value: string;
  /** The names are in lower case. */
  readonly params: Readonly<Record<string, string>>;
}

export function parseHeader(bytes: Buffer): Header {
  const text = bytes.toString('latin1');
  const fields: Field[] = [];
  for (const { 0: lines, 1: name = '', index } of text.matchAll(/^([!-9;-~]+)[ \t]*:.*\r\n(?:[ \t].*\r\n)*/gm)) {
    const value = lines.slice(lines.indexOf(':') + 1).replace(/\r\n(?=[ \t])/g, '');
    fields.push({ name: name.toLowerCase(), from: index, to: index + lines.length, value: value.trim() });
  }
  return { bytes, fields };
}

/** Returns the value of the first field with a name, as one line with one character for each byte. */
export function rawValue(header: Header, name: string): string | undefined {
  return header.fields.find((field) => field.name === name)?.value;
}

/** Returns the value of the first field with a name as people read it: encoded words (RFC 2047) and UTF-8 are decoded. */
export function textOf(header: Header, name: string): string | undefined {
  const raw = rawValue(header, name);
  return raw === undefined ? undefined : decodeWords(Buffer.from(raw, 'latin1').toString('utf8')).trim();
}

/** Returns the value of the first field with a name and its parameters. The result is undefined if there is no such field. */
export function structuredValue(header: Header, name: string): StructuredValue | undefined {
  const raw = rawValue(header, name);
  if (raw === undefined) return undefined;
  const { value, params } = parseHeaderValue(withoutComments(raw));
  return {
    value: value.trim().toLowerCase(),
    params: Object.fromEntries(Object.entries(params).map(([key, each]) => [key.toLowerCase(), each])),
  };
}

/** Removes comments in parentheses that are not in a quoted string (RFC 5322, 3.2.2). */
export function withoutComments(value: string): string {
  if (!value.includes('(')) return value;
  let result = '';
  let depth = 0;
  for (const [token] of value.matchAll(/"(?:[^"\\]|\\.)*"|\\.|[\s\S]/g)) {
    if (token === '(') depth++;
    else if (token === ')' && depth > 0) depth--;
    else if (depth === 0) result += token;
  }
  return result;
}

/** Returns the header without the fields of these names, and with further fields at its end. Each of `added` is `Name: value`. */
export function changeHeader(header: Header, removed: readonly string[], added: readonly string[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { name, from, to } of header.fields) {
    if (!removed.includes(name)) continue;
    pieces.push(header.bytes.subarray(at, from));
    at = to;
  }
  // The header ends in an empty line, unless the message ends with its header.
  const lastBytes = header.bytes.toString('latin1', Math.max(0, header.bytes.length - 4));
  const end = header.bytes.length - (/(?:^|\r\n)\r\n$/.test(lastBytes) ? 2 : 0);
  pieces.push(header.bytes.subarray(at, end), ...added.map((field) => Buffer.from(`${field}\r\n`)), header.bytes.subarray(end));
  return Buffer.concat(pieces);
}

/**
 * Returns the identifier of a List-Id (RFC 2919), which is in angle brackets after an optional name. Some libraries write it as a URL, so a
 * scheme is removed.
 */
export function listIdOf(header: Header): string | undefined {
  const value = textOf(header, 'list-id');
  return value === undefined ? undefined : (/<([^<>]+)>\s*$/.exec(value)?.[1] ?? value).replace(/^\s*https?:\/\//i, '').trim();
}
