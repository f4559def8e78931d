import { hash } from 'node:crypto';
import type { DeadReason } from '../core/event.ts';

// Splits the bytes of a log into lines. nginx writes each line with one write() to a file opened for appending. So a line is whole unless
// the disk was full or the power failed; then the next line follows a torn one without a newline. Every line starts with a constant
// (nginx/tracking.conf.template), which marks where the next line starts. No JSON string can contain it: its quotes are not escaped.

export const LINE_START = '{"v":1,"rid":"';
const LINE_START_BYTES = Buffer.from(LINE_START);
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
      // A whole line has the constant only at its start. The search for another line start begins at the second character.
      const again = text.indexOf(LINE_START, 1);
      if (again < 0 && text.startsWith(LINE_START)) onLine({ off: base + start, text });
      else if (again < 0) onFragment(fragment(bytes.subarray(start, next), base + start, fragmentReason(text)));
      else splitGlued(bytes.subarray(start, next), base + start, onLine, onFragment);
    }
    start = next;
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
  const at = bytes.lastIndexOf(LINE_START_BYTES);
  return at > 0 && bytes.length - at <= MAX_LINE_BYTES ? at : undefined;
}

function splitGlued(bytes: Buffer, off: number, onLine: (line: Line) => void, onFragment: (fragment: Fragment) => void): void {
  const at = bytes.lastIndexOf(LINE_START_BYTES);
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
