import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { createIdentifier, type Identity } from './identity.ts';
import { type Chunk, cut, NEWLINE, READ_BYTES, type Source } from './log-source.ts';

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

  /** Going to `from` would disturb whoever reads: the time of the first line is early enough. */
  loggedAtMs(): Promise<number> {
    return Promise.resolve(this.identity.startedAt * 1000 || this.mtimeMs);
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
