import { createHash } from 'node:crypto';
import { copyFile, type FileHandle, mkdir, open, readdir, readFile, rename, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { logLine } from '../test/support/log-lines.ts';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { type FollowEvent, Follower, type Generation } from './follow.ts';
import { hashOf } from './lines.ts';

/** Reads like the shipper, and collects the bytes of each generation. */
class Reader {
  readonly got = new Map<string, Buffer>();

  of(gen: string): Buffer {
    return this.got.get(gen) ?? Buffer.alloc(0);
  }

  /** Reads on from the last offset until nothing is left. */
  async read(generation: Generation): Promise<void> {
    for (;;) {
      const from = this.of(generation.id).length;
      if (from >= generation.size) return;
      const chunk = await generation.source.read(from, generation.size);
      if (!('bytes' in chunk)) return;
      expect(chunk.from).toBe(from);
      expect(chunk.bytes).toHaveLength(chunk.to - chunk.from);
      expect(chunk.bytes.length).toBeGreaterThan(0);
      if (chunk.kind === 'tail') expect(generation.final).toBe(true);
      else expect(chunk.bytes.at(-1)).toBe(10);
      this.got.set(generation.id, Buffer.concat([this.of(generation.id), chunk.bytes]));
    }
  }

  async readAll(follower: Follower): Promise<void> {
    for (const generation of follower.generations) await this.read(generation);
  }
}

/** Returns the expected generation id of a content. Undefined if no line of the content has a request id. */
function idOf(content: Buffer): string | undefined {
  for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, end + 1)) {
    const head = content.subarray(0, end + 1);
    if (/\{"v":\d+,"rid":"[0-9a-f]{32}"/.test(head.toString('latin1'))) return createHash('sha256').update(head).digest('hex').slice(0, 32);
  }
  return undefined;
}

