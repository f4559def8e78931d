import { ClickledgerError } from '../../core/errors.ts';
import { classify, type Kind, type TextKind, type UntouchedReason } from './classify.ts';
import { type Header, parseHeader } from './header.ts';

// Splits a message into its text parts and the bytes between them (RFC 2046, 5.1). It works on chunks, and keeps at most one header or one
// text part in memory.
//
// States: `head` reads a header. From there it goes to `text`, which collects the body of a text part, or to `pass`, which passes bytes on.
// The line of a boundary leads from both to `head`, and the last line of a multipart leads to `pass`.

export type Piece =
  /** The header of the message. If the message is a text without parts, its text follows as `text` or `large`, with the same header. */
  | { readonly kind: 'message'; readonly header: Header; readonly isText: boolean }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** A whole text part. `isMessage` is true if it is the message itself. */
  | { readonly kind: 'text'; readonly header: Header; readonly body: Buffer; readonly is: TextKind; readonly isMessage: boolean }
  /** The header of a text part that is too large to change. Its body follows as bytes. */
  | { readonly kind: 'large'; readonly header: Header; readonly isMessage: boolean }
  /** A part passes untouched. Its bytes are in other pieces. */
  | { readonly kind: 'untouched'; readonly reason: UntouchedReason };

export interface MessageSplitter {
  /** Returns the pieces that are complete after a chunk. Lines must end in CRLF. Throws `bad-input` if the header is too large. */
  push(chunk: Buffer): Piece[];
  /** Returns the last pieces. */
  end(): Piece[];
}

export interface SplitLimits {
  /** The largest header in bytes. */
  headerBytes: number;
  /** The largest text part in bytes. */
  textBytes: number;
}

/** Multiparts that are nested deeper pass untouched. */
const MAX_DEPTH = 50;
/** A boundary has at most 70 characters (RFC 2046, 5.1.1), but some programs write longer ones. */
const MAX_BOUNDARY_LINE = 998;
const CRLF = '\r\n';

interface Level {
  readonly boundary: string;
  readonly isDigest: boolean;
}

type State =
  | { readonly in: 'head' }
  | { readonly in: 'pass' }
  | {
      readonly in: 'text';
      readonly header: Header;
      readonly is: TextKind;
      readonly isMessage: boolean;
      readonly collected: Buffer[];
      size: number;
    };

