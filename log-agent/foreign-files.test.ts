import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { kindOf } from './file-kind.ts';
import { openFinishedLogs } from './finished-logs.ts';
import { Follower } from './follow.ts';

// Tests files in a log directory that are not logs, although some have the name of a log. The agent reports them, and neither reads nor
// deletes them. A damaged log still counts as a log.

const log = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => logLine()).join(''));

async function setUp(): Promise<{ directory: string; path: (name: string) => string; follower: Follower; scan: () => Promise<void> }> {
  const directory = await temporaryDirectory();
  // The clock of the follower is ahead, so that every scan is a full scan and no file counts as being written.
  let clock = Date.now() + 120_000;
  const follower = new Follower({ directory, now: () => (clock += 2000), quietMs: 0 });
  onTestFinished(() => follower.close());
  const scan = async () => {
    await follower.scan();
    while (await follower.identify());
    await follower.scan();
  };
  return { directory, path: (name) => join(directory, name), follower, scan };
}

/** Compresses with a program. Returns undefined if this machine does not have the program. */
function packed(program: string, args: string[], input: Buffer): Buffer | undefined {
  try {
    return execFileSync(program, args, { input, stdio: ['pipe', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

/** Returns a tar archive of one file. Its header has only the fields that are needed to recognise it. */
function tarOf(content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write('access.log');
  header.write(content.length.toString(8).padStart(11, '0'), 124);
  header.write('ustar\x0000', 257, 'latin1');
  return Buffer.concat([header, content, Buffer.alloc(1536 - (content.length % 512))]);
}

const starting = (...bytes: number[]): Buffer => Buffer.concat([Buffer.from(bytes), randomBytes(3000)]);

const content = log(30);
const CONTENTS: [what: string, bytes: Buffer | undefined][] = [
  ['compressed with xz', packed('xz', ['-c'], content) ?? starting(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)],
  ['compressed with bzip2', packed('bzip2', ['-c'], content) ?? starting(0x42, 0x5a, 0x68)],
  ['compressed with lz4', packed('lz4', ['-c'], content) ?? starting(4, 0x22, 0x4d, 0x18)],
  ['compressed with lzma', packed('xz', ['-c', '--format=lzma'], content) ?? starting(0x5d, 0, 0)],
  ['compressed with compress', starting(0x1f, 0x9d)],
  ['a zip archive', starting(0x50, 0x4b, 3, 4)],
  ['a 7z archive', starting(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c)],
  ['a tar archive', tarOf(content)],
  ['a tar archive, compressed', gzipSync(tarOf(content))],
  ['a tar archive, compressed', zstdCompressSync(tarOf(content))],
  ['compressed twice, first with zstd', gzipSync(zstdCompressSync(log(300)))],
  ['compressed twice, first with gzip', zstdCompressSync(gzipSync(log(300)))],
  ['a swap file of an editor', Buffer.concat([Buffer.from('b0VIM 9.0'), Buffer.alloc(4087), content])],
  ['a file of binary data', randomBytes(100_000)],
  ['a file of binary data, compressed', gzipSync(randomBytes(100_000))],
];

describe('a file under the name of a log', () => {
  test.each(CONTENTS)('that is %s is reported, and is no log', async (what, bytes) => {
    const { path, follower, scan } = await setUp();
    // The content decides, whatever the name says. The directory also has newer real logs, so the file is old enough to be final.
    const names = ['access.log.3', 'access.log.4.gz', 'access.log-20261122.xz', 'access.log.5.zst'];
    for (const name of names) {
      await writeFile(path(name), bytes as Buffer);
      await utimes(path(name), 1_000_000, 1_000_000);
    }
    for (const [i, name] of ['access.log', 'access.log.1', 'access.log.2'].entries())
      await writeFile(path(name), logLine({ t: 1_790_000_010 - i }));
    await scan();
    expect(follower.generations).toHaveLength(3);
    expect(follower.foreignFiles).toEqual([...names].sort().map((name) => ({ name, what, damaged: false })));
    expect(await readFile(path('access.log.3'))).toEqual(bytes);
    await expect(openFinishedLogs([path('access.log.3')])).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining(`access.log.3 is not a log (${what})`) as string,
    });
  });

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('that is a part of a %s file is reported once nothing writes to it any more', async (compression, compress) => {
    const directory = await temporaryDirectory();
    const path = join(directory, 'access.log.1.compressed');
    const whole = compress(log(300));
    let now = 0;
    let follower: Follower | undefined;
    onTestFinished(() => follower?.close());
    for (const length of [1, 3, 10, whole.length >> 1, whole.length - 1]) {
      await writeFile(path, whole.subarray(0, length));
      now = Date.now();
      await follower?.close();
      follower = new Follower({ directory, now: () => (now += 1001) });
      await follower.scan();
      await follower.scan();
      expect([follower.generations, follower.foreignFiles]).toEqual([[], []]);
      now += 120_000;
      await follower.scan();
      expect(follower.generations).toEqual([]);
      expect(follower.foreignFiles).toEqual([
        { name: 'access.log.1.compressed', what: `${compression}, incomplete or damaged`, damaged: true },
      ]);
    }
    await writeFile(path, whole);
    await follower?.scan();
    expect([follower?.generations.length, follower?.foreignFiles]).toEqual([1, []]);
  });

  test('that is a pipe, a socket, a directory or a link to another place is reported, and never opened', async () => {
    const { directory, path, follower, scan } = await setUp();
    const elsewhere = join(await temporaryDirectory(), 'access.log');
    await writeFile(elsewhere, log(3));
    await writeFile(path('access.log.1'), log(2));
    await mkdir(path('access.log.d'));
    // Opening a pipe would block.
    execFileSync('mkfifo', [path('access.log.pipe')]);
    const server = createServer().listen(path('access.log.socket'));
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    await symlink(elsewhere, path('access.log.link'));
    await symlink(join(directory, 'nothing'), path('access.log.dangling'));
    // This link is another name for a log that is followed anyway.
    await symlink('access.log.1', path('access.log.newest'));
    await scan();
    expect(follower.foreignFiles).toEqual([
      { name: 'access.log.d', what: 'a directory', damaged: false },
      { name: 'access.log.dangling', what: 'a link to another place', damaged: false },
      { name: 'access.log.link', what: 'a link to another place', damaged: false },
      { name: 'access.log.pipe', what: 'a pipe', damaged: false },
      { name: 'access.log.socket', what: 'a socket', damaged: false },
    ]);
    expect(follower.generations).toMatchObject([{ paths: [path('access.log.1')] }]);
  });

  test('whose name is that of a temporary file is left alone, even with the content of a log', async () => {
    const { directory, path, follower, scan } = await setUp();
    const names = ['.access.log.swp', '.access.log.1.Xy12aB', 'access.log~', 'access.log.1~', 'access.log.2.tmp', 'access.log.2.gz.tmp'];
    names.push('access.log.3.filepart', 'access.log.3.part', 'access.log.4.partial', 'access.log.swp', 'access.log.TMP');
    for (const name of names) await writeFile(path(name), log(2));
    await scan();
    expect(follower.generations).toEqual([]);
    expect(follower.foreignFiles).toEqual([...names].sort().map((name) => ({ name, what: 'a temporary file', damaged: false })));
    expect((await readdir(directory)).sort()).toEqual([...names].sort());
  });

  test('is a log again as soon as its content is one', async () => {
    const { path, follower, scan } = await setUp();
    await writeFile(path('access.log.1'), randomBytes(5000));
    await scan();
    expect([follower.generations.length, follower.foreignFiles.length]).toEqual([0, 1]);
    await writeFile(path('access.log.1'), log(2));
    await scan();
    expect([follower.generations.length, follower.foreignFiles.length]).toEqual([1, 0]);
    await writeFile(path('access.log.1'), zstdCompressSync(log(5)));
    await scan();
    expect([follower.generations.length, follower.foreignFiles.length]).toEqual([1, 0]);
  });
});

describe('a damaged log is a log', () => {
  test('whatever stands before its first whole line', async () => {
    const { path, follower, scan } = await setUp();
    const damage = fc.oneof(
      fc.nat(3_000_000).map((length) => Buffer.alloc(length)),
      fc.uint8Array({ minLength: 1, maxLength: 5000 }).map((bytes) => Buffer.from(bytes)),
      fc.tuple(fc.nat(5000), fc.uint8Array({ maxLength: 5000 })).map(([zeros, bytes]) => Buffer.concat([Buffer.alloc(zeros), bytes])),
    );
    await fc.assert(
      fc.asyncProperty(damage, fc.boolean(), async (bytes, glued) => {
        // Skips random bytes that look like another kind of file, because such a file does not count as a log.
        fc.pre(kindOf(bytes) === 'plain');
        const damaged = Buffer.concat([bytes, Buffer.from(glued ? '' : '\n'), log(3)]);
        await writeFile(path('access.log.1'), damaged);
        await scan();
        expect(follower.generations).toMatchObject([{ size: damaged.length }]);
        expect(follower.foreignFiles).toEqual([]);
      }),
      runs(60),
    );
  });

  test('a file of zeros is one, plain or compressed, once it is final', async () => {
    const { path, follower, scan } = await setUp();
    const zeros = Buffer.alloc(3_000_000);
    const contents = { 'access.log.3': zeros, 'access.log.4.gz': gzipSync(zeros), 'access.log.5.zst': zstdCompressSync(zeros) };
    for (const [name, bytes] of Object.entries(contents)) {
      await writeFile(path(name), bytes);
      await utimes(path(name), 1_000_000, 1_000_000);
    }
    for (const [i, name] of ['access.log', 'access.log.1', 'access.log.2'].entries())
      await writeFile(path(name), logLine({ t: 1_790_000_010 - i }));
    await scan();
    expect(follower.foreignFiles).toEqual([]);
    expect(follower.generations).toHaveLength(4);
    expect(follower.generations[0]).toMatchObject({
      size: zeros.length,
      final: true,
      paths: expect.objectContaining({ length: 3 }) as string[],
    });
  });
});

test('old logs are shipped by content, plain, gzip or zstd, and two of one content are one', async () => {
  const directory = await temporaryDirectory();
  const files = { plain: content, 'a.gz': zstdCompressSync(content), 'b.zst': gzipSync(content) };
  for (const [name, bytes] of Object.entries(files)) {
    await writeFile(join(directory, name), bytes);
    await utimes(join(directory, name), 1, 1);
  }
  const logs = await openFinishedLogs(Object.keys(files).map((name) => join(directory, name)));
  expect(logs.generations).toMatchObject([{ size: content.length, final: true }]);
  await logs.close();
});
