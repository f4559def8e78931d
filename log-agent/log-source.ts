import type { Identity } from './identity.ts';

// A source of a generation's bytes: a plain file that nginx may still write to, or a complete compressed file.

// The size of one read. It is larger than the longest line. A buffer of twice the size would survive the young-generation garbage
// collection, and this costs more than fewer reads would save.
export const READ_BYTES = 512 * 1024;
/**
 * A read ends after this number of bytes without a line, so that other logs get their turn. Reading these bytes takes about ten
 * milliseconds.
 */
export const TURN_BYTES = 4 * 1024 * 1024;
export const NEWLINE = 10;

/**
 * The result of one read. The kinds are:
 *   lines        whole lines
 *   tail         the end of a final file: bytes without a newline, which nothing will complete
 *   long         the bytes of a line that is longer than allowed. They are passed over. `hash` is that of the fragment (hashOf)
 *   more         bytes were passed over, and the next read with the same arguments goes on there
 *   wait         no whole line yet
 *   unavailable  the file was closed, or has other content now (it was truncated or replaced)
 */
export type Chunk =
  | { kind: 'lines' | 'tail'; from: number; to: number; bytes: Buffer }
  | { kind: 'long'; from: number; to: number; hash: string }
  | { kind: 'more' }
  | { kind: 'wait' }
  | { kind: 'unavailable' };

export interface Source {
  /** Undefined until a line with a request id has been read. */
  readonly identity: Identity | undefined;
  /** Size in bytes at the last refresh. */
  readonly size: number;
  /** Whether it is certain that nothing will be appended. */
  readonly final: boolean;
  /** Epoch milliseconds of the last change. */
  readonly mtimeMs: number;
  /** Whether only reading in order is cheap. */
  readonly sequential: boolean;
  /** The path of the file in the log directory at the last scan. Undefined after the file is deleted. */
  path: string | undefined;
  /** Reads whole lines from byte `from`, the start of a line, up to byte `to` at most. */
  read(from: number, to: number): Promise<Chunk>;
  /**
   * The time of the line at `from`, in epoch milliseconds; undefined if no whole line is there. This call costs one small read, so the time
   * is read only on request. The time is approximate for a compressed file, where such a read would be expensive, and for a line whose time
   * cannot be parsed.
   */
  loggedAtMs(from: number): Promise<number | undefined>;
  /**
   * Reads the bytes [from, to) as they are, READ_BYTES at most, wherever lines begin. It may run at the same time as `read`. Resolves with no bytes
   * if more calls are needed until they are found, and with undefined if the bytes are unavailable (see Chunk).
   */
  raw(from: number, to: number): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

/** Cuts bytes at their last newline. `complete` means that nothing will be appended after `bytes`. */
export function cutAtNewline(bytes: Buffer, from: number, complete: boolean): Chunk {
  const newline = bytes.lastIndexOf(NEWLINE);
  if (newline >= 0) return { kind: 'lines', from, to: from + newline + 1, bytes: bytes.subarray(0, newline + 1) };
  return complete && bytes.length > 0 ? { kind: 'tail', from, to: from + bytes.length, bytes } : { kind: 'wait' };
}
