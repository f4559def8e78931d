const CR = 0x0d;
const LF = 0x0a;

/**
 * Returns a function that makes every line of a stream end in CRLF. The function takes the chunks in their order. A bare CR or LF becomes
 * CRLF. Mail servers disagree about bare CR and LF, so a message with them could smuggle a second message past one of them. A last CR is
 * returned with the next chunk, or by a call without a chunk.
 */
export function createLineEnds(): (chunk?: Buffer) => Buffer {
  let hasCr = false;
  return (chunk) => {
    if (chunk === undefined) {
      const last = hasCr ? Buffer.from('\r\n') : Buffer.alloc(0);
      hasCr = false;
      return last;
    }
    const input: Buffer = hasCr ? Buffer.concat([Buffer.from('\r'), chunk]) : chunk;
    hasCr = input.at(-1) === CR;
    const end = hasCr ? input.length - 1 : input.length;
    return isClean(input, end) ? input.subarray(0, end) : normalise(input, end);
  };
}

/** Whether each CR is followed by an LF and each LF follows a CR. `end` is the position of a last CR, or the length. */
function isClean(input: Buffer, end: number): boolean {
  let at = 0;
  for (let cr = input.indexOf(CR); cr >= 0 && cr < end; cr = input.indexOf(CR, at)) {
    if (input[cr + 1] !== LF || input.subarray(at, cr).includes(LF)) return false;
    at = cr + 2;
  }
  return !input.subarray(at, end).includes(LF);
}

function normalise(input: Buffer, end: number): Buffer {
  const pieces: Buffer[] = [];
  const crlf = Buffer.from('\r\n');
  let at = 0;
  for (let i = 0; i < end; i++) {
    const byte = input[i];
    if (byte !== CR && byte !== LF) continue;
    pieces.push(input.subarray(at, i), crlf);
    if (byte === CR && input[i + 1] === LF) i++;
    at = i + 1;
  }
  pieces.push(input.subarray(at, end));
  return Buffer.concat(pieces);
}
