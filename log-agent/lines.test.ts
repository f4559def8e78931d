import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { type Fragment, hashOf, type Line, LINE_START, MAX_LINE_BYTES, splitLines } from './lines.ts';

type Report = { line: Line } | { fragment: Fragment };

function split(bytes: Buffer, base = 0): Report[] {
  const reports: Report[] = [];
  splitLines(
    bytes,
    base,
    (line) => reports.push({ line }),
    (fragment) => reports.push({ fragment }),
  );
  return reports;
}

const offOf = (report: Report): number => ('line' in report ? report.line.off : report.fragment.off);

/** The byte range of each report: up to the next one, or to the end. */
function stretches(reports: Report[], end: number): { report: Report; from: number; to: number }[] {
  return reports.map((report, i) => {
    const next = reports[i + 1];
    return { report, from: offOf(report), to: next ? offOf(next) : end };
  });
}

const junk = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes.map((byte) => (byte === 10 ? 0xff : byte))));
const whole = fc.record({ ua: fc.string({ unit: 'binary', maxLength: 40 }), raw: fc.uint8Array({ maxLength: 8 }) }).map(({ ua, raw }) => {
  // nginx logs bytes from 0x80 on unchanged.
  const [before, after] = logLine({ ua: `<>${ua}` })
    .trimEnd()
    .split('<>') as [string, string];
  return Buffer.concat([Buffer.from(before), Buffer.from(raw.map((byte) => byte | 0x80)), Buffer.from(after)]);
});
const torn = fc.tuple(whole, fc.nat(300)).map(([line, at]) => line.subarray(0, Math.min(at, line.length - 1)));
const piece = fc.oneof(
  { weight: 4, arbitrary: whole },
  { weight: 1, arbitrary: fc.constant(Buffer.alloc(0)) },
  { weight: 2, arbitrary: junk },
  { weight: 2, arbitrary: fc.tuple(junk, whole).map((parts) => Buffer.concat(parts)) },
  { weight: 3, arbitrary: fc.tuple(torn, whole).map((parts) => Buffer.concat(parts)) },
  { weight: 1, arbitrary: torn },
);

describe('splitting a log into lines', () => {
  test('reports every byte exactly once, wherever the chunks end', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.nat(5000), (pieces, base) => {
        const bytes = Buffer.concat(pieces.flatMap((line) => [line, Buffer.from('\n')]));
        const all = split(bytes, base);
        let end = base;
        for (const { report, from, to } of stretches(all, base + bytes.length)) {
          expect(from).toBe(end);
          end = to;
          const own = bytes.subarray(from - base, to - base);
          if ('line' in report) {
            expect(report.line.text.startsWith(LINE_START)).toBe(true);
            expect(`${report.line.text}\n`).toBe(own.toString('utf8'));
          } else {
            expect(report.fragment).toEqual({ off: from, length: own.length, hash: hashOf(own), reason: report.fragment.reason });
          }
        }
        expect(end).toBe(base + bytes.length);
        // Splitting at any newline gives the same reports.
        for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
          expect([...split(bytes.subarray(0, at + 1), base), ...split(bytes.subarray(at + 1), base + at + 1)]).toEqual(all);
        }
      }),
      runs(1000),
    );
  });

  test('recovers a whole line glued to a torn one, at its byte offset, whatever bytes came before', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          torn,
          junk,
          fc.tuple(torn, junk).map((parts) => Buffer.concat(parts)),
        ),
        whole,
        (before, line) => {
          const reports = split(Buffer.concat([before, line, Buffer.from('\n')]), 1000);
          expect(reports.at(-1)).toEqual({ line: { off: 1000 + before.length, text: line.toString('utf8') } });
          if (before.length === 0) expect(reports).toHaveLength(1);
          else expect(reports[0]).toMatchObject({ fragment: { off: 1000, length: before.length, reason: 'torn' } });
        },
      ),
      runs(1000),
    );
  });

  test('counts bytes, not characters, in front of a glued line', () => {
    const before = Buffer.from([0xff, 0xfe, 0xe2, 0x82, 0xf0, 0x9f, 0x98, 0x80]);
    const reports = split(Buffer.concat([before, Buffer.from(logLine())]));
    expect(reports.map(offOf)).toEqual([0, 8]);
  });

  test('is not fooled by a user agent that looks like the start of a line', () => {
    const line = logLine({ ua: LINE_START, ref: `x${LINE_START}` });
    expect(split(Buffer.from(line))).toEqual([{ line: { off: 0, text: line.trimEnd() } }]);
  });

  test('a line longer than any line of nginx is one fragment, and the next line is not touched by it', () => {
    const longest = Buffer.from(logLine({ ua: 'x'.repeat(MAX_LINE_BYTES - logLine({ ua: '' }).length) }));
    expect(longest).toHaveLength(MAX_LINE_BYTES);
    const tooLong = Buffer.from(logLine({ ua: 'x'.repeat(MAX_LINE_BYTES + 1 - logLine({ ua: '' }).length) }));
    const reports = split(Buffer.concat([longest, tooLong, Buffer.from(logLine())]));
    expect(reports).toEqual([
      { line: { off: 0, text: expect.any(String) } },
      { fragment: { off: MAX_LINE_BYTES, length: MAX_LINE_BYTES + 1, reason: 'too-long', hash: hashOf(tooLong) } },
      { line: { off: 2 * MAX_LINE_BYTES + 1, text: expect.any(String) } },
    ]);
  });

  test('says of a line with another version that its version is unknown, and of anything else that it is torn', () => {
    const reasons = ['{"v":2,"rid":"x"}', '{"v":17,', '{"v":', 'x', '', '{"v":1,"id"'].map((text) => split(Buffer.from(`${text}\n`)));
    expect(reasons.flat().map((report) => 'fragment' in report && report.fragment.reason)).toEqual([
      'unknown-version',
      'unknown-version',
      'torn',
      'torn',
      'torn',
      'unknown-version',
    ]);
  });
});
