import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { codeOf } from '../core/errors.ts';
import { MAX_LINE_BYTES } from './lines.ts';
import { createIdentifier, type Identity } from './identity.ts';

// Where the bytes of a generation come from: a plain file that nginx may still be writing, or a gzip that is whole.

// More than a line may be long. Twice as much outlives the young garbage, and costs more to collect than fewer reads save.
const READ_BYTES = 512 * 1024;
const NEWLINE = 10;

/**
 * What one read of a generation gave.
 *   lines  whole lines
 *   tail   bytes without a newline that nothing will complete
 *   long   one line that is longer than any line may be
 *   wait   nothing yet
 *   gone   the file has another content now (it was truncated): the bytes cannot be had from here
 */
export type Chunk = { kind: 'lines' | 'tail' | 'long'; from: number; to: number; bytes: Buffer } | { kind: 'wait' } | { kind: 'gone' };

export interface Source {
  /** Undefined until a line with a request id has been seen. */
  readonly identity: Identity | undefined;
  /** Bytes it has, as of the last look. */
  readonly size: number;
  /** Nothing will be appended. */
  readonly final: boolean;
  /** Epoch milliseconds of the last change. */
  readonly mtimeMs: number;
  /** Its name in the log directory, as last seen; undefined once it is deleted. */
  path: string | undefined;
  /** Whole lines from `from`, which is a line's start, up to `to` at the most. */
  read(from: number, to: number): Promise<Chunk>;
  close(): Promise<void>;
}

/** Cuts what was read at its last newline; `complete` says that nothing will ever be appended behind `bytes`. */
function cut(bytes: Buffer, from: number, complete: boolean): Chunk {
  const newline = bytes.lastIndexOf(NEWLINE);
  if (newline >= 0) return { kind: 'lines', from, to: from + newline + 1, bytes: bytes.subarray(0, newline + 1) };
  return complete && bytes.length > 0 ? { kind: 'tail', from, to: from + bytes.length, bytes } : { kind: 'wait' };
}

/**
 * A file that is or was access.log, held by its descriptor: a rename does not matter, and its inode cannot be given to another file.
 *
 *   nameless ──first line with a request id──► identified ──look() finds another head or a shorter file──► nameless
 */
