import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { type Fragment, LINE_STARTS, MAX_LINE_BYTES, splitLines } from './lines.ts';
import { type Parsed, parseLine } from './parse.ts';
import { scanLines } from './scan.ts';

// Compares the scanner with splitLines and parseLine. The scanner must give the same result for every log.

type Read = { off: number; parsed: Parsed } | { fragment: Fragment };

function scanned(bytes: Buffer, base: number): Read[] {
  const reads: Read[] = [];
  scanLines(
    bytes,
    base,
    (off, parsed) => reads.push({ off, parsed }),
    (fragment) => reads.push({ fragment }),
  );
  return reads;
}

function model(bytes: Buffer, base: number): Read[] {
  const reads: Read[] = [];
  splitLines(
    bytes,
    base,
    ({ off, text }) => reads.push({ off, parsed: parseLine(text) }),
    (fragment) => reads.push({ fragment }),
  );
  return reads;
}

function expectSame(bytes: Buffer, base = 0): void {
  expect(scanned(bytes, base)).toEqual(model(bytes, base));
}

const slug = fc.string({ unit: fc.constantFrom('0', 'a', 'Z', 'z', '9'), minLength: 3, maxLength: 42 });
const path = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom('/u/', '/r/', '/o/'), slug, fc.constantFrom('', '', '.gif', '.', '-x', '/')) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom('/', '/x/', '', '/u'), slug, fc.constant('')) },
);
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('', 'Mozilla/5.0 (X11; Linux x86_64)', 'https://a.example/?q=1', '   ') },
  { weight: 3, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 30 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(...LINE_STARTS, '\u007f', '\u2028', '\\u0041', '"', '\0', '","link":"7.1"}') },
);
const written = fc
  .record({
    v: fc.constantFrom<1 | 2>(1, 2),
    q: value,
    h: value,
    x: value,
    t: fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 946_684_800_000, max: 4_102_444_799_999 }).map((ms) => ms / 1000) },
      { weight: 1, arbitrary: fc.constantFrom(0, 1.5, 946_684_799.999, 946_684_800, 4_102_444_799.999, 4_102_444_800, 1e11) },
    ),
    m: fc.constantFrom('GET', 'HEAD', 'POST', ''),
    u: path.map((parts) => parts.join('')),
    s: fc.constantFrom(200, 302, 302, 200, 404, 499, 0, 99, 1000),
    ip: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('', 'unix:')),
    ua: value,
    ref: value,
    purpose: value,
    link: fc.constantFrom('', '7.1', '7.1', '0.1', '7', '9007199254740991.999999999', '7.1, 8.1'),
  })
  .map(logLine);

/** A line after one edit. If the scanner accepts such a line, JSON.parse must accept it, too. */
const edited = fc
  .tuple(
    written,
    fc.nat(),
    fc.nat(3),
    fc.oneof(fc.constantFrom('"', '\\', '\n', ',', '0', ' ', '\x7f', 'é', '}', '"}', '1e3', '.'), fc.string()),
  )
  .map(([line, at, removed, put]) => line.slice(0, at % line.length) + put + line.slice((at % line.length) + removed));
/** The same JSON, written in another way. */
const rewritten = written.map((line) => {
  try {
    const { v, ...rest } = JSON.parse(line) as Record<string, unknown>;
    return `${JSON.stringify({ v, ...rest, extra: 1 })}\n`;
  } catch {
    return line;
  }
});
const torn = fc.tuple(written, fc.nat(), fc.boolean()).map(([line, at, ends]) => line.slice(0, at % line.length) + (ends ? '\n' : ''));
const raw = fc.tuple(written, fc.uint8Array({ maxLength: 6 }), fc.nat()).map(([line, bytes, at]) => {
  const whole = Buffer.from(line);
  const cut = at % whole.length;
  return Buffer.concat([whole.subarray(0, cut), bytes, whole.subarray(cut)]);
});
const piece: fc.Arbitrary<string | Buffer> = fc.oneof(
  { weight: 6, arbitrary: written },
  { weight: 3, arbitrary: edited },
  { weight: 1, arbitrary: rewritten },
  { weight: 2, arbitrary: torn },
  { weight: 2, arbitrary: raw },
  { weight: 1, arbitrary: fc.constantFrom('', '\n', '\0\0\0', '{"v":2,"rid":"', '{"v":3,"rid":"0"}\n', '{"v":1}\n') },
);

describe('the scanner', () => {
  test('reads every log as splitLines and parseLine do', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.nat({ max: 2 ** 40 }), (pieces, base) => {
        expectSame(Buffer.concat([...pieces.map((part) => Buffer.from(part)), Buffer.from('\n')]), base);
      }),
      runs(1500),
    );
  });

  test('agrees on every change of one byte of a line', () => {
    const [before, after] = [logLine(), logLine({ u: '/r/00abcdefghijklmnopq', s: 200, link: '' })];
    for (const line of [logLine({ v: 1, ua: 'Mail/1' }), logLine({ ua: 'Mail/1', q: 'a=1', x: '.' })])
      for (let at = 0; at < line.length; at++)
        for (const byte of [0, 9, 10, 31, 32, 34, 44, 48, 57, 65, 92, 125, 127, 128, 255]) {
          const bytes = Buffer.from(before + line + after);
          bytes[before.length + at] = byte;
          expectSame(bytes);
        }
  });

  test.each([-1, 0, 1])('agrees on a line of the greatest length and %i bytes', (more) => {
    const length = MAX_LINE_BYTES + more - logLine({ ua: '' }).length;
    expectSame(Buffer.from(logLine() + logLine({ ua: 'x'.repeat(length) }) + logLine()));
  });

  test('takes ordinary lines without decoding JSON', () => {
    const parse = JSON.parse;
    let parsed = 0;
    JSON.parse = (...args) => (parsed++, parse(...args));
    try {
      const lines = [
        logLine(),
        logLine({ v: 1 }),
        logLine({ u: '/r/00abcdefghijklmnopq.gif', s: 200, link: '' }),
        logLine({ u: '/u/x', s: 404, link: '' }),
      ];
      expect(scanned(Buffer.from(lines.join('')), 0)).toHaveLength(4);
      expect(parsed).toBe(0);
      scanned(Buffer.from(logLine({ ua: 'a "quote"' })), 0);
      expect(parsed).toBe(1);
    } finally {
      JSON.parse = parse;
    }
  });
});
