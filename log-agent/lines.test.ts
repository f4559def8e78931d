import { appendFile, type FileHandle, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { CompressedFile, scanCompressed } from './compressed-file.ts';
import { KIND_BYTES, kindOf } from './file-kind.ts';
import { fragment, type Fragment, hashOf, type Line, LINE_STARTS, MAX_LINE_BYTES, splitLines } from './lines.ts';
import type { Source } from './log-source.ts';
import { openPlainFile, PlainFile } from './plain-file.ts';

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

/** Returns the byte range of each report. It ends at the next report or at `end`. */
function stretches(reports: Report[], end: number): { report: Report; from: number; to: number }[] {
  return reports.map((report, i) => {
    const next = reports[i + 1];
    return { report, from: offOf(report), to: next ? offOf(next) : end };
  });
}

const junk = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes.map((byte) => (byte === 10 ? 0xff : byte))));
/** A line of a version that is not known. */
const newer = fc
  .record({ v: fc.constantFrom(0, 3, 10, 17, 999_999_999), more: fc.constantFrom('', ',"new":1') })
  .map(({ v, more }) => Buffer.from(logLine().replace('{"v":2,', `{"v":${v},`).replace(/}\n$/, `${more}}`)));
const whole = fc
  .record({ v: fc.constantFrom<1 | 2>(1, 2), ua: fc.string({ unit: 'binary', maxLength: 40 }), raw: fc.uint8Array({ maxLength: 8 }) })
  .map(({ v, ua, raw }) => {
    // nginx logs bytes from 0x80 on unchanged.
    const [before, after] = logLine({ v, ua: `<>${ua}` })
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
  { weight: 1, arbitrary: newer },
  { weight: 1, arbitrary: fc.tuple(torn, newer).map((parts) => Buffer.concat(parts)) },
);

/**
 * Content that is longer than the longest allowed line: zeros after a power failure, letters, other binary data, or a line without an end.
 */
const long = fc
  .record({
    over: fc.oneof(fc.integer({ min: -700, max: 2 }), fc.nat(400_000)),
    fill: fc.constantFrom(0, 0x78, 0xff),
    start: fc.constantFrom('', ...LINE_STARTS, logLine().slice(0, 90)),
  })
  .map(({ over, fill, start }) => Buffer.concat([Buffer.from(start), Buffer.alloc(MAX_LINE_BYTES + over - start.length, fill)]));
const mixedPiece = fc.oneof(
  { weight: 4, arbitrary: piece },
  { weight: 1, arbitrary: long },
  { weight: 1, arbitrary: fc.tuple(long, whole).map((parts) => Buffer.concat(parts)) },
  { weight: 1, arbitrary: fc.tuple(whole, long, torn, whole).map((parts) => Buffer.concat(parts)) },
);

/** The model: returns the expected reports of a log. It reads one line at a time and is as simple as possible. */
function model(bytes: Buffer): Report[] {
  const reports: Report[] = [];
  for (let from = 0; from < bytes.length; ) {
    const newline = bytes.indexOf(10, from);
    const to = newline < 0 ? bytes.length : newline + 1;
    const line = bytes.subarray(from, to);
    const latin1 = line.toString('latin1');
    const at = Math.max(...LINE_STARTS.map((start) => latin1.lastIndexOf(start)));
    const isNewer = /\{"v":(?!1,|2,|0)[0-9]{1,9},"rid":"[^\n]*,"new":1\}\n$/.test(latin1);
    if (isNewer && newline >= 0 && line.length <= MAX_LINE_BYTES) {
      reports.push({ fragment: { off: from, length: line.length, hash: hashOf(line), reason: 'unknown-version', isNewer: true } });
      from = to;
      continue;
    }
    const readable = newline >= 0 && at >= 0 && line.length - at <= MAX_LINE_BYTES;
    if (!readable || at > 0) {
      const own = readable ? line.subarray(0, at) : line;
      const text = own.toString('utf8');
      const short = newline < 0 ? 'unterminated' : /^\{"v":\d+,/.test(text) && !readable ? 'unknown-version' : 'torn';
      reports.push({
        fragment: { off: from, length: own.length, hash: hashOf(own), reason: line.length > MAX_LINE_BYTES ? 'too-long' : short },
      });
    }
    if (readable) reports.push({ line: { off: from + at, text: line.toString('utf8', at, line.length - 1) } });
    from = to;
  }
  return reports;
}

/** Reads a file as the shipper does: whole lines, passed-over bytes and the unterminated end. */
async function readSource(source: Source): Promise<Report[]> {
  const reports: Report[] = [];
  for (let from = 0; from < source.size; ) {
    const chunk = await source.read(from, source.size);
    if (chunk.kind === 'more') continue;
    if (!('to' in chunk)) throw new Error(chunk.kind);
    if (chunk.kind === 'lines') reports.push(...split(chunk.bytes, from));
    else if (chunk.kind === 'tail') reports.push({ fragment: fragment(chunk.bytes, from, 'unterminated') });
    else if (chunk.kind === 'long')
      reports.push({ fragment: { off: from, length: chunk.to - from, hash: chunk.hash, reason: 'too-long' } });
    from = chunk.to;
  }
  return reports;
}

describe('reading a log with lines of any length', () => {
  test('gives the same from a plain file, a gzip and a zstd file, wherever long lines, zeros and the ends of reads are', {
    timeout: 120_000,
  }, async () => {
    const directory = await temporaryDirectory();
    await fc.assert(
      fc.asyncProperty(fc.array(mixedPiece, { minLength: 1, maxLength: 8 }), fc.boolean(), fc.nat(), async (pieces, terminated, cut) => {
        const joined = Buffer.concat(pieces.flatMap((line) => [line, Buffer.from('\n')]));
        const bytes = terminated ? joined : joined.subarray(0, -1);
        if (bytes.length === 0) return;
        const expected = model(bytes);
        const path = join(directory, 'log');
        await writeFile(path, bytes);
        const opened = await openPlainFile(path);
        const plain = new PlainFile(opened?.file as FileHandle, path);
        await plain.refresh();
        await plain.identify(Number.POSITIVE_INFINITY);
        plain.markFinal();
        // Reads the file twice, because the file object remembers the long lines that it found.
        for (let i = 0; i < 2; i++) expect(await readSource(plain)).toEqual(expected);
        await plain.close();
        const at = cut % bytes.length;
        for (const [compression, compress] of [
          ['gzip', gzipSync],
          ['zstd', zstdCompressSync],
        ] as const) {
          await writeFile(path, Buffer.concat([compress(bytes.subarray(0, at)), compress(bytes.subarray(at))]));
          const result = await scanCompressed(path, compression);
          // A file that does not look like a log is not read, whether it is compressed or not.
          if (plain.binary || kindOf(bytes.subarray(0, KIND_BYTES)) !== 'plain') {
            expect(result).toMatchObject({ fault: { other: expect.any(String) as string } });
            continue;
          }
          if (!('log' in result)) throw new Error(JSON.stringify(result));
          expect(result.log).toMatchObject({ size: bytes.length, identity: { gen: plain.identity?.gen } });
          const file = new CompressedFile(path, compression, { ...result.log, mtimeMs: 0 });
          for (let i = 0; i < 2; i++) expect(await readSource(file)).toEqual(expected);
          await file.close();
        }
      }),
      {
        ...runs(60),
        examples: [
          [[Buffer.alloc(600_000), Buffer.from(logLine().trimEnd())], true, 512 * 1024],
          [[Buffer.alloc(9_000_000)], false, 1],
        ],
      },
    );
  });

  test('a log that grows while a line is passed over gives the same, wherever it was read', { timeout: 120_000 }, async () => {
    const directory = await temporaryDirectory();
    await fc.assert(
      fc.asyncProperty(fc.array(mixedPiece, { minLength: 2, maxLength: 6 }), fc.array(fc.nat(), { maxLength: 5 }), async (pieces, cuts) => {
        const bytes = Buffer.concat(pieces.flatMap((line) => [line, Buffer.from('\n')]));
        const ends = [...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
        const path = join(directory, 'log');
        await writeFile(path, '');
        const opened = await openPlainFile(path);
        const file = new PlainFile(opened?.file as FileHandle, path);
        const reports: Report[] = [];
        let from = 0;
        for (const [i, end] of ends.entries()) {
          await appendFile(path, bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
          await file.refresh();
          for (;;) {
            const chunk = await file.read(from, file.size);
            if (chunk.kind === 'more') continue;
            if (!('to' in chunk)) break;
            expect(chunk.kind).not.toBe('tail');
            if (chunk.kind === 'long')
              reports.push({ fragment: { off: from, length: chunk.to - from, hash: chunk.hash, reason: 'too-long' } });
            else reports.push(...split(chunk.bytes, from));
            from = chunk.to;
          }
        }
        expect(reports).toEqual(model(bytes));
        await file.close();
      }),
      runs(60),
    );
  });
});

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
            expect(LINE_STARTS.some((start) => report.line.text.startsWith(start))).toBe(true);
            expect(`${report.line.text}\n`).toBe(own.toString('utf8'));
          } else {
            expect(report.fragment).toMatchObject({ off: from, length: own.length, hash: hashOf(own), reason: report.fragment.reason });
          }
        }
        expect(end).toBe(base + bytes.length);
        // Splitting at any newline gives the same reports.
        expect(split(bytes)).toEqual(model(bytes));
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
    const line = logLine({ ua: LINE_STARTS[1], ref: `x${LINE_STARTS[0]}`, q: '{"v":3,"rid":"' });
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

  test('a line behind zeros is recovered, however many they are', () => {
    for (const zeros of [1, 1000, MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 2_000_000]) {
      const reports = split(Buffer.concat([Buffer.alloc(zeros), Buffer.from(logLine())]));
      expect(reports).toMatchObject([{ fragment: { off: 0, length: zeros } }, { line: { off: zeros } }]);
    }
  });

  test('says of a line with another version that its version is unknown, and of anything else that it is torn', () => {
    const reasons = ['{"v":3,"rid":"x"}', '{"v":17,', '{"v":', 'x', '', '{"v":1,"id"'].map((text) => split(Buffer.from(`${text}\n`)));
    expect(reasons.flat().map((report) => 'fragment' in report && report.fragment.reason)).toEqual([
      'unknown-version',
      'unknown-version',
      'torn',
      'torn',
      'torn',
      'unknown-version',
    ]);
  });

  test('only a line that a newer agent can read is newer', () => {
    const isNewer = (text: string): unknown[] => split(Buffer.from(text)).map((report) => 'fragment' in report && report.fragment.isNewer);
    const lines = [
      '{"v":3,"rid":"0","new":1}',
      '{"v":3,"rid":"0","x":""}',
      '{"v":3,"rid":"0","new":1',
      '{"v":3,"new":1,"rid":"0"}',
      '{"v":1,"rid":"torn{"v":30,"rid":"0","new":1}',
      '{"v":3,"rid":"torn{"v":4,"rid":"0","new":1}',
      '{"v":1000000000,"rid":"0","new":1}',
    ];
    expect(isNewer(`${lines.join('\n')}\n`)).toEqual([true, undefined, undefined, undefined, true, true, undefined]);
    expect(isNewer(`{"v":3,"rid":"torn${logLine()}`)).toEqual([undefined, false]);
  });
});
