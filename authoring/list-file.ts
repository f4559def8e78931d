import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { decode, type Encoding } from './letter/encoding.ts';
import type { PersonKey } from './resolve-recipients.ts';
import { normaliseEmail } from './recipients.ts';

// Reads a list of people from a CSV file, as spreadsheets and mail services export it: with comma, semicolon or tab as delimiter, quoted
// fields, a byte order mark, any line end, in UTF-8 or Latin-1. A line that cannot be used is reported and does not affect other lines.

export interface Person extends PersonKey {
  /** The line of the file on which this person's record begins. The first line is 1. */
  line: number;
  /** All fields of the record, in the order of the header. A short record has fewer fields than the header, a long record has more. */
  values: string[];
}

/**
 * Why a line is left out: it has no mail address or an invalid one, it has no id or one that is too long, the person is in the list
 * already, or address and id belong to two different people.
 */
export const REJECT_REASONS = ['no-address', 'bad-address', 'no-id', 'bad-id', 'duplicate', 'conflict'] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** A line that is left out. `value` is the address or id on this line. */
export interface Rejected {
  line: number;
  reason: RejectReason;
  value: string;
}

export interface PeopleFile {
  header: string[];
  /** The size of the file. */
  bytes: number;
  /** Returns the number of bytes that have been read. */
  bytesRead(): number;
  /** Yields all people in chunks of 5000. Lines without a valid address or id are passed to `onReject`. */
  chunks(onReject: (rejected: Rejected) => void): AsyncGenerator<Person[]>;
  /** Returns a person's value of a column, or an empty string if the record has no such field. */
  value(person: Person, column: string): string;
}

export interface PeopleColumns {
  /** The name of the column with the mail addresses; default: a column with a usual name. */
  emailColumn?: string;
  /** The name of the column with the author's own ids. The default is no column, or `id` and the like if `emails` is false. */
  idColumn?: string;
  /** False: mail addresses are not used, even if the list has them. */
  emails?: boolean;
}

const CHUNK_SIZE = 5000;
const LINE_END = /\r\n|\r|\n/;
const UNCLOSED_QUOTE_CODES: ReadonlySet<string> = new Set(['CSV_QUOTE_NOT_CLOSED', 'CSV_MAX_RECORD_SIZE']);
const MAX_ID_LENGTH = 255;
/** No real record is this long. With this limit, a quote that is never closed is found soon and not at the end of the file. */
const MAX_RECORD_BYTES = 1_000_000;
const EMAIL_COLUMN_NAMES =
  /^(?:e-?mail|mail|(?:your |primary )?e-?mail[ _-]?(?:address)?|mail[ -]?adresse|e-?mail-?adresse|adresse (?:e-?mail|mail|électronique)|courriel|correo(?: electr[oó]nico)?|e-?mail-?adres|indirizzo e-?mail|endere[cç]o de e-?mail|epost|e-post|メールアドレス)$/i;
const ID_COLUMN_NAMES = /^(?:id|external[ _-]?id|user[ _-]?id|customer[ _-]?id|subscriber[ _-]?id|contact[ _-]?id)$/i;

/**
 * Opens a list and reads its header. Throws `not-found` if the file does not exist, and `bad-input` if the file is empty or in UTF-16, or
 * if the columns cannot be found.
 */
export async function openPeople(path: string, columns: PeopleColumns): Promise<PeopleFile> {
  const { size } = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') throw new ClickledgerError('not-found', `${path} does not exist`);
    throw error;
  });
  const encoding = await detectFileEncoding(path);
  const delimiter = delimiterOf(await readBeginning(path, encoding));
  const header = await headerOf(path, encoding, delimiter);
  const withoutEmails = columns.emails === false;
  const emailAt = withoutEmails ? undefined : columnIndex(header, columns.emailColumn, EMAIL_COLUMN_NAMES);
  const idAt = columnIndex(header, columns.idColumn, withoutEmails ? ID_COLUMN_NAMES : undefined);
  if (emailAt === undefined && idAt === undefined)
    throw new ClickledgerError(
      'bad-input',
      withoutEmails
        ? `${path} has no column 'id'. Give the column with --id-column. The list has: ${header.join(', ')}`
        : `${path} has no column 'email'. Give the column with --email-column. The list has: ${header.join(', ')}`,
    );
  let bytesRead = 0;

  async function* chunks(onReject: (rejected: Rejected) => void): AsyncGenerator<Person[]> {
    let chunk: Person[] = [];
    const records = readRecords(path, encoding, delimiter, (bytes) => {
      bytesRead = bytes;
    });
    let isHeader = true;
    for await (const { line, values } of records) {
      if (isHeader) {
        isHeader = false;
        continue;
      }
      const person = readPerson(line, values, emailAt, idAt);
      if ('reason' in person) onReject(person);
      else chunk.push(person);
      if (chunk.length < CHUNK_SIZE) continue;
      yield chunk;
      chunk = [];
    }
    if (chunk.length > 0) yield chunk;
  }

  return {
    header,
    bytes: size,
    bytesRead: () => bytesRead,
    chunks,
    value: (person, column) => person.values[header.indexOf(column)] ?? '',
  };
}