/** Returns whether the line with the request id also has a time. If it has none, the follower orders files by modification time. */
function isTimed(content: Buffer): boolean {
  const line = content
    .toString('latin1')
    .split('\n')
    .find((text) => /\{"v":\d+,"rid":"[0-9a-f]{32}"/.test(text));
  return line !== undefined && /"t":\d+\.\d+,/.test(line);
}

/** Like `idOf`, but a final file without a request id is identified by all its bytes. */
const finalIdOf = (content: Buffer): string => idOf(content) ?? createHash('sha256').update(content).digest('hex').slice(0, 32);

/** One log file with the bytes that were written to it. After the file is truncated, the bytes that follow belong to a new WrittenFile. */
interface WrittenFile {
  content: Buffer;
  path: string | undefined;
  /** The file descriptor of the nginx workers. It is closed when no worker can write to the file any more. */
  writer: FileHandle | undefined;
  /** Time of the last write, in epoch seconds. */
  t: number;
  /** The missing end of a line that was written in part. */
  rest: Buffer;
  /** Whether the follower has it open. */
  held: boolean;
  copied: number;
  gzipped: 'no' | 'half' | 'whole';
  gzip: Buffer;
  /** The number of bytes that must have been read at the end of the test. Undefined means all bytes. */
  required: number | undefined;
}

const KINDS = [
  ...(['lines', 'lines', 'lines', 'partial', 'rest', 'junk', 'slow', 'slow'] as const),
  ...(['rotate', 'rotate', 'reopen', 'reopen', 'gzip', 'gzip', 'copy', 'truncate', 'delete'] as const),
  ...(['scan', 'scan', 'scan', 'read', 'read', 'read', 'release', 'restart', 'pause'] as const),
];
type Op = { kind: (typeof KINDS)[number]; n: number };
const op: fc.Arbitrary<Op> = fc.record({ kind: fc.constantFrom(...KINDS), n: fc.nat(1000) });

/** Simulates nginx and log rotation in a directory, in any order of operations, with a follower and a reader. */
class Simulation {
  readonly directory: string;
  readonly numbered: boolean;
  readonly reader = new Reader();
  readonly all: WrittenFile[] = [];
  follower: Follower;
  live: WrittenFile | undefined;
  t = Date.now() / 1000;
  clock = Date.now();
  rotations = 0;

  constructor(directory: string, numbered: boolean) {
    this.directory = directory;
    this.numbered = numbered;
    this.follower = this.newFollower();
  }

  newFollower(): Follower {
    return new Follower({ directory: this.directory, now: () => this.clock, quietMs: 0 });
  }

  line(n: number): Buffer {
    this.t += 0.001;
    const raw = Buffer.from([0xff, 0xc3, 0x80 | (n & 0x3f)]);
    const [before = '', after = ''] = logLine({ t: this.t, ua: `ua<>${'x'.repeat(n % 90)}` }).split('<>');
    return Buffer.concat([Buffer.from(before), raw.subarray(0, n % 4), Buffer.from(after)]);
  }

  async append(file: WrittenFile, bytes: Buffer): Promise<void> {
    if (!file.writer || bytes.length === 0) return;
    await file.writer.write(bytes);
    file.content = Buffer.concat([file.content, bytes]);
    // The follower orders files without a time in their first line by modification time. The steps of the real modification time are too
    // coarse, so the test sets it.
    this.t += 0.001;
    await file.writer.utimes(this.t, this.t);
    file.t = this.t;
  }

  /** nginx opens access.log. */
  async reopen(): Promise<void> {
    if (this.live?.path === join(this.directory, 'access.log')) return;
    const path = join(this.directory, 'access.log');
    this.live = this.begin(path, await open(path, 'a'));
    // An nginx worker can be one rotation late, but not two.
    await this.endWriters(this.all.slice(0, -2));
  }

  async endWriters(files: WrittenFile[]): Promise<void> {
    for (const file of files) {
      await file.writer?.close();
      file.writer = undefined;
    }
  }

  begin(path: string, writer: FileHandle): WrittenFile {
    const file: WrittenFile = {
      content: Buffer.alloc(0),
      path,
      writer,
      t: this.t,
      rest: Buffer.alloc(0),
      held: false,
      copied: 0,
      gzipped: 'no',
      gzip: Buffer.alloc(0),
      required: undefined,
    };
    this.all.push(file);
    return file;
  }

  async rotate(n: number): Promise<void> {
    const { live } = this;
    if (live?.path !== join(this.directory, 'access.log')) return;
    if (idOf(live.content) === undefined) await this.append(live, Buffer.concat([Buffer.from('\n'), this.line(n)]));
    await this.endWriters(this.all.filter((file) => file !== live));
    if (this.numbered) await this.shiftNumbers();
    const to = join(this.directory, this.numbered ? 'access.log.1' : `access.log.20261122T${++this.rotations}`);
    await rename(live.path, to);
    live.path = to;
  }

  /** Renames numbered logs like logrotate: the highest number first, gzips too. */
  async shiftNumbers(): Promise<void> {
    const names = await readdir(this.directory);
    const numbered = names.map((name) => /^access\.log\.(\d+)(\.gz|\.zst|-copy\d+)?$/.exec(name)).filter((match) => match !== null);
    for (const [name, number, suffix = ''] of numbered.sort((a, b) => Number(b[1]) - Number(a[1]))) {
      const from = join(this.directory, name);
      const to = join(this.directory, `access.log.${Number(number) + 1}${suffix}`);
      await rename(from, to);
      for (const file of this.all) if (file.path === from) file.path = to;
    }
  }

  async step({ kind, n }: Op): Promise<void> {
    const { live } = this;
    const some = <T>(list: T[]): T | undefined => list[n % Math.max(1, list.length)];
    switch (kind) {
      case 'lines':
        if (live) for (let i = 0; i <= n % 4; i++) await this.append(live, this.line(n + i));
        return;
      case 'partial': {
        if (!live) return;
        const line = this.line(n);
        await this.append(live, line.subarray(0, 1 + (n % (line.length - 1))));
        live.rest = line.subarray(1 + (n % (line.length - 1)));
        return;
      }
      case 'rest': {
        const file = some(this.all.filter(({ writer, rest }) => writer && rest.length > 0));
        if (!file || (file !== live && !isTimed(file.content))) return;
        await this.append(file, file.rest);
        file.rest = Buffer.alloc(0);
        return;
      }
      case 'junk':
        if (live) await this.append(live, Buffer.from(['\n', '\xff\xfe\n', '{"v":1,"rid":"', 'junk', '\0\n'][n % 5] as string, 'latin1'));
        return;
      case 'slow': {
        const file = some(this.all.filter((other) => other !== live && other.writer && isTimed(other.content)));
        if (file) await this.append(file, this.line(n));
        return;
      }
      case 'rotate':
        return this.rotate(n);
      case 'reopen':
        return this.reopen();
      case 'gzip':
        return this.gzip(some(this.all.filter(({ writer, path, gzipped }) => !writer && path !== undefined && gzipped !== 'whole')));
      case 'copy': {
        const file = some(this.all.filter(({ path, content, required }) => path !== undefined && required === undefined && idOf(content)));
        if (!file?.path || file.copied > 0) return;
        const to = `${file.path}-copy${this.all.indexOf(file)}`;
        await copyFile(file.path, to);
        await utimes(to, file.t, file.t);
        file.copied = file.content.length;
        return;
      }
      case 'truncate': {
        if (live?.path !== join(this.directory, 'access.log') || !live.writer) return;
        await truncate(live.path, 0);
        this.lose(live);
        this.live = this.begin(live.path, live.writer);
        this.live.held = live.held;
        live.path = undefined;
        live.writer = undefined;
        return;
      }
      case 'delete': {
        const file = some(this.all.filter(({ path, gzipped }) => path !== undefined && gzipped === 'no'));
        if (!file?.path) return;
        await unlink(file.path);
        file.path = undefined;
        // A file without an id is not a generation, so none of its bytes has to be read.
        if (!file.held || idOf(file.content) === undefined) this.lose(file);
        return;
      }
      case 'scan':
        return this.scan();
      case 'read': {
        // Reads only some generations: a file may be deleted before it is read.
        const wanted = this.follower.generations.filter((_, i) => n % 3 === 0 || (n >> (i % 8)) % 2 === 0);
        for (const generation of wanted) await this.reader.read(generation);
        return;
      }
      case 'release': {
        const { generations } = this.follower;
        await this.follower.release((gen) => this.reader.of(gen).length < (generations.find(({ id }) => id === gen)?.size ?? 0));
        return;
      }
      case 'restart':
        await this.follower.close();
        this.follower = this.newFollower();
        for (const file of this.all) {
          if (file.held && file.path === undefined && file.gzipped !== 'whole') this.lose(file);
          file.held = false;
        }
        return;
      case 'pause':
        this.clock += n * 3;
    }
  }

  /** Marks a file as lost: only the bytes that were read or copied can still be read. */
  lose(file: WrittenFile): void {
    if (file.required !== undefined) return;
    const id = idOf(file.content);
    file.required = Math.max(file.copied, id === undefined ? 0 : this.reader.of(id).length);
  }

  /** Compresses like gzip or zstd, in two steps: writes half of the compressed file; then writes the rest and deletes the plain file. */
  async gzip(file: WrittenFile | undefined): Promise<void> {
    if (!file?.path) return;
    const compressed = `${file.path}.${this.all.indexOf(file) % 2 === 0 ? 'gz' : 'zst'}`;
    if (file.gzipped === 'no') {
      const middle = file.content.length >> 2;
      const frames = [zstdCompressSync(file.content.subarray(0, middle)), zstdCompressSync(file.content.subarray(middle))];
      file.gzip = compressed.endsWith('.gz') ? gzipSync(file.content) : Buffer.concat(frames);
      // The file must not end between two frames, because it would look complete there. Real files are read only after they have not
      // changed for some time.
      if (file.gzip.length >> 1 === frames[0]?.length) file.gzip = gzipSync(file.content);
      await writeFile(compressed, file.gzip.subarray(0, file.gzip.length / 2));
      return;
    }
    await writeFile(compressed, file.gzip.subarray(file.gzip.length / 2), { flag: 'a' });
    await utimes(compressed, file.t, file.t);
    file.gzipped = 'whole';
    await unlink(file.path);
    file.path = undefined;
  }

  async scan(): Promise<void> {
    // Forces a full scan. Otherwise the time steps of the file system would decide how soon a change is noticed.
    this.clock += 1000;
    await this.follower.scan();
    for (const file of this.all) if (file.path !== undefined) file.held = true;
    for (const generation of this.follower.generations) {
      const at = this.all.findIndex(({ content }) => finalIdOf(content) === generation.id);
      const file = this.all[at];
      if (!file) throw new Error('a generation that was never written');
      if (!generation.final) continue;
      expect(file, 'the live file is not final').not.toBe(this.live);
      if (file.gzipped !== 'whole') expect(this.all.length - 1 - at, 'newer generations').toBeGreaterThanOrEqual(2);
    }
  }

  async finish(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      await this.reopen();
      await this.append(this.live as WrittenFile, this.line(i));
      await this.scan();
      await this.reader.readAll(this.follower);
      await this.rotate(i);
    }
    await this.reopen();
    await this.scan();
    await this.reader.readAll(this.follower);

    const ids = new Set<string>();
    for (const [i, { content, required = content.length }] of this.all.entries()) {
      const id = finalIdOf(content);
      ids.add(id);
      const got = this.reader.of(id);
      expect(got.equals(content.subarray(0, got.length)), `generation ${i}: what was read is what was written`).toBe(true);
      const isFresh = i >= this.all.length - 2;
      expect(got.length, `generation ${i} of ${this.all.length}`).toBeGreaterThanOrEqual(
        isFresh ? content.subarray(0, required).lastIndexOf(10) + 1 : required,
      );
    }
    for (const id of this.reader.got.keys()) expect(ids.has(id), 'only what was written is a generation').toBe(true);
    await this.readAgain();
  }

  /** Reads lines in the middle again: they must have the same bytes as the first time. */
  async readAgain(): Promise<void> {
    for (const { id, source, size } of this.follower.generations.toReversed()) {
      const content = this.all.find((file) => finalIdOf(file.content) === id)?.content as Buffer;
      const starts = [0];
      for (let end = content.indexOf(10); end >= 0 && end < size - 1; end = content.indexOf(10, end + 1)) starts.push(end + 1);
      for (const from of [starts.at(-1) as number, starts[starts.length >> 1] as number, 0]) {
        const to = starts[starts.indexOf(from) + 1] ?? size;
        const chunk = await source.read(from, to);
        if ('bytes' in chunk) expect(chunk.bytes.equals(content.subarray(from, to))).toBe(true);
        else expect(content.subarray(from, to).includes(10)).toBe(false);
      }
    }
  }

  async close(): Promise<void> {
    await this.follower.close();
    await this.endWriters(this.all);
  }
}