export class PlainFile implements Source {
  path: string | undefined;
  identity: Identity | undefined;
  size = 0;
  mtimeMs = 0;
  final = false;
  deleted = false;
  readonly #file: FileHandle;
  #identifier = createIdentifier();
  #namedAtEnd = false;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.path = path;
  }

  /** Looks at size and identity again. Returns false when the content was replaced since the last look. */
  async look(): Promise<boolean> {
    const status = await this.#file.stat();
    const untouched = status.size === this.size && status.mtimeMs === this.mtimeMs;
    const same = untouched || (status.size >= this.size && (await this.#headIsSame()));
    if (!same) this.#forget();
    this.size = status.size;
    this.mtimeMs = status.mtimeMs;
    this.deleted = status.nlink === 0;
    if (!this.identity) await this.#identify();
    return same;
  }

  /** Says that nothing will be appended; a file without any request id is then known by all its bytes. */
  finish(): void {
    this.final = true;
    if (this.identity || this.size === 0 || this.#identifier.taken !== this.size) return;
    this.identity = this.#identifier.end();
    this.#namedAtEnd = true;
  }

  /** Takes `finish` back: somebody did append. Then a name made of all bytes was wrong, too. */
  reopen(): void {
    if (this.#namedAtEnd) this.#forget();
    this.final = false;
  }

  async read(from: number, to: number): Promise<Chunk> {
    try {
      return await this.#read(from, to);
    } catch (error) {
      // Let go of while it was read, because meanwhile everybody had everything.
      if (codeOf(error) === 'EBADF') return { kind: 'gone' };
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #read(from: number, to: number): Promise<Chunk> {
    const end = Math.min(to, this.size);
    let bytes = await this.#readAt(from, Math.min(READ_BYTES, end - from));
    let chunk = cut(bytes, from, from + bytes.length === end && (this.final || end < this.size));
    // A whole read without a newline: find the end of that line, however far.
    while (chunk.kind === 'wait' && bytes.length > MAX_LINE_BYTES && from + bytes.length < end) {
      const more = await this.#readAt(from + bytes.length, Math.min(READ_BYTES, end - from - bytes.length));
      if (more.length === 0) break;
      const newline = more.indexOf(NEWLINE);
      bytes = Buffer.concat([bytes, newline < 0 ? more : more.subarray(0, newline + 1)]);
      if (newline >= 0) chunk = { kind: 'long', from, to: from + bytes.length, bytes };
      else if (from + bytes.length === end && (this.final || end < this.size)) chunk = { kind: 'tail', from, to: end, bytes };
    }
    // Only now is it certain what was read: had the file been truncated and written again in between, its head would be another.
    if (!(await this.#headIsSame())) return { kind: 'gone' };
    return chunk;
  }

  async #readAt(position: number, length: number): Promise<Buffer> {
    if (length <= 0) return Buffer.alloc(0);
    const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, position);
    return buffer.subarray(0, bytesRead);
  }

  async #headIsSame(): Promise<boolean> {
    const known = this.identity?.head ?? this.#identifier.head;
    const head = await this.#readAt(0, known.length);
    return head.equals(known);
  }

  #forget(): void {
    this.identity = undefined;
    this.final = false;
    this.#identifier = createIdentifier();
    this.#namedAtEnd = false;
  }

  async #identify(): Promise<void> {
    while (!this.identity && this.#identifier.taken < this.size) {
      const bytes = await this.#readAt(this.#identifier.taken, READ_BYTES);
      if (bytes.length === 0) return;
      this.identity = this.#identifier.push(bytes);
    }
  }
}

/** A gzip with a good trailer: final by nature. Reading it in order is cheap, going back starts it again. */
export class GzipFile implements Source {
  readonly final = true;
  readonly identity: Identity;
  readonly size: number;
  readonly mtimeMs: number;
  path: string | undefined;
  #stream: AsyncIterator<Buffer> | undefined;
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string, known: { identity: Identity; size: number; mtimeMs: number }) {
    this.path = path;
    this.identity = known.identity;
    this.size = known.size;
    this.mtimeMs = known.mtimeMs;
  }

  /** Reads the whole file once: undefined unless it is a complete gzip of something. */
  static async scan(path: string): Promise<{ identity: Identity; size: number } | undefined> {
    const identifier = createIdentifier();
    let identity: Identity | undefined;
    let size = 0;
    try {
      for await (const bytes of decompress(path)) {
        size += bytes.length;
        identity ??= identifier.push(bytes);
      }
    } catch {
      return undefined;
    }
    return size === 0 ? undefined : { identity: identity ?? identifier.end(), size };
  }

  async read(from: number, to: number): Promise<Chunk> {
    if (this.path === undefined) return { kind: 'gone' };
    if (!this.#stream || from < this.#position) {
      if (!(await this.#restart(this.path))) return { kind: 'gone' };
    }
    const end = Math.min(to, this.size);
    const want = Math.min(READ_BYTES, end - from);
    // Collects until [from, from + want) is in #rest, which begins at #position.
    while (this.#position + this.#rest.length < from + want) {
      const next = await this.#next();
      if (!next) return { kind: 'gone' };
      const skip = Math.min(this.#rest.length, Math.max(0, from - this.#position));
      this.#position += skip;
      this.#rest = Buffer.concat([this.#rest.subarray(skip), next]);
    }
    let bytes = this.#rest.subarray(from - this.#position, from - this.#position + want);
    let chunk = cut(bytes, from, from + want === end);
    while (chunk.kind === 'wait' && from + bytes.length < end) {
      // What was collected may already reach further than what was wanted of it.
      if (this.#position + this.#rest.length === from + bytes.length) {
        const next = await this.#next();
        if (!next) return { kind: 'gone' };
        this.#rest = Buffer.concat([this.#rest, next]);
      }
      bytes = this.#rest.subarray(from - this.#position, Math.min(this.#rest.length, end - this.#position));
      const newline = bytes.indexOf(NEWLINE);
      if (newline >= 0) chunk = { kind: 'long', from, to: from + newline + 1, bytes: bytes.subarray(0, newline + 1) };
      else if (from + bytes.length === end) chunk = { kind: 'tail', from, to: end, bytes };
    }
    return chunk;
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    await stream?.return?.();
  }

  /** Begins again. False: the name has gone to another file since the last look, as numbered ones do when they move up. */
  async #restart(path: string): Promise<boolean> {
    await this.close();
    this.#stream = decompress(path)[Symbol.asyncIterator]();
    this.#position = 0;
    this.#rest = Buffer.alloc(0);
    const { head } = this.identity;
    while (this.#rest.length < head.length) {
      const next = await this.#next();
      if (!next) break;
      this.#rest = Buffer.concat([this.#rest, next]);
    }
    if (this.#rest.subarray(0, head.length).equals(head)) return true;
    await this.close();
    return false;
  }

  async #next(): Promise<Buffer | undefined> {
    try {
      const step = await this.#stream?.next();
      return step && !step.done ? step.value : undefined;
    } catch {
      return undefined;
    }
  }
}

function decompress(path: string): AsyncIterable<Buffer> {
  const input = createReadStream(path, { highWaterMark: 256 * 1024 });
  const output = createGunzip({ chunkSize: 256 * 1024 });
  input.on('error', (error) => output.destroy(error));
  output.on('close', () => input.destroy());
  return input.pipe(output);
}

/** Opens a plain log by its path; undefined if it vanished meanwhile. */
export async function openPlain(path: string): Promise<{ file: FileHandle; key: string } | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const status = await file.stat();
  return { file, key: `${status.dev}:${status.ino}` };
}