export function createMessageSplitter(limits: SplitLimits): MessageSplitter {
  /** The multiparts around the current position, from the outermost to the innermost. */
  const levels: Level[] = [];
  let state: State = { in: 'head' };
  let isMessageHead = true;
  let rest: Buffer = Buffer.alloc(0);
  /** The position in `rest` of the first line of a header that has not been read. */
  let headLine = 0;
  /** True if `rest` begins at the beginning of a line. */
  let atLineStart = true;
  let pieces: Piece[] = [];
  let ended = false;

  const passOn = (bytes: Buffer): void => {
    if (bytes.length > 0) pieces.push({ kind: 'bytes', bytes });
  };

  /** Adds bytes of a body. */
  function addBody(bytes: Buffer): void {
    if (bytes.length > 0) atLineStart = false;
    if (state.in !== 'text') return passOn(bytes);
    state.collected.push(bytes);
    state.size += bytes.length;
    if (state.size <= limits.textBytes) return;
    const { header, isMessage, collected } = state;
    state = { in: 'pass' };
    pieces.push({ kind: 'large', header, isMessage }, { kind: 'untouched', reason: 'too-large' });
    for (const each of collected) passOn(each);
  }

  function endBody(): void {
    if (state.in === 'text') {
      const { header, is, isMessage, collected } = state;
      pieces.push({ kind: 'text', header, is, isMessage, body: Buffer.concat(collected) });
    }
    state = { in: 'pass' };
  }

  /** Reads a header if it is complete. Returns false if more bytes are needed. */
  function readHead(): boolean {
    for (let isOver = false; !isOver; ) {
      const lineEnd = rest.indexOf(CRLF, headLine);
      if (lineEnd < 0 && !ended && rest.length <= limits.headerBytes) return false;
      if (lineEnd > limits.headerBytes || (lineEnd < 0 && rest.length > limits.headerBytes)) {
        if (isMessageHead) throw new ClickledgerError('bad-input', `the header is larger than ${limits.headerBytes} bytes`);
        pieces.push({ kind: 'untouched', reason: 'malformed' });
        leaveHead();
        return true;
      }
      const to = lineEnd < 0 ? rest.length : lineEnd;
      // A part without an empty line after its header ends at the next boundary.
      if (rest[headLine] === 0x2d && rest[headLine + 1] === 0x2d && boundaryOf(rest.toString('latin1', headLine, to)) !== undefined) {
        leaveHead();
        return true;
      }
      isOver = to === headLine || lineEnd < 0;
      headLine = lineEnd < 0 ? rest.length : lineEnd + 2;
    }
    const bytes = rest.subarray(0, headLine);
    rest = rest.subarray(headLine);
    leaveHead();
    const header = parseHeader(bytes);
    enter(header, classify(header, { inDigest: levels.at(-1)?.isDigest ?? false }));
    return true;
  }

  function leaveHead(): void {
    state = { in: 'pass' };
    headLine = 0;
    atLineStart = true;
  }

  function enter(header: Header, is: Kind): void {
    const isMessage = isMessageHead;
    isMessageHead = false;
    if (isMessage) pieces.push({ kind: 'message', header, isText: is.kind === 'text' });
    if (is.kind === 'text') {
      state = { in: 'text', header, is, isMessage, collected: [], size: 0 };
      return;
    }
    if (!isMessage) passOn(header.bytes);
    state = { in: 'pass' };
    if (is.kind === 'untouched' && is.reason !== undefined) pieces.push({ kind: 'untouched', reason: is.reason });
    if (is.kind === 'multipart') {
      if (levels.length < MAX_DEPTH) levels.push({ boundary: is.boundary, isDigest: is.isDigest });
      else pieces.push({ kind: 'untouched', reason: 'too-deep' });
    }
  }

  /** Returns the multipart whose boundary a line is. Spaces at its end do not matter. */
  function boundaryOf(line: string): { level: number; isLast: boolean } | undefined {
    let end = line.length;
    while (line.charAt(end - 1) === ' ' || line.charAt(end - 1) === '\t') end--;
    const bare = line.slice(0, end);
    for (let level = levels.length - 1; level >= 0; level--) {
      const opening = `--${(levels[level] as Level).boundary}`;
      if (bare === opening) return { level, isLast: false };
      if (bare === `${opening}--`) return { level, isLast: true };
    }
    return undefined;
  }

  /**
   * Finds the first line that is a boundary. The line break before it belongs to it. `bodyEnd` is the position before, and `to` the position
   * after the boundary. `incomplete` is the position from which more bytes are needed.
   */
  function findBoundary(bytes: Buffer, isWhole: boolean) {
    for (let at = 0; ; ) {
      const isStart = at === 0 && atLineStart && bytes[0] === 0x2d && bytes[1] === 0x2d;
      const found = isStart ? 0 : bytes.indexOf(`${CRLF}--`, at);
      if (found < 0) return undefined;
      const from = isStart ? 0 : found + 2;
      const end = bytes.indexOf(CRLF, from);
      if (end < 0 && !isWhole && bytes.length - from <= MAX_BOUNDARY_LINE) return { incomplete: found };
      const lineEnd = end < 0 ? bytes.length : end;
      const boundary = lineEnd - from > MAX_BOUNDARY_LINE ? undefined : boundaryOf(bytes.toString('latin1', from, lineEnd));
      if (boundary !== undefined) return { bodyEnd: found, to: end < 0 ? bytes.length : end + 2, ...boundary };
      if (end < 0) return undefined;
      at = end;
    }
  }

  /** Reads a body up to the next boundary. Returns false if more bytes are needed. */
  function readBody(): boolean {
    if (levels.length === 0) {
      addBody(rest);
      rest = Buffer.alloc(0);
      return false;
    }
    const found = findBoundary(rest, ended);
    if (found === undefined || 'incomplete' in found) {
      // The end of the bytes may be the beginning of a boundary.
      const to = ended ? rest.length : (found?.incomplete ?? Math.max(0, rest.length - 3));
      addBody(rest.subarray(0, to));
      rest = rest.subarray(to);
      return false;
    }
    addBody(rest.subarray(0, found.bodyEnd));
    endBody();
    passOn(rest.subarray(found.bodyEnd, found.to));
    rest = rest.subarray(found.to);
    atLineStart = true;
    levels.length = found.isLast ? found.level : found.level + 1;
    state = found.isLast ? { in: 'pass' } : { in: 'head' };
    return true;
  }

  function run(): Piece[] {
    while (state.in === 'head' ? rest.length + (ended && isMessageHead ? 1 : 0) > 0 && readHead() : readBody());
    if (ended && state.in === 'text') endBody();
    const result = pieces;
    pieces = [];
    return result;
  }

  return {
    push(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      return run();
    },
    end() {
      ended = true;
      return run();
    },
  };
}
