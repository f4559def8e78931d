import { gluedLineAt, hashOf, MAX_LINE_BYTES } from './lines.ts';
import { type Chunk, NEWLINE } from './log-source.ts';

// A line that is longer than allowed may have gigabytes, for example zeros after a power failure. The search for its end reads one piece
// per turn, so that other logs are read in between. Only its beginning and its end are kept in memory.

/** The number of long lines that are remembered. It is more than one, because shards may need different ranges of one log. */
const MAX_KEPT = 4;

type LongChunk = Extract<Chunk, { kind: 'long' }>;

/** The search for the end of one line that is too long. `from` is the offset of its first byte. */
export class LongLine {
  readonly from: number;
  /** All bytes before this offset were pushed. */
  scannedTo: number;
  #head: Buffer = Buffer.alloc(0);
  #last: Buffer = Buffer.alloc(0);

  constructor(from: number) {
    this.from = from;
    this.scannedTo = from;
  }

  /**
   * Takes the bytes at `scannedTo`, up to the newline at most. Returns the passed-over bytes once the newline is found. The caller may use
   * the buffer again.
   */
  push(bytes: Buffer): LongChunk | undefined {
    const newline = bytes.indexOf(NEWLINE);
    const part = newline < 0 ? bytes : bytes.subarray(0, newline + 1);
    if (this.#head.length < MAX_LINE_BYTES) this.#head = Buffer.concat([this.#head, part.subarray(0, MAX_LINE_BYTES - this.#head.length)]);
    this.#last = Buffer.concat([this.#last, part.subarray(-MAX_LINE_BYTES)]).subarray(-MAX_LINE_BYTES);
    this.scannedTo += part.length;
    if (newline < 0) return undefined;
    const at = gluedLineAt(this.#last);
    return this.#chunk(at === undefined ? this.scannedTo : this.scannedTo - this.#last.length + at);
  }

  /** Returns the passed-over bytes when no byte follows the pushed bytes. */
  end(): LongChunk {
    return this.#chunk(this.scannedTo);
  }

  /** The last bytes that were pushed, at most MAX_LINE_BYTES. */
  get lastBytes(): Buffer {
    return this.#last;
  }

  #chunk(to: number): LongChunk {
    return { kind: 'long', from: this.from, to, hash: hashOf(this.#head.subarray(0, to - this.from)) };
  }
}

/** The lines of one log that are too long: the lines whose end is still searched, and the last lines whose end was found. */
export class LongLines {
  readonly #searched = new Map<number, LongLine>();
  readonly #found = new Map<number, LongChunk>();

  /** Returns the long line at `from` if its end was found before and is not after `end`. */
  found(from: number, end: number): LongChunk | undefined {
    const chunk = this.#found.get(from);
    return chunk && chunk.to <= end ? chunk : undefined;
  }

  /** Returns the long line at `from` if its end is not found yet and no byte at or after `end` was read for it. */
  searched(from: number, end: number): LongLine | undefined {
    const line = this.#searched.get(from);
    return line && line.scannedTo <= end ? line : undefined;
  }

  start(from: number): LongLine {
    const line = new LongLine(from);
    keep(this.#searched, from, line);
    return line;
  }

  /** Remembers a long line whose newline was found. Its end cannot change any more. */
  finish(chunk: LongChunk): void {
    this.#searched.delete(chunk.from);
    keep(this.#found, chunk.from, chunk);
  }

  clear(): void {
    this.#searched.clear();
    this.#found.clear();
  }
}

function keep<T>(map: Map<number, T>, key: number, value: T): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_KEPT && oldest !== undefined) map.delete(oldest);
}
