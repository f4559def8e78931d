import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { codeOf } from '../core/errors.ts';
import { createIdentifier, type Identity } from './identity.ts';
import { KIND_BYTES, looksBinary } from './file-kind.ts';
import { LOGGED_AT, MAX_LINE_BYTES } from './lines.ts';
import { type Chunk, cutAtNewline, READ_BYTES, type Source, TURN_BYTES } from './log-source.ts';
import { type LongLine, LongLines } from './long-line.ts';

/** The number of bytes that are read to find the time of a line. Nearly every line is shorter. */
const PEEK_BYTES = 16 * 1024;
/**
 * Passing over the bytes of a plain file is this many times as fast as decompressing, so one turn passes over this many times as many
 * bytes.
 */
const PASSED_PER_TURN = 4;
/** The maximum number of bytes that one refresh searches for the first request id. Normally the first line of a log has a request id. */
const REFRESH_BYTES = 1024 * 1024;

/**
 * A file that is or was access.log. It is kept open, so a rename does not matter, and its inode cannot be reused for another file.
 *
 *   unidentified ──first line with a request id──► identified ──refresh() finds another head or a shorter file──► unidentified
 */
export class PlainFile implements Source {
  readonly sequential = false;
  path: string | undefined;
  identity: Identity | undefined;
  size = 0;
  mtimeMs = 0;
  final = false;
  deleted = false;
  readonly #file: FileHandle;
  #identifier = createIdentifier();
  #identifiedByAllBytes = false;
  readonly #longLines = new LongLines();

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.path = path;
  }

  /** Whether a request id was found, or all bytes were searched for one. Until then, the caller must call `identify`. */
  get searched(): boolean {
    return this.identity !== undefined || this.#identifier.bytesTaken >= this.size;
  }

  /**
   * Whether the file is not a log: no line of it has a request id, and it begins with bytes that neither nginx nor a power failure writes.
   */
  get binary(): boolean {
    return this.identity === undefined && this.searched && looksBinary(this.#identifier.head);
  }

  /**
   * Updates the size, and the identity if the first request id is near the start. Returns false if the content was replaced since the last
   * refresh.
   */
  async refresh(): Promise<boolean> {
    const status = await this.#file.stat();
    const unchanged = status.size === this.size && status.mtimeMs === this.mtimeMs;
    const same = unchanged || (status.size >= this.size && (await this.#headIsSame()));
    if (!same) this.#resetIdentity();
    this.size = status.size;
    this.mtimeMs = status.mtimeMs;
    this.deleted = status.nlink === 0;
    await this.identify(REFRESH_BYTES);
    return same;
  }

  /** Searches the next bytes, about `maxBytes`, for a request id. */
  async identify(maxBytes: number): Promise<void> {
    const until = this.#identifier.bytesTaken + maxBytes;
    while (!this.searched && this.#identifier.bytesTaken < until) {
      const bytes = await this.#readAt(this.#identifier.bytesTaken, Math.min(READ_BYTES, this.size - this.#identifier.bytesTaken));
      if (bytes.length === 0) return;
      this.identity = this.#identifier.push(bytes);
    }
  }

  /** Marks the file as final. A final file without any request id is identified by all its bytes. */
  markFinal(): void {
    this.final = true;
    if (this.identity || this.size === 0 || this.#identifier.bytesTaken !== this.size || this.binary) return;
    this.identity = this.#identifier.end();
    this.#identifiedByAllBytes = true;
  }

  /** Reverts `markFinal`, because the file grew. If the identity was derived from all bytes, it is wrong now and is deleted. */
  markNotFinal(): void {
    if (this.#identifiedByAllBytes) this.#resetIdentity();
    this.final = false;
  }

  async read(from: number, to: number): Promise<Chunk> {
    try {
      return await this.#read(from, to);
    } catch (error) {
      // The file was closed during the read, because every shard has committed it in the meantime.
      if (codeOf(error) === 'EBADF') return { kind: 'unavailable' };
      throw error;
    }
  }

  async raw(from: number, to: number): Promise<Buffer | undefined> {
    try {
      const bytes = await this.#readAt(from, Math.min(READ_BYTES, to - from));
      return bytes.length > 0 && (await this.#headIsSame()) ? bytes : undefined;
    } catch (error) {
      if (codeOf(error) === 'EBADF') return undefined;
      throw error;
    }
  }

  async loggedAtMs(from: number): Promise<number | undefined> {
    const chunk = await this.read(from, from + PEEK_BYTES);
    if (chunk.kind === 'long') return this.mtimeMs;
    if (!('bytes' in chunk)) return undefined;
    const seconds = LOGGED_AT.exec(chunk.bytes.toString('latin1'))?.[1];
    return seconds === undefined ? this.mtimeMs : Number(seconds) * 1000;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #read(from: number, to: number): Promise<Chunk> {
    const end = Math.min(to, this.size);
    const chunk = this.#longLines.found(from, end) ?? (await this.#readTo(from, end));
    // The head is checked after the read. If the file was truncated and written again in between, its head has changed.
    if (!(await this.#headIsSame())) return { kind: 'unavailable' };
    return chunk;
  }

  async #readTo(from: number, end: number): Promise<Chunk> {
    const complete = this.final || end < this.size;
    const searched = this.#longLines.searched(from, end);
    if (searched) return this.#passOver(searched, end, complete);
    const bytes = await this.#readAt(from, Math.min(READ_BYTES, end - from));
    const chunk = cutAtNewline(bytes, from, from + bytes.length === end && complete);
    if (chunk.kind === 'lines' || bytes.length <= MAX_LINE_BYTES) return chunk;
    const line = this.#longLines.start(from);
    line.push(bytes);
    return this.#passOver(line, end, complete);
  }

  /** Continues the search for the end of a line that is too long. `complete` means that nothing will be appended at `end`. */
  async #passOver(line: LongLine, end: number, complete: boolean): Promise<Chunk> {
    const until = line.scannedTo + PASSED_PER_TURN * TURN_BYTES;
    const buffer = Buffer.allocUnsafe(TURN_BYTES);
    while (line.scannedTo < Math.min(end, until)) {
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(TURN_BYTES, end - line.scannedTo), line.scannedTo);
      const bytes = buffer.subarray(0, bytesRead);
      if (bytes.length === 0) return { kind: 'wait' };
      const chunk = line.push(bytes);
      if (!chunk) continue;
      this.#longLines.finish(chunk);
      return chunk;
    }
    if (line.scannedTo < end) return { kind: 'more' };
    return complete ? line.end() : { kind: 'wait' };
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

  #resetIdentity(): void {
    this.identity = undefined;
    this.final = false;
    this.#identifier = createIdentifier();
    this.#identifiedByAllBytes = false;
    this.#longLines.clear();
  }
}

/**
 * Opens a plain log by its path. Resolves with undefined if the path does not exist or is not a regular file. `key` identifies the file by
 * device and inode.
 */
export async function openPlainFile(path: string): Promise<{ file: FileHandle; key: string } | undefined> {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK, opening a pipe that nobody writes to would block.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const status = await file.stat();
  if (status.isFile()) return { file, key: `${status.dev}:${status.ino}` };
  await file.close();
  return undefined;
}

/** Reads the first bytes of a file, for `kindOf`. Resolves with undefined if the path does not exist or is not a regular file. */
export async function readHead(path: string): Promise<Buffer | undefined> {
  const opened = await openPlainFile(path);
  if (!opened) return undefined;
  try {
    const { bytesRead, buffer } = await opened.file.read(Buffer.alloc(KIND_BYTES), 0, KIND_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await opened.file.close();
  }
}