describe('following logs through whatever is done to them', () => {
  test.each([
    { numbered: false, names: 'dates' },
    { numbered: true, names: 'numbers that move up' },
  ])('a reader gets every byte of every generation once, rotated to $names', { timeout: 120_000 }, async ({ numbered }) => {
    const directory = await temporaryDirectory();
    let walks = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 60, size: 'max' }), async (ops) => {
        const own = join(directory, `${++walks}`);
        await mkdir(own);
        const simulation = new Simulation(own, numbered);
        try {
          await simulation.reopen();
          for (const each of ops) await simulation.step(each);
          await simulation.finish();
        } finally {
          await simulation.close();
        }
      }),
      runs(250),
    );
  });
});

const lines = (count: number): string => Array.from({ length: count }, () => logLine()).join('');

async function setUp(
  quietMs = 0,
): Promise<{ directory: string; path: (name: string) => string; follower: Follower; events: FollowEvent[] }> {
  const directory = await temporaryDirectory();
  const events: FollowEvent[] = [];
  // The clock of the follower is ahead, so that every scan is a full scan and every file counts as unchanged for long enough.
  let clock = Date.now() + 60_000;
  const follower = new Follower({ directory, now: () => (clock += 2000), quietMs, onEvent: (event) => events.push(event) });
  return { directory, path: (name) => join(directory, name), follower, events };
}