function readPerson(line: number, values: string[], emailAt: number | undefined, idAt: number | undefined): Person | Rejected {
  const externalId = idAt === undefined ? undefined : (values[idAt] ?? '').trim();
  if (externalId === '') return { line, reason: 'no-id', value: '' };
  if (externalId !== undefined && externalId.length > MAX_ID_LENGTH)
    return { line, reason: 'bad-id', value: externalId.slice(0, MAX_ID_LENGTH) };
  if (emailAt === undefined) return { line, values, email: undefined, externalId };
  const text = (values[emailAt] ?? '').trim();
  const email = normaliseEmail(text);
  if (email === undefined) return { line, reason: text === '' ? 'no-address' : 'bad-address', value: text };
  return { line, values, email, externalId };
}

/** Returns the index of the column `name`, or else of the first column with a usual name. */
function columnIndex(header: readonly string[], name: string | undefined, usual: RegExp | undefined): number | undefined {
  const index = name === undefined ? (usual ? header.findIndex((column) => usual.test(column)) : -1) : header.indexOf(name);
  if (name !== undefined && index < 0)
    throw new ClickledgerError('bad-input', `column '${name}' does not exist. The list has: ${header.join(', ')}`);
  return index < 0 ? undefined : index;
}

/** Reads the whole file once, because the first byte that is not valid UTF-8 may be anywhere. */
async function detectFileEncoding(path: string): Promise<Encoding> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let isFirst = true;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      if (isFirst && ((chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff)))
        throw new ClickledgerError('bad-input', `${path} must be in UTF-8 or Latin-1, not in UTF-16. Save it as CSV in UTF-8.`);
      isFirst = false;
      decoder.decode(chunk, { stream: true });
    }
    decoder.decode();
    return 'utf-8';
  } catch (error) {
    if (error instanceof TypeError) return 'windows-1252';
    throw error;
  }
}

/** Returns the first 64 KiB of the file. */
async function readBeginning(path: string, encoding: Encoding): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, 0);
    return decode(buffer.subarray(0, bytesRead), encoding);
  } finally {
    await file.close();
  }
}

/** Returns the delimiter (comma, semicolon or tab) that occurs most often in the header, outside of quotes. */
function delimiterOf(text: string): string {
  const header = text
    .replace(/"(?:[^"]|"")*"/g, '')
    .replace(/^[\ufeff\r\n]+/, '')
    .split(/\r|\n/, 1)[0] as string;
  const count = (delimiter: string) => header.split(delimiter).length;
  return [',', ';', '\t'].reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}

async function headerOf(path: string, encoding: Encoding, delimiter: string): Promise<string[]> {
  for await (const { values } of readRecords(path, encoding, delimiter)) {
    const header = values.map((name) => name.trim());
    const duplicate = header.find((name, i) => name !== '' && header.indexOf(name) < i);
    if (duplicate !== undefined) throw new ClickledgerError('bad-input', `${path} has the column '${duplicate}' twice`);
    return header;
  }
  throw new ClickledgerError('bad-input', `${path} is empty. Its first line must have the names of the columns.`);
}

/**
 * Yields the records of the file with their line numbers. The first record is the header. `onBytes` gets the number of bytes read so far.
 */
async function* readRecords(
  path: string,
  encoding: Encoding,
  delimiter: string,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<{ line: number; values: string[] }> {
  async function* text(): AsyncGenerator<string> {
    // The decoder removes a byte order mark and joins characters that are split between two chunks.
    const decoder = new TextDecoder('utf-8');
    let bytes = 0;
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      onBytes((bytes += chunk.length));
      yield encoding === 'utf-8' ? decoder.decode(chunk, { stream: true }) : decode(chunk, encoding);
    }
    yield decoder.decode();
  }
  const parser = parse({
    delimiter,
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    relax_quotes: true,
    max_record_size: MAX_RECORD_BYTES,
  });
  const source = Readable.from(text()).on('error', (error) => parser.destroy(error));
  let line = 1;
  try {
    for await (const values of source.pipe(parser) as AsyncIterable<string[]>) {
      if (values.length > 1 || values[0] !== '') yield { line, values };
      // Lines are counted here because the parser counts a CRLF inside quotes twice.
      line += values.reduce((lines, value) => lines + value.split(LINE_END).length - 1, 1);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const reason = UNCLOSED_QUOTE_CODES.has(error.code) ? 'a quoted field begins here and has no closing quote' : error.message;
    throw new ClickledgerError('bad-input', `${path}, line ${line}: ${reason}`, { cause: error });
  } finally {
    source.destroy();
  }
}
