import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { scanCompressed } from './compressed-file.ts';
import { openPlainFile, PlainFile } from './plain-file.ts';
import { createIdentifier, type Identity } from './identity.ts';

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32);

function identify(bytes: Buffer, cuts: number[] = []): Identity | undefined {
  const identifier = createIdentifier();
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let i = 1; i < at.length; i++) {
    const identity = identifier.push(bytes.subarray(at[i - 1], at[i]));
    if (identity) return identity;
  }
  return undefined;
}

const line = logLine({ t: 1_790_000_000.5 });
const junkLine = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.concat([Buffer.from(bytes), Buffer.from('\n')]));

describe('the identity of a generation', () => {
  test('is the hash of its bytes up to the end of the first line with a request id, however they come', () => {
    fc.assert(
      fc.property(fc.array(junkLine, { maxLength: 5 }), fc.array(fc.nat(2000), { maxLength: 8 }), (junk, cuts) => {
        const head = Buffer.concat([...junk, Buffer.from(line)]);
        const identity = identify(Buffer.concat([head, Buffer.from(logLine())]), cuts);
        expect(identity).toMatchObject({ gen: sha(head), startedAt: 1_790_000_000.5 });
      }),
      runs(500),
    );
  });

  test('is not known before that line is whole', () => {
    const identifier = createIdentifier();
    expect(identifier.push(Buffer.from(line.slice(0, -1)))).toBeUndefined();
    expect(identifier.push(Buffer.from('\n'))).toMatchObject({ gen: sha(Buffer.from(line)) });
  });

  test('a line glued to a torn one counts, one of a later version too, and a bad id does not', () => {
    for (const torn of ['{"v":1,"rid":"00', line.slice(0, line.indexOf('"t":') + 6), line.slice(0, line.indexOf('"t":') + 14)]) {
      const glued = Buffer.from(torn + line);
      expect(identify(glued)).toMatchObject({ gen: sha(glued), startedAt: 1_790_000_000.5 });
    }
    const later = Buffer.from('{"v":2,"rid":"00112233445566778899aabbccddeeff","when":1}\n');
    expect(identify(later)).toMatchObject({ gen: sha(later), startedAt: 0 });
    expect(identify(Buffer.from(line.replace(/"rid":"./, '"rid":"g')))).toBeUndefined();
  });

  test('a line too long to be one carries no id, wherever the bytes are cut', () => {
    const tooLong = Buffer.from(logLine({ ua: 'x'.repeat(700_000) }));
    const glued = Buffer.concat([Buffer.alloc(600_000, 0x78), Buffer.from(logLine())]);
    for (const long of [tooLong, glued]) {
      const bytes = Buffer.concat([long, Buffer.from(line)]);
      const expected = sha(bytes);
      const steps = [64 * 1024, 256 * 1024, 1024 * 1024].map((step) =>
        Array.from({ length: 1 + Math.floor(bytes.length / step) }, (_, i) => i * step),
      );
      for (const cuts of [[], ...steps, [long.length - 10], [100, long.length - 300]]) {
        expect(identify(bytes, cuts)?.gen, cuts.join(' ')).toBe(expected);
      }
    }
  });

  test('of a file without any request id is the hash of all of it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300), { maxLength: 4 }), (bytes, cuts) => {
        const all = Buffer.from(bytes);
        const identifier = createIdentifier();
        let start = 0;
        for (const cut of [...cuts.map((at) => at % (all.length + 1)).sort((a, b) => a - b), all.length]) {
          expect(identifier.push(all.subarray(start, cut))).toBeUndefined();
          start = cut;
        }
        expect(identifier.bytesTaken).toBe(all.length);
        expect(identifier.end()).toMatchObject({ gen: sha(all), startedAt: 0 });
      }),
    );
  });

  test('is the same for a file, its gzip and its zstd, of one frame or several', async () => {
    const directory = await temporaryDirectory();
    const long = 'y'.repeat(400_000);
    const contents = [line + logLine(), `junk\n${line}`, `${long}${logLine()}${line}`, 'no id\nat all', `${long}\n${long}`];
    for (const [i, content] of contents.entries()) {
      const plainPath = join(directory, `${i}`);
      const compressedPath = join(directory, `${i}.compressed`);
      await writeFile(plainPath, content);
      const opened = await openPlainFile(plainPath);
      const plain = new PlainFile(opened?.file as never, plainPath);
      await plain.refresh();
      plain.markFinal();
      const compressed = {
        gzip: gzipSync(content),
        zstd: Buffer.concat([zstdCompressSync(content.slice(0, 100)), zstdCompressSync(content.slice(100))]),
      };
      for (const compression of ['gzip', 'zstd'] as const) {
        await writeFile(compressedPath, compressed[compression]);
        const result = await scanCompressed(compressedPath, compression);
        expect(result).toMatchObject({ log: { identity: { gen: plain.identity?.gen }, size: plain.size } });
      }
      await plain.close();
    }
  });
});
