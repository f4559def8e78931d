import { type FileHandle, open } from 'node:fs/promises';
import { codeOf } from '../core/errors.ts';
import { createIdentifier, type Identity } from './identity.ts';
import { LOGGED_AT, MAX_LINE_BYTES } from './lines.ts';
import { type Chunk, cut, NEWLINE, READ_BYTES, type Source } from './log-source.ts';

/** Enough for the line at some place in nearly every case. */
const PEEK_BYTES = 16 * 1024;

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

  async loggedAtMs(from: number): Promise<number | undefined> {
    const chunk = await this.read(from, from + PEEK_BYTES);
    if (chunk.kind === 'wait' || chunk.kind === 'gone') return undefined;
    const seconds = LOGGED_AT.exec(chunk.bytes.toString('latin1'))?.[1];
    return seconds === undefined ? this.mtimeMs : Number(seconds) * 1000;
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
