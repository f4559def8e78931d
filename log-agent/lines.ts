import { hash } from 'node:crypto';
import type { DeadReason } from '../core/event.ts';

// Splits the bytes of a log into lines. nginx writes each line with one write() to a file opened for appending. So a line is whole unless
// the disk was full or the power failed; then the next line follows a torn one without a newline. Every line starts with a constant
// (nginx/tracking.conf.template), which marks where the next line starts. No JSON string can contain it: its quotes are not escaped.

/** The starts of the versions of the log format that this agent reads. */
export const LINE_STARTS = ['{"v":1,"rid":"', '{"v":2,"rid":"'] as const;
/** The start of a line of a version that this agent does not know. */
const NEWER_START = /\{"v":(?![12],)[1-9]\d{0,8},"rid":"/g;
/** All fields of the known versions. Every new version adds a field, so a line with a damaged version number is not taken for a newer one. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set('v rid t m u s ip ua ref purpose link q h x'.split(' '));
const NEWLINE = 10;

/**
 * The time of a line, in epoch seconds. The comma makes sure that the number is complete, because a torn line may end in the middle of the
 * time.
 */
export const LOGGED_AT = /"t":(\d+(?:\.\d+)?),/;

/**
 * The maximum length of a line with its newline. A longer line is passed over and not parsed. The limits of nginx allow 64 KB of path and
 * headers. nginx writes a quote as two bytes and a control character as six. A request with ordinary characters stays below 64 KB. A
 * request with a header of 16 KB of control characters takes 96 KB. Only a request with three such headers is too long. This number must
 * never change, because the same log must give the same hits even years later.
 */
export const MAX_LINE_BYTES = 256 * 1024;

/** A whole line without its newline; `off` is its byte offset in the generation. Invalid UTF-8 has become U+FFFD. */
export interface Line {
  off: number;
  text: string;
}

/** Bytes that are not a line. `length` includes the newline, if there is one. */
export interface Fragment {
  off: number;
  reason: DeadReason;
  length: number;
  hash: string;
  /** True if the bytes are, or end with, a whole line of a newer version. A batch must not account for them. */
  isNewer?: true;
}

/**
 * Returns the first 16 hex digits of the SHA-256 of the first MAX_LINE_BYTES bytes. This is enough to find the fragment in the log. A
 * longer fragment is never completely in memory.
 */
export function hashOf(bytes: Uint8Array): string {
  return hash('sha256', bytes.subarray(0, MAX_LINE_BYTES), 'hex').slice(0, 16);
}

/**
 * Reports the lines and fragments of `bytes` in order. `bytes` start at offset `base` of the generation and end with a newline. Each byte
 * belongs to exactly one line or fragment.
 */
export function splitLines(bytes: Buffer, base: number, onLine: (line: Line) => void, onFragment: (fragment: Fragment) => void): void {
  let start = 0;
  while (start < bytes.length) {
    const found = bytes.indexOf(NEWLINE, start);
    const end = found < 0 ? bytes.length : found;
    const next = found < 0 ? end : end + 1;
    if (next - start > MAX_LINE_BYTES) {
      splitTooLong(bytes.subarray(start, next), base + start, onLine, onFragment);
    } else {
      const text = bytes.toString('utf8', start, end);
      const line = bytes.subarray(start, next);
      // A whole line has the constant only at its start.
      const at = lastStart(line);
      if (endsWithNewerLine(text)) onFragment({ ...fragment(line, base + start, 'unknown-version'), isNewer: true });
      else if (at === 0) onLine({ off: base + start, text });
      else if (at < 0) onFragment(fragment(line, base + start, fragmentReason(text)));
      else splitGlued(line, at, base + start, onLine, onFragment);
    }
    start = next;
  }
}

/** Whether a text is, or ends with, a whole line that a newer agent can read. */
function endsWithNewerLine(text: string): boolean {
  const at = [...text.matchAll(NEWER_START)].at(-1)?.index;
  if (at === undefined) return false;
  try {
    return Object.keys(JSON.parse(text.slice(at)) as object).some((field) => !KNOWN_FIELDS.has(field));
  } catch {
    return false;
  }
}

function splitTooLong(bytes: Buffer, off: number, onLine: (line: Line) => void, onFragment: (fragment: Fragment) => void): void {
  const at = gluedLineAt(bytes);
  if (at === undefined) return onFragment(fragment(bytes, off, 'too-long'));
  onFragment(fragment(bytes.subarray(0, at), off, 'too-long'));
  onLine({ off: off + at, text: bytes.toString('utf8', at, bytes.length - 1) });
}

/**
 * Returns the position at which a whole line starts within the last bytes of a line that is too long, or undefined if there is none. After
 * a power failure a log may end with zeros, and nginx writes the next line directly after them. `bytes` contains the long line, or at least
 * its last MAX_LINE_BYTES bytes, with the newline.
 */
export function gluedLineAt(bytes: Buffer): number | undefined {
  const at = lastStart(bytes);
  return at > 0 && bytes.length - at <= MAX_LINE_BYTES ? at : undefined;
}

/** Returns the position of the last start of a line, or -1. */
const lastStart = (bytes: Buffer): number => Math.max(...LINE_STARTS.map((start) => bytes.lastIndexOf(start, undefined, 'latin1')));

function splitGlued(bytes: Buffer, at: number, off: number, onLine: (line: Line) => void, onFragment: (fragment: Fragment) => void): void {
  onFragment(fragment(bytes.subarray(0, at), off, 'torn'));
  const end = bytes[bytes.length - 1] === NEWLINE ? bytes.length - 1 : bytes.length;
  onLine({ off: off + at, text: bytes.toString('utf8', at, end) });
}

function fragmentReason(text: string): DeadReason {
  return /^\{"v":\d+,/.test(text) ? 'unknown-version' : 'torn';
}

/** Describes bytes at offset `off` that are not a readable line. */
export function fragment(bytes: Uint8Array, off: number, reason: DeadReason): Fragment {
  return { off, reason, length: bytes.length, hash: hashOf(bytes) };
}