describe('following logs', () => {
  test('a file that grew after it was final is followed on', async () => {
    const { path, follower, events } = await setUp();
    const reader = new Reader();
    await writeFile(path('access.log.1'), lines(2) + logLine().slice(0, 50));
    await writeFile(path('access.log.2'), lines(1));
    await utimes(path('access.log.1'), 1, 1);
    await writeFile(path('access.log'), '');
    const late = await readFile(path('access.log.1'));
    await writeFile(path('access.log.2'), logLine({ t: 1_795_000_000 }));
    await follower.scan();
    await reader.readAll(follower);
    expect(follower.generations.map(({ final }) => final)).toEqual([true, false]);
    const [first] = follower.generations as [Generation];
    expect(reader.of(first.id)).toEqual(late);

    await writeFile(path('access.log.1'), `rest\n${logLine()}`, { flag: 'a' });
    await follower.scan();
    expect(events).toEqual(['grew-after-final']);
    await reader.readAll(follower);
    expect(reader.of(first.id)).toEqual(await readFile(path('access.log.1')));
    await follower.close();
  });

  test('a file without any request id gets its name when it is final, and loses it when it grows after all', async () => {
    const { path, follower } = await setUp();
    await writeFile(path('access.log.1'), 'torn');
    await utimes(path('access.log.1'), 1, 1);
    await writeFile(path('access.log'), lines(1));
    await follower.scan();
    expect(follower.generations).toHaveLength(1);
    await writeFile(path('access.log.2'), logLine());
    await follower.scan();
    expect(follower.generations[0]).toMatchObject({ id: finalIdOf(Buffer.from('torn')), size: 4, final: true });

    await writeFile(path('access.log.1'), lines(1), { flag: 'a' });
    await follower.scan();
    await follower.scan();
    const content = await readFile(path('access.log.1'));
    expect(follower.generations.map(({ id }) => id)).toContain(finalIdOf(content));
    expect(follower.generations.map(({ id }) => id)).not.toContain(finalIdOf(Buffer.from('torn')));
    await follower.close();
  });

  test('a file that was touched a moment ago is not final, however old its name', async () => {
    const { path, follower } = await setUp(1e9);
    for (const name of ['access.log', 'access.log.1', 'access.log.2', 'access.log.3']) await writeFile(path(name), lines(1));
    await follower.scan();
    expect(follower.generations.map(({ final }) => final)).toEqual([false, false, false, false]);
    await follower.close();
  });

  test('copies and gzips of the live file make nothing final', async () => {
    const { path, follower } = await setUp();
    await writeFile(path('access.log.1'), logLine({ t: 1_790_000_001 }));
    await writeFile(path('access.log'), logLine({ t: 1_790_000_002 }));
    for (const copy of ['access.log-copy', 'access.log.copy', 'access.log.old']) await copyFile(path('access.log'), path(copy));
    await writeFile(path('access.log.gz'), gzipSync(await readFile(path('access.log'))));
    await copyFile(path('access.log.1'), path('access.log.1-copy'));
    await follower.scan();
    expect(follower.generations.map(({ final, paths }) => ({ final, files: paths.length }))).toEqual([
      { final: false, files: 2 },
      { final: false, files: 5 },
    ]);
    await follower.close();
  });

  test('half a gzip is nothing, a whole one is final', async () => {
    const { path, follower } = await setUp();
    const whole = gzipSync(lines(300));
    for (const length of [0, 1, 10, whole.length >> 1, whole.length - 1]) {
      await writeFile(path('access.log.1.gz'), whole.subarray(0, length));
      await follower.scan();
      expect(follower.generations).toEqual([]);
    }
    await writeFile(path('access.log.1.gz'), whole);
    await follower.scan();
    expect(follower.generations).toMatchObject([{ final: true }]);
    await follower.close();
  });

  test('a gzip whose name has gone to another one since the last scan gives nothing wrong', async () => {
    const { path, follower } = await setUp();
    const [older, newer] = [lines(3), lines(3)];
    await writeFile(path('access.log.1.gz'), gzipSync(older));
    await follower.scan();
    const [generation] = follower.generations as [Generation];
    await rename(path('access.log.1.gz'), path('access.log.2.gz'));
    await writeFile(path('access.log.1.gz'), gzipSync(newer));
    expect(await generation.source.read(0, generation.size)).toEqual({ kind: 'unavailable' });
    await follower.scan();
    const reader = new Reader();
    await reader.readAll(follower);
    expect(reader.got).toEqual(new Map([older, newer].map((content) => [finalIdOf(Buffer.from(content)), Buffer.from(content)])));
    await follower.close();
  });

  test('lines of any length are read alike from a file, a gzip and a zstd file, in whatever order', async () => {
    const content = Buffer.from(
      [lines(1), 'x'.repeat(19_500_000), '\n', lines(5), 'y'.repeat(1_100_000), lines(1), 'z'.repeat(1_200_000)].join(''),
    );
    const read = async (name: string, bytes: Buffer) => {
      const { path, follower } = await setUp();
      await writeFile(path(name), bytes);
      for (const newer of ['access.log', 'access.log.0']) await writeFile(path(newer), logLine({ t: 1_795_000_000 }));
      await follower.scan();
      while (await follower.identify());
      const generation = follower.generations.find(({ size }) => size === content.length) as Generation;
      const chunks = [];
      let turns = 0;
      for (let from = 0; from < content.length; ) {
        const chunk = await generation.source.read(from, generation.size);
        turns++;
        if (chunk.kind === 'more') continue;
        if (!('to' in chunk)) throw new Error(chunk.kind);
        if ('bytes' in chunk) expect(chunk.bytes.equals(content.subarray(chunk.from, chunk.to))).toBe(true);
        else expect(chunk.hash).toBe(hashOf(content.subarray(chunk.from, chunk.to)));
        chunks.push({ kind: chunk.kind, from, to: chunk.to });
        from = chunk.to;
      }
      expect(turns, 'a read ends after some megabytes').toBeGreaterThan(chunks.length);
      for (const { kind, from, to } of chunks.toReversed()) {
        let chunk = await generation.source.read(from, to);
        while (chunk.kind === 'more') chunk = await generation.source.read(from, to);
        expect(chunk).toMatchObject({ kind, from, to });
      }
      await follower.close();
      return chunks.map(({ kind, to }) => `${kind} ${to}`);
    };
    const plain = await read('access.log.9', content);
    // The line after the letters `y` follows them without a newline. It is still read as a line.
    expect(plain.map((chunk) => chunk.split(' ')[0])).toEqual(['lines', 'long', 'lines', 'long', 'lines', 'long']);
    expect(await read('access.log.9.gz', gzipSync(content))).toEqual(plain);
    expect(await read('access.log.9.zst', zstdCompressSync(content))).toEqual(plain);
  });

  test('a file that nginx has opened again after a deletion by hand is kept until nobody can write to it', async () => {
    const { path, follower } = await setUp();
    await writeFile(path('access.log'), logLine({ t: 1_790_000_001 }));
    const nginx = await open(path('access.log'), 'a');
    await follower.scan();
    await unlink(path('access.log'));
    await follower.scan();
    await follower.release(() => false);
    await nginx.write(logLine({ t: 1_790_000_002 }));
    await nginx.close();
    await follower.scan();
    const reader = new Reader();
    await reader.readAll(follower);
    expect([...reader.got.values()].map((bytes) => bytes.toString().split('\n').length - 1)).toEqual([2]);

    await writeFile(path('access.log.1'), logLine({ t: 1_790_000_003 }));
    await writeFile(path('access.log'), logLine({ t: 1_790_000_004 }));
    await follower.scan();
    const [deleted] = follower.generations as [Generation];
    expect(deleted).toMatchObject({ final: true, paths: [] });
    await follower.release((gen) => gen === deleted.id);
    await follower.scan();
    expect(follower.generations).toHaveLength(3);
    await follower.release(() => false);
    expect(await deleted.source.read(0, deleted.size)).toEqual({ kind: 'unavailable' });
    await follower.scan();
    expect(follower.generations).toHaveLength(2);
    await follower.close();
  });

  test('truncation is noticed whether the file is shorter or longer afterwards, with and without an id', async () => {
    for (const before of [lines(3), 'torn']) {
      for (const after of [lines(1), lines(9)]) {
        const { path, follower, events } = await setUp();
        await writeFile(path('access.log'), before);
        await follower.scan();
        const source = follower.generations[0]?.source;
        await writeFile(path('access.log'), after);
        if (source) expect(await source.read(0, before.length)).toEqual({ kind: 'unavailable' });
        await follower.scan();
        expect(events).toEqual(['truncated']);
        expect(follower.generations).toMatchObject([{ id: idOf(Buffer.from(after)), size: after.length }]);
        await follower.close();
      }
    }
  });

  test('a compressed file is read once nothing writes to it any more, since it may look complete before', async () => {
    const { path, directory } = await setUp();
    let now = 0;
    const follower = new Follower({ directory, now: () => now, quietMs: 5000 });
    const parts = [lines(3), lines(3)].map((text) => zstdCompressSync(text));
    await writeFile(path('access.log.1.zst'), parts[0] as Buffer);
    // A file whose time is in the future is read at once, so the clock starts after the write.
    now = Date.now();
    for (let i = 0; i < 3; i++) {
      await follower.scan();
      expect(follower.generations).toEqual([]);
      now += 1500;
    }
    await writeFile(path('access.log.1.zst'), Buffer.concat(parts));
    now = Date.now() + 10_000;
    await follower.scan();
    expect(follower.generations).toMatchObject([{ final: true, size: 2 * lines(3).length }]);
    await follower.close();
  });

  test('other names are left alone, and reported', async () => {
    const { path, follower } = await setUp();
    for (const name of ['error.log', 'access.log~', 'access.logs', 'xaccess.log', 'access.txt']) await writeFile(path(name), lines(1));
    await mkdir(path('access.log.d'));
    await follower.scan();
    expect(follower.generations).toEqual([]);
    expect(follower.foreignFiles.map(({ name }) => name)).toEqual(
      ['access.log.d', 'access.logs', 'access.log~', 'access.txt', 'xaccess.log'].sort(),
    );
    await follower.close();
  });
});
