import type { Identity } from './identity.ts';

// Where the bytes of a generation come from: a plain file that nginx may still be writing, or a gzip that is whole.

// More than a line may be long. Twice as much outlives the young garbage, and costs more to collect than fewer reads save.
export const READ_BYTES = 512 * 1024;
export const NEWLINE = 10;

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
  /**
   * When the line at `from` was logged, epoch milliseconds; undefined while no whole line is there. Asked for when somebody looks at the
   * agent: it costs one small read, and may be somewhat off where that is dear (gzips) or nothing legible is there.
   */
  loggedAtMs(from: number): Promise<number | undefined>;
  close(): Promise<void>;
}

/** Cuts what was read at its last newline; `complete` says that nothing will ever be appended behind `bytes`. */
export function cut(bytes: Buffer, from: number, complete: boolean): Chunk {
  const newline = bytes.lastIndexOf(NEWLINE);
  if (newline >= 0) return { kind: 'lines', from, to: from + newline + 1, bytes: bytes.subarray(0, newline + 1) };
  return complete && bytes.length > 0 ? { kind: 'tail', from, to: from + bytes.length, bytes } : { kind: 'wait' };
}
