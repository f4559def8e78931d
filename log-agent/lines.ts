import { hash } from 'node:crypto';
import type { DeadReason } from '../core/event.ts';

// Cuts the bytes of a log into lines. nginx writes each line with one write() to a file opened for appending, so a line is whole unless
// the disk was full or the power failed. Then the next line is glued to the torn one, and the constant that every line begins with
// (nginx/tracking.conf.template) tells where: no JSON string can contain it, because its quotes are not escaped.

export const LINE_START = '{"v":1,"rid":"';
const LINE_START_BYTES = Buffer.from(LINE_START);
const NEWLINE = 10;

/** When a line was logged, epoch seconds. With the comma behind it: where a line is glued to a torn one, that may end within its time. */
export const LOGGED_AT = /"t":(\d+(?:\.\d+)?),/;

/** nginx' limits allow about 100 KB (16 KB of headers, where each byte can become six); what is longer is no line of nginx. */
export const MAX_LINE_BYTES = 256 * 1024;

/** A whole line without its newline; `off` is its byte offset in the generation. Invalid UTF-8 has become U+FFFD. */
export interface Line {
  off: number;
  text: string;
}

/** A stretch that is no line; `length` counts its newline, if it has one. */
export interface Fragment {
  off: number;
  reason: DeadReason;
  length: number;
  hash: string;
}

/** The first 16 hex digits of the SHA-256 of the bytes: enough to recognise them in the log. */
export function hashOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex').slice(0, 16);
}

/**
 * Reports every line of `bytes`, which begin at `base` and end behind a newline. Each byte belongs to exactly one report.
 */
export function splitLines(bytes: Buffer, base: number, onLine: (line: Line) => void, onFragment: (fragment: Fragment) => void): void {
  let start = 0;
  while (start < bytes.length) {
    const found = bytes.indexOf(NEWLINE, start);
    const end = found < 0 ? bytes.length : found;
    const next = found < 0 ? end : end + 1;
    if (next - start > MAX_LINE_BYTES) {
      onFragment(fragment(bytes.subarray(start, next), base + start, 'too-long'));
    } else {
      const text = bytes.toString('utf8', start, end);
      // Searched from behind the first character: a whole line has the constant at its start and nowhere else.
      const again = text.indexOf(LINE_START, 1);
      if (again < 0 && text.startsWith(LINE_START)) onLine({ off: base + start, text });
      else if (again < 0) onFragment(fragment(bytes.subarray(start, next), base + start, reasonOf(text)));
      else splitGlued(bytes.subarray(start, next), base + start, onLine, onFragment);
    }
    start = next;
  }
}

function splitGlued(bytes: Buffer, off: number, onLine: (line: Line) => void, onFragment: (fragment: Fragment) => void): void {
  const at = bytes.lastIndexOf(LINE_START_BYTES);
  onFragment(fragment(bytes.subarray(0, at), off, 'torn'));
  const end = bytes[bytes.length - 1] === NEWLINE ? bytes.length - 1 : bytes.length;
  onLine({ off: off + at, text: bytes.toString('utf8', at, end) });
}

function reasonOf(text: string): DeadReason {
  return /^\{"v":\d+,/.test(text) ? 'unknown-version' : 'torn';
}

export function fragment(bytes: Uint8Array, off: number, reason: DeadReason): Fragment {
  return { off, reason, length: bytes.length, hash: hashOf(bytes) };
}
