import { createHash, type Hash } from 'node:crypto';
import { LOGGED_AT } from './lines.ts';

// A generation's id is made of its content, so that it survives rename, gzip, copy, a reused inode and a lost checkpoint:
// the first 32 hex digits of SHA-256 over its bytes up to the end of the first line that carries a valid request id.

const CARRIES_ID = /\{"v":\d+,"rid":"[0-9a-f]{32}"/;
const NEWLINE = 10;
const HEAD_BYTES = 4096;
const MAX_SEARCHED_LINE_BYTES = 256 * 1024;

export interface Identity {
  gen: string;
  /** The first bytes, for telling later whether they are still the same. */
  head: Buffer;
  /** When the identifying line was written, epoch seconds; 0 where there is none. */
  startedAt: number;
}

/** Reads a file from its start, piece by piece, until it knows who it is. */
export interface Identifier {
  /** Takes the next bytes; the identity as soon as it is certain. */
  push(bytes: Buffer): Identity | undefined;
  /** The identity of a final file that has no such line: all its bytes count. */
  end(): Identity;
  /** How many bytes it has taken. */
  readonly taken: number;
  /** The first of them, as `Identity` has them. */
  readonly head: Buffer;
}

export function createIdentifier(): Identifier {
  const sum: Hash = createHash('sha256');
  let head: Buffer = Buffer.alloc(0);
  let line: Buffer = Buffer.alloc(0);
  let lineBytes = 0;
  let taken = 0;

  function identity(startedAt: number): Identity {
    return { gen: sum.copy().digest('hex').slice(0, 32), head, startedAt };
  }

  return {
    push(bytes) {
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES - head.length)]);
      taken += bytes.length;
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        const part = bytes.subarray(start, end + 1);
        sum.update(part);
        // A line that long carries no id that counts, or it would depend on where the pieces are cut; its bytes still do.
        if (lineBytes + part.length <= MAX_SEARCHED_LINE_BYTES) {
          const text = (line.length > 0 ? Buffer.concat([line, part]) : part).toString('latin1');
          if (CARRIES_ID.test(text)) return identity(Number(LOGGED_AT.exec(text)?.[1] ?? 0));
        }
        line = Buffer.alloc(0);
        lineBytes = 0;
        start = end + 1;
      }
      const rest = bytes.subarray(start);
      sum.update(rest);
      lineBytes += rest.length;
      if (lineBytes <= MAX_SEARCHED_LINE_BYTES) line = Buffer.concat([line, rest]);
      return undefined;
    },
    end: () => identity(0),
    get taken() {
      return taken;
    },
    get head() {
      return head;
    },
  };
}
