import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type Compression, KIND_BYTES, kindOf, looksBinary } from './file-kind.ts';
import { createIdentifier, type Identity } from './identity.ts';
import { MAX_LINE_BYTES } from './lines.ts';
import { type Chunk, cutAtNewline, READ_BYTES, type Source, TURN_BYTES } from './log-source.ts';
import { type LongLine, LongLines } from './long-line.ts';

const PIECE_BYTES = 256 * 1024;

/** A complete compressed log. `size` is in bytes after decompression. */
export interface CompressedLog {
  identity: Identity;
  size: number;
}

/**
 * The reason why a compressed file is not a log. `damaged` means that the file is incomplete, or that its bytes were changed. `other`
 * describes the content of the file.
 */
export type CompressedFault = 'damaged' | 'empty' | { other: string };

export type ScanResult = { log: CompressedLog } | { fault: CompressedFault };

/** Reads a compressed file from start to end once, in as many steps as the caller wants, to learn its identity and its size. */
export class CompressedScan {
  readonly #pieces: AsyncGenerator<Buffer>;
  readonly #identifier = createIdentifier();
  #identity: Identity | undefined;
  #size = 0;

  constructor(path: string, compression: Compression) {
    this.#pieces = decompress(path, compression);
  }

  /**
   * Decompresses about `maxBytes`. Returns the result when the end of the file is reached. A file that cannot be read counts as damaged.
   */
  async step(maxBytes: number): Promise<ScanResult | undefined> {
    const until = this.#size + maxBytes;
    while (this.#size < until) {
      const piece = await next(this.#pieces);
      if (piece === 'damaged') return { fault: 'damaged' };
      if (piece === undefined) return this.#result();
      this.#size += piece.length;
      this.#identity ??= this.#identifier.push(piece);
      const fault = this.#identifier.head.length < KIND_BYTES ? undefined : this.#contentFault();
      if (!fault) continue;
      await this.close();
      return { fault };
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.#pieces.return(undefined);
  }

  /** Returns a fault if the decompressed content is not a log, e.g. if it is a tar archive. */
  #contentFault(): CompressedFault | undefined {
    const kind = kindOf(this.#identifier.head.subarray(0, KIND_BYTES));
    if (kind === 'plain') return undefined;
    return { other: typeof kind === 'string' ? `compressed twice, first with ${kind}` : `${kind.other}, compressed` };
  }

  #result(): ScanResult {
    if (this.#size === 0) return { fault: 'empty' };
    const fault = this.#contentFault();
    if (fault) return { fault };
    if (!this.#identity && looksBinary(this.#identifier.head)) return { fault: { other: 'a file of binary data, compressed' } };
    return { log: { identity: this.#identity ?? this.#identifier.end(), size: this.#size } };
  }
}

/** Reads a compressed file from start to end at once. */
export async function scanCompressed(path: string, compression: Compression): Promise<ScanResult> {
  const scan = new CompressedScan(path, compression);
  for (;;) {
    const result = await scan.step(Number.POSITIVE_INFINITY);
    if (result) return result;
  }
}

/**
 * A complete compressed log. It is always final. Reading in order is cheap, but reading backwards decompresses the file from the start
 * again.
 */
export class CompressedFile implements Source {
  readonly final = true;
  readonly sequential = true;
  readonly identity: Identity;
  readonly size: number;
  readonly mtimeMs: number;
  path: string | undefined;
  readonly #compression: Compression;
  readonly #longLines = new LongLines();
  /** Reads the same file for `raw`, because reading at two places in turns would decompress the file again each time. */
  #copied: CompressedFile | undefined;
  #pieces: AsyncGenerator<Buffer> | undefined;
  /** The offset of the first byte of #buffered. */
  #position = 0;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(path: string, compression: Compression, log: CompressedLog & { mtimeMs: number }) {
    this.path = path;
    this.#compression = compression;
    this.identity = log.identity;
    this.size = log.size;
    this.mtimeMs = log.mtimeMs;
  }

  async read(from: number, to: number): Promise<Chunk> {
    const end = Math.min(to, this.size);
    const found = this.#longLines.found(from, end);
    if (found) return found;
    const searched = this.#longLines.searched(from, end);
    const budget = { bytes: TURN_BYTES };
    const start = searched?.scannedTo ?? from;
    const sought = await this.#seek(start, budget);
    if (sought !== 'there') return { kind: sought };
    if (searched) return this.#passOver(searched, end, budget);

    const length = Math.min(READ_BYTES, end - from);
    while (this.#buffered.length < length) if (!(await this.#fetch())) return { kind: 'unavailable' };
    const bytes = this.#buffered.subarray(0, length);
    const chunk = cutAtNewline(bytes, from, from + length === end);
    if (chunk.kind === 'lines' || length <= MAX_LINE_BYTES) return chunk;
    const line = this.#longLines.start(from);
    return this.#passOver(line, end, budget);
  }

  async raw(from: number, to: number): Promise<Buffer | undefined> {
    this.#copied ??= new CompressedFile('', this.#compression, this);
    const copied = this.#copied;
    copied.path = this.path;
    const bytes = await copied.#rawHere(from, to);
    if (bytes && from + bytes.length === this.size) {
      this.#copied = undefined;
      await copied.close();
    }
    return bytes;
  }

  async #rawHere(from: number, to: number): Promise<Buffer | undefined> {
    const sought = await this.#seek(from, { bytes: TURN_BYTES });
    if (sought !== 'there') return sought === 'more' ? Buffer.alloc(0) : undefined;
    const length = Math.min(READ_BYTES, to - from);
    while (this.#buffered.length < length) if (!(await this.#fetch())) return undefined;
    return this.#buffered.subarray(0, length);
  }

  /** Returns the time of the first line instead of the requested line. Going back to the requested line would restart the decompression. */
  loggedAtMs(): Promise<number> {
    return Promise.resolve(this.identity.startedAt * 1000 || this.mtimeMs);
  }

  async close(): Promise<void> {
    await this.#copied?.close();
    const pieces = this.#pieces;
    this.#pieces = undefined;
    this.#buffered = Buffer.alloc(0);
    await pieces?.return(undefined);
  }

  /** Continues the search for the end of a line that is too long. #buffered begins at `line.scannedTo`. */
  async #passOver(line: LongLine, end: number, budget: { bytes: number }): Promise<Chunk> {
    while (line.scannedTo < end) {
      if (this.#buffered.length === 0) {
        if (budget.bytes <= 0) return { kind: 'more' };
        if (!(await this.#fetch(budget))) return { kind: 'unavailable' };
      }
      const before = line.scannedTo;
      const chunk = line.push(this.#buffered.subarray(0, end - before));
      this.#drop(line.scannedTo - before);
      if (!chunk) continue;
      this.#longLines.finish(chunk);
      // The next line may start within the last bytes. They were dropped, so they are put back.
      const last = line.lastBytes;
      this.#buffered = Buffer.concat([last, this.#buffered]);
      this.#position -= last.length;
      return chunk;
    }
    return line.end();
  }

  /** Decompresses until #buffered begins at `offset`, or until the budget is used up. */
  async #seek(offset: number, budget: { bytes: number }): Promise<'there' | 'more' | 'unavailable'> {
    if (!this.#pieces || offset < this.#position) {
      if (this.path === undefined || !(await this.#restart(this.path))) return 'unavailable';
    }
    for (;;) {
      this.#drop(Math.min(this.#buffered.length, offset - this.#position));
      if (this.#position === offset) return 'there';
      if (budget.bytes <= 0) return 'more';
      if (!(await this.#fetch(budget))) return 'unavailable';
    }
  }

  /**
   * Starts decompression again. Returns false if the path now leads to another file, because numbered logs are renamed at each rotation.
   */
  async #restart(path: string): Promise<boolean> {
    await this.close();
    this.#pieces = decompress(path, this.#compression);
    this.#position = 0;
    const { head } = this.identity;
    while (this.#buffered.length < head.length && (await this.#fetch()));
    if (this.#buffered.subarray(0, head.length).equals(head)) return true;
    await this.close();
    return false;
  }

  #drop(length: number): void {
    this.#position += length;
    this.#buffered = this.#buffered.subarray(length);
  }

  /** Decompresses the next piece and appends it to #buffered. Returns false if there is no next piece. */
  async #fetch(budget?: { bytes: number }): Promise<boolean> {
    const pieces = this.#pieces;
    const piece = pieces && (await next(pieces));
    if (piece === undefined || piece === 'damaged') return false;
    if (budget) budget.bytes -= piece.length;
    this.#buffered = this.#buffered.length === 0 ? piece : Buffer.concat([this.#buffered, piece]);
    return true;
  }
}

/** Returns the next piece, undefined at the end of the file, or `damaged` if the file cannot be opened or read. */
async function next(pieces: AsyncGenerator<Buffer>): Promise<Buffer | 'damaged' | undefined> {
  try {
    const step = await pieces.next();
    return step.done ? undefined : step.value;
  } catch {
    return 'damaged';
  }
}

/**
 * Yields the content in pieces of at most PIECE_BYTES. Throws if the file is not complete. The file stays open until all pieces were read
 * or `return` is called.
 */
async function* decompress(path: string, compression: Compression): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    if (compression === 'gzip') yield* decompressFrom(file, 0, createGunzip({ chunkSize: PIECE_BYTES }));
    else yield* decompressFrames(file);
  } finally {
    await file.close();
  }
}

/**
 * A zstd file is a sequence of frames. A zstd stream of Node ends after the first frame of each write, so the remaining bytes are passed to
 * another stream.
 */
async function* decompressFrames(file: FileHandle): AsyncGenerator<Buffer> {
  const { size } = await file.stat();
  for (let from = 0; from < size; ) {
    const output = createZstdDecompress({ chunkSize: PIECE_BYTES });
    yield* decompressFrom(file, from, output);
    if (output.bytesWritten === 0) throw new Error('no byte of a frame was read');
    from += output.bytesWritten;
  }
}

/** Decompresses from byte `start` of the file. Afterwards, `output.bytesWritten` is the number of compressed bytes that were used. */
async function* decompressFrom(
  file: FileHandle,
  start: number,
  output: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>,
): AsyncGenerator<Buffer> {
  let reading: Promise<unknown> = Promise.resolve();
  async function* compressed(): AsyncGenerator<Buffer> {
    for (let at = start; ; ) {
      const read = file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES, at);
      reading = read.catch(() => {});
      const { bytesRead, buffer } = await read;
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }
  const input = Readable.from(compressed());
  input.on('error', (error) => output.destroy(error));
  try {
    for await (const piece of input.pipe(output)) yield piece as Buffer;
  } finally {
    input.destroy();
    output.destroy();
    // The caller closes the file afterwards. A read that is still running could then read another file that got the same descriptor.
    await reading;
  }
}
