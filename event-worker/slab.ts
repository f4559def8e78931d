// Memory for the rows of a commit. The next commit uses the same memory again. New buffers for each commit would take some 10 MB per second, and
// V8 frees the memory of buffers only after 64 MB of it.

const BLOCK_BYTES = 1024 * 1024;
// Float64Array needs this alignment.
const ALIGNMENT = 8;

/** Gives parts of a few blocks of memory. They have any content, and are valid until `reset`. */
export class Slab {
  readonly #blocks: Buffer[] = [];
  #block = 0;
  #used = 0;

  /** Returns a buffer of `size` bytes whose offset in its ArrayBuffer is a multiple of 8. */
  take(size: number): Buffer {
    if (size > BLOCK_BYTES) return Buffer.allocUnsafeSlow(size);
    if (this.#used + size > BLOCK_BYTES) {
      this.#block++;
      this.#used = 0;
    }
    const block = (this.#blocks[this.#block] ??= Buffer.allocUnsafeSlow(BLOCK_BYTES));
    const taken = block.subarray(this.#used, this.#used + size);
    this.#used += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
    return taken;
  }

  /** Returns a copy of `text` in UTF-8. */
  text(text: string): Buffer {
    const bytes = this.take(Buffer.byteLength(text));
    bytes.write(text);
    return bytes;
  }

  floats(length: number): Float64Array {
    const { buffer, byteOffset } = this.take(8 * length);
    return new Float64Array(buffer, byteOffset, length);
  }

  integers(length: number): Uint32Array {
    const { buffer, byteOffset } = this.take(4 * length);
    return new Uint32Array(buffer, byteOffset, length);
  }

  /** Makes all memory available again. */
  reset(): void {
    this.#block = 0;
    this.#used = 0;
  }
}
