import { createHash, type Hash } from 'node:crypto';
import { LOGGED_AT } from './lines.ts';

// The id of a generation is derived from its content, so that it survives rename, gzip, copy, a reused inode and a lost checkpoint. It is
// the first 32 hex digits of the SHA-256 of its bytes up to the end of the first line that has a valid request id.

const REQUEST_ID = /\{"v":\d+,"rid":"[0-9a-f]{32}"/;
const NEWLINE = 10;
const HEAD_BYTES = 4096;
const MAX_SEARCHED_LINE_BYTES = 256 * 1024;

export interface Identity {
  gen: string;
  /** The first bytes, to check later whether the content is still the same. */
  head: Buffer;
  /** Time of the line with the request id, in epoch seconds. 0 if this line has no time. */
  startedAt: number;
}

/** Derives the identity of a file from its bytes, chunk by chunk from the start. */
export interface Identifier {
  /** Takes the next bytes. Returns the identity as soon as a line with a request id is complete. */
  push(bytes: Buffer): Identity | undefined;
  /** Returns the identity of a final file that has no such line. The id is the hash of all its bytes. */
  end(): Identity;
  /** The number of bytes pushed so far. */
  readonly bytesTaken: number;
  /** The first bytes, as in `Identity`. */
  readonly head: Buffer;
}

export function createIdentifier(): Identifier {
  const digest: Hash = createHash('sha256');
  let head: Buffer = Buffer.alloc(0);
  let line: Buffer = Buffer.alloc(0);
  let lineBytes = 0;
  let bytesTaken = 0;

  function identity(startedAt: number): Identity {
    return { gen: digest.copy().digest('hex').slice(0, 32), head, startedAt };
  }

  return {
    push(bytes) {
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES - head.length)]);
      bytesTaken += bytes.length;
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        const part = bytes.subarray(start, end + 1);
        digest.update(part);
        // The request id of a longer line is ignored. Otherwise the identity would depend on how the file is split into chunks. The bytes
        // of such a line are hashed like all others.
        if (lineBytes + part.length <= MAX_SEARCHED_LINE_BYTES) {
          const text = (line.length > 0 ? Buffer.concat([line, part]) : part).toString('latin1');
          if (REQUEST_ID.test(text)) return identity(Number(LOGGED_AT.exec(text)?.[1] ?? 0));
        }
        line = Buffer.alloc(0);
        lineBytes = 0;
        start = end + 1;
      }
      const rest = bytes.subarray(start);
      digest.update(rest);
      lineBytes += rest.length;
      if (lineBytes <= MAX_SEARCHED_LINE_BYTES) line = Buffer.concat([line, rest]);
      return undefined;
    },
    end: () => identity(0),
    get bytesTaken() {
      return bytesTaken;
    },
    get head() {
      return head;
    },
  };
}
