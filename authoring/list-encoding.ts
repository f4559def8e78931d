import { isAscii, isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { TextDecoder } from '@exodus/bytes/encoding.js';
import { ClickledgerError } from '../core/errors.ts';
import { type Encoding, encode } from './letter/encoding.ts';

// Decodes a list line by line. Lists are often combined from several sources, so different lines may have different encodings. A line that
// is valid UTF-8 is read as UTF-8, because text in another encoding is hardly ever valid UTF-8 by chance. Every other line is in the
// encoding that the author gives, or in windows-1252. The file is read twice. The first time, the encodings of the lines are found, and the
// second time, the lines are decoded.

/** Lines that are not in the encoding of the list. */
interface OtherLines {
  readonly encoding: Encoding;
  /** The number of all such lines. */
  readonly count: number;
  /** The numbers of the first ten lines. */
  readonly first: readonly number[];
  /** The number of the first of these lines, and the decoded text of its first field that is not only ASCII. */
  readonly example: { readonly line: number; readonly text: string };
}

/** Describes how a list is decoded. */
export interface ListEncoding {
  /** The encoding of the list, except for the lines in `other`. */
  readonly encoding: Encoding;
  /**
   * The way in which the encoding was found: by a byte order mark, by the charset that the user gives, or by the bytes. `fallback` means
   * that the encoding is a guess, because the bytes are not UTF-8.
   */
  readonly source: 'bom' | 'charset' | 'bytes' | 'fallback';
  readonly other: OtherLines | undefined;
  /** A decoded example of a line that is not only ASCII. It is given only if the encoding is a guess. */
  readonly example: OtherLines['example'] | undefined;
  /** The number of lines with bytes that the encoding does not have. */
  readonly damaged: number;
}

export interface ListDecoder {
  readonly how: ListEncoding;
  /** Yields the text of the file in pieces that end with a line. `onBytes` gets the number of bytes read so far. */
  text(onBytes?: (bytes: number) => void): AsyncGenerator<string>;
}

const FALLBACK: Encoding = 'windows-1252';
const MAX_LISTED = 10;
const MAX_EXAMPLE_LENGTH = 60;
/** A list with fewer characters that are not ASCII may be valid UTF-8 by chance. */
const MIN_UTF8_CHARACTERS = 4;
/** No real line is this long. A file without line ends must not be collected in memory. */
const MAX_LINE_BYTES = 1_000_000;
const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = /^\ufeff/;

/** Returns the first 64 KiB of a file. */
export async function readFirstBytes(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * Finds out how a list is encoded. `beginning` is the first 64 KiB of the file. `charset` is the encoding of lines that are not UTF-8, if
 * the author gives one. Throws `bad-input` if the file has a line that is too long for a list.
 */
export async function openListText(path: string, beginning: Buffer, charset: Encoding | undefined): Promise<ListDecoder> {
  const utf16 = detectUtf16(beginning);
  if (utf16) return decodeWhole(path, utf16.encoding, utf16.source);
  // Text in these encodings has only bytes up to 0x7f, or its line ends have two bytes. So it cannot be decoded line by line.
  if (charset !== undefined && /^(?:utf-16..|iso-2022-jp)$/.test(charset)) return decodeWhole(path, charset, 'charset');
  return decodeLines(path, charset, beginning.subarray(0, 3).equals(Buffer.from('\ufeff')));
}

/** Detects UTF-16 by its byte order mark, or by the NUL bytes of ASCII characters, which are all at odd or all at even positions. */
function detectUtf16(beginning: Buffer): { encoding: Encoding; source: 'bom' | 'bytes' } | undefined {
  if (beginning[0] === 0xff && beginning[1] === 0xfe) return { encoding: 'utf-16le', source: 'bom' };
  if (beginning[0] === 0xfe && beginning[1] === 0xff) return { encoding: 'utf-16be', source: 'bom' };
  const nuls = [0, 0] as [even: number, odd: number];
  for (let at = beginning.indexOf(0); at >= 0; at = beginning.indexOf(0, at + 1)) nuls[(at % 2) as 0 | 1]++;
  const [even, odd] = nuls;
  // Every list has ASCII characters: delimiters, line ends and mail addresses.
  if (Math.max(even, odd) < Math.max(2, beginning.length / 20)) return undefined;
  if (odd > 4 * even) return { encoding: 'utf-16le', source: 'bytes' };
  return even > 4 * odd ? { encoding: 'utf-16be', source: 'bytes' } : undefined;
}

function decodeWhole(path: string, encoding: Encoding, source: ListEncoding['source']): ListDecoder {
  return {
    how: { encoding, source, other: undefined, example: undefined, damaged: 0 },
    async *text(onBytes = () => {}) {
      const decoder = new TextDecoder(encoding);
      let bytes = 0;
      for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
        onBytes((bytes += chunk.length));
        yield decoder.decode(chunk, { stream: true });
      }
      yield decoder.decode();
    },
  };
}

/** Counts lines of one kind. Keeps the numbers of the first lines, and the bytes of the first line as an example. */
function createTally(): { count: number; first: number[]; example: Buffer | undefined; add(line: number, bytes: Buffer): void } {
  return {
    count: 0,
    first: [],
    example: undefined,
    add(line, bytes) {
      if (this.count++ < MAX_LISTED) this.first.push(line);
      this.example ??= Buffer.from(bytes);
    },
  };
}

type Tally = ReturnType<typeof createTally>;

async function decodeLines(path: string, charset: Encoding | undefined, hasBom: boolean): Promise<ListDecoder> {
  const legacy = charset ?? FALLBACK;
  const decoder = new TextDecoder(legacy, { ignoreBOM: true });
  /** Returns true if the characters of a line that is valid UTF-8 exist in the encoding that the author gives. */
  const isPlausible = createPlausibility(legacy);
  const tallies = { invalid: createTally(), plausible: createTally(), implausible: createTally() };
  let characters = 0;
  let damaged = 0;
  for await (const { block, firstLine } of blocksOf(path)) {
    // Without a charset, it is only important whether there is a line in UTF-8. The number of such lines is not needed.
    if (isAscii(block)) continue;
    if (charset === undefined && isUtf8(block)) tallies.plausible.count++;
    else
      for (const { line, number } of linesOf(block, firstLine)) {
        if (isAscii(line)) continue;
        if (isUtf8(line)) {
          const text = line.toString('utf8');
          characters += text.match(/[^\x00-\x7f]/gu)?.length ?? 0;
          tallies[charset === undefined || isPlausible(text) ? 'plausible' : 'implausible'].add(number, line);
        } else {
          tallies.invalid.add(number, line);
          if (charset !== undefined && decoder.decode(line).includes('\ufffd')) damaged++;
        }
      }
  }
  const { invalid, plausible, implausible } = tallies;
  // In a list in another encoding, a few short lines may be valid UTF-8 by chance. If they are decoded as UTF-8, hardly any of the
  // characters exist in the other encoding.
  const isMostlyUtf8 = plausible.count + implausible.count > invalid.count && characters >= MIN_UTF8_CHARACTERS;
  const isUtf8List = hasBom || charset === undefined || charset === 'utf-8' || isMostlyUtf8;
  const decodeLine = (line: Buffer): string => {
    if (isAscii(line)) return line.toString('latin1');
    if (!isUtf8(line)) return decoder.decode(line);
    const text = line.toString('utf8');
    return isUtf8List || isPlausible(text) ? text : decoder.decode(line);
  };
  const describe = (tally: Tally, encoding: Encoding): OtherLines | undefined => {
    if (tally.count === 0) return undefined;
    const [line = 0] = tally.first;
    return { encoding, count: tally.count, first: tally.first, example: { line, text: exampleOf(decodeLine(tally.example as Buffer)) } };
  };
  const utf8Count = plausible.count + (isUtf8List ? implausible.count : 0);
  const isGuess = charset === undefined && invalid.count > 0 && utf8Count === 0 && !hasBom;
  const isUtf8Text = isUtf8List && !isGuess;
  const other = isGuess || charset === 'utf-8' ? undefined : isUtf8Text ? describe(invalid, legacy) : describe(plausible, 'utf-8');
  return {
    how: {
      encoding: isUtf8Text ? 'utf-8' : legacy,
      source: hasBom ? 'bom' : isGuess ? 'fallback' : isUtf8Text ? 'bytes' : 'charset',
      other,
      example: isGuess ? describe(invalid, legacy)?.example : undefined,
      damaged,
    },
    async *text(onBytes) {
      let isFirst = true;
      for await (const { block } of blocksOf(path, onBytes)) {
        let text = '';
        if (isAscii(block) || (isUtf8List && isUtf8(block))) text = block.toString('utf8');
        else for (const { line } of linesOf(block, 0)) text += decodeLine(line);
        yield isFirst ? text.replace(BYTE_ORDER_MARK, '') : text;
        isFirst = false;
      }
    },
  };
}

/**
 * Returns a function that tests whether text that was decoded as UTF-8 is plausible in a list with this encoding. All characters of
 * plausible text exist in the encoding. In an East Asian encoding, bytes that are valid UTF-8 by chance are mostly sequences of two bytes.
 * Real UTF-8 text in these languages has mostly sequences of three bytes.
 */
function createPlausibility(encoding: Encoding): (text: string) => boolean {
  const isEastAsian = /^(?:gbk|gb18030|big5|euc-jp|euc-kr|shift_jis)$/.test(encoding);
  return (text) => {
    if (encoding === 'utf-8') return true;
    if (isEastAsian && !/[\u0800-\uffff]/.test(text)) return false;
    let isEncodable = true;
    encode(text, encoding, () => {
      isEncodable = false;
      return '?';
    });
    return isEncodable;
  };
}

/** Returns the first field of a line that is not only ASCII. */
function exampleOf(text: string): string {
  const field = text.split(/[,;\t|"]/).find((part) => /[^\x00-\x7f]/.test(part)) ?? text;
  const trimmed = field.trim();
  return trimmed.length > MAX_EXAMPLE_LENGTH ? `${trimmed.slice(0, MAX_EXAMPLE_LENGTH - 1)}…` : trimmed;
}

/** Yields the bytes of a file in blocks of complete lines. Each block has the number of its first line. Lines end with LF, CR or CRLF. */
async function* blocksOf(path: string, onBytes: (bytes: number) => void = () => {}): AsyncGenerator<{ block: Buffer; firstLine: number }> {
  let bytes = 0;
  let firstLine = 1;
  let rest: Buffer[] = [];
  let restLength = 0;
  const take = (block: Buffer) => {
    const result = { block, firstLine };
    firstLine += countLineEnds(block);
    return result;
  };
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    onBytes((bytes += chunk.length));
    // A CR at the end of the chunk may be the first half of a CRLF.
    const end = Math.max(chunk.lastIndexOf(LF), chunk.lastIndexOf(CR, -2)) + 1;
    const restEndsWithCr = rest.at(-1)?.at(-1) === CR;
    if (end === 0 && restEndsWithCr && chunk[0] !== LF) {
      yield take(Buffer.concat(rest));
      rest = [chunk];
      restLength = chunk.length;
    } else if (end === 0) {
      rest.push(chunk);
      restLength += chunk.length;
    } else {
      yield take(Buffer.concat([...rest, chunk.subarray(0, end)]));
      rest = [chunk.subarray(end)];
      restLength = chunk.length - end;
    }
    if (restLength > MAX_LINE_BYTES)
      throw new ClickledgerError(
        'bad-input',
        `${path}, line ${firstLine}: the line is longer than ${MAX_LINE_BYTES / 1e6} MB. This is not a CSV list.`,
      );
  }
  if (restLength > 0) yield take(Buffer.concat(rest));
}

function countLineEnds(block: Buffer): number {
  let count = 0;
  for (let at = block.indexOf(LF); at >= 0; at = block.indexOf(LF, at + 1)) count++;
  for (let at = block.indexOf(CR); at >= 0; at = block.indexOf(CR, at + 1)) if (block[at + 1] !== LF) count++;
  return count;
}

/** Yields the lines of a block, with their line ends. */
function* linesOf(block: Buffer, firstLine: number): Generator<{ line: Buffer; number: number }> {
  let number = firstLine;
  for (let from = 0; from < block.length; number++) {
    let end = from;
    while (end < block.length && block[end] !== LF && block[end] !== CR) end++;
    end += block[end] === CR && block[end + 1] === LF ? 2 : 1;
    yield { line: block.subarray(from, end), number };
    from = end;
  }
}
