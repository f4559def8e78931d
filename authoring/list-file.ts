import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { decode, type Encoding } from './letter/encoding.ts';
import type { PersonKey } from './resolve-recipients.ts';
import { normaliseEmail } from './recipients.ts';

// Reads a list of people as it comes out of spreadsheets and other senders: comma, semicolon or tab, quoted fields, a byte order mark,
// either line end, UTF-8 or Latin-1. One bad line is reported and costs nobody else anything.

export interface Person extends PersonKey {
  /** The line of the file, from 1, on which this person begins. */
  line: number;
  /** All fields, in the order of the header. */
  values: string[];
}

export const REJECT_REASONS = ['no-address', 'bad-address', 'no-id', 'bad-id', 'duplicate', 'conflict'] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** A line that was left out, and the address or id in it. */
export interface Rejected {
  line: number;
  reason: RejectReason;
  value: string;
}

export interface PeopleFile {
  header: string[];
  bytes: number;
  /** How much has been read. */
  bytesRead(): number;
  /** All people, some thousand at a time; lines without a usable address or id are told to `onReject`. */
  chunks(onReject: (rejected: Rejected) => void): AsyncGenerator<Person[]>;
  /** The field of a person, by column. */
  value(person: Person, column: string): string;
}

export interface PeopleColumns {
  emailColumn?: string;
  idColumn?: string;
  /** False: do not use addresses at all, even if there are some. */
  emails?: boolean;
}

const CHUNK = 5000;
const LINE_END = /\r\n|\r|\n/;
const ENDLESS: ReadonlySet<string> = new Set(['CSV_QUOTE_NOT_CLOSED', 'CSV_MAX_RECORD_SIZE']);
const MAX_ID_LENGTH = 255;
/** More than any person has: a quote that is never closed is found here, and not at the end of the file. */
const MAX_RECORD_BYTES = 1_000_000;
const EMAIL_NAMES =
  /^(?:e-?mail|mail|(?:your |primary )?e-?mail[ _-]?(?:address)?|mail[ -]?adresse|e-?mail-?adresse|adresse (?:e-?mail|mail|électronique)|courriel|correo(?: electr[oó]nico)?|e-?mail-?adres|indirizzo e-?mail|endere[cç]o de e-?mail|epost|e-post|メールアドレス)$/i;
const ID_NAMES = /^(?:id|external[ _-]?id|user[ _-]?id|customer[ _-]?id|subscriber[ _-]?id|contact[ _-]?id)$/i;

/** Opens a list and reads its header. */
export async function openPeople(path: string, columns: PeopleColumns): Promise<PeopleFile> {
  const { size } = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') throw new ClickledgerError('not-found', `there is no file ${path}`);
    throw error;
  });
  const encoding = await encodingOf(path);
  const delimiter = delimiterOf(await beginning(path, encoding));
  const header = await headerOf(path, encoding, delimiter);
  const withoutEmails = columns.emails === false;
  const emailAt = withoutEmails ? undefined : columnAt(header, columns.emailColumn, EMAIL_NAMES);
  const idAt = columnAt(header, columns.idColumn, withoutEmails ? ID_NAMES : undefined);
  if (emailAt === undefined && idAt === undefined)
    throw new ClickledgerError(
      'bad-input',
      withoutEmails
        ? `no column of ${path} is called 'id': say with --id-column which it is (${header.join(', ')})`
        : `no column of ${path} is called 'email': say with --email-column which it is (${header.join(', ')})`,
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
      if (chunk.length < CHUNK) continue;
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
  const written = (values[emailAt] ?? '').trim();
  const email = normaliseEmail(written);
  if (email === undefined) return { line, reason: written === '' ? 'no-address' : 'bad-address', value: written };
  return { line, values, email, externalId };
}

function columnAt(header: readonly string[], name: string | undefined, usual: RegExp | undefined): number | undefined {
  const at = name === undefined ? (usual ? header.findIndex((column) => usual.test(column)) : -1) : header.indexOf(name);
  if (name !== undefined && at < 0)
    throw new ClickledgerError('bad-input', `there is no column '${name}'; there are: ${header.join(', ')}`);
  return at < 0 ? undefined : at;
}

async function encodingOf(path: string): Promise<Encoding> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let start = true;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      if (start && ((chunk[0] === 0xff && chunk[1] === 0xfe) || (chunk[0] === 0xfe && chunk[1] === 0xff)))
        throw new ClickledgerError('bad-input', `${path} is UTF-16: save it as CSV in UTF-8`);
      start = false;
      decoder.decode(chunk, { stream: true });
    }
    decoder.decode();
    return 'utf-8';
  } catch (error) {
    if (error instanceof TypeError) return 'windows-1252';
    throw error;
  }
}

async function beginning(path: string, encoding: Encoding): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(65_536), 0, 65_536, 0);
    return decode(buffer.subarray(0, bytesRead), encoding);
  } finally {
    await file.close();
  }
}

/** The one of the usual delimiters that stands most often in the header, outside of quotes. */
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
    const twice = header.find((name, i) => name !== '' && header.indexOf(name) < i);
    if (twice !== undefined) throw new ClickledgerError('bad-input', `the column '${twice}' of ${path} is there twice`);
    return header;
  }
  throw new ClickledgerError('bad-input', `${path} is empty: its first line must name the columns`);
}

async function* readRecords(
  path: string,
  encoding: Encoding,
  delimiter: string,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<{ line: number; values: string[] }> {
  async function* text(): AsyncGenerator<string> {
    // Takes away a byte order mark, and puts characters together again that a chunk has cut in two.
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
      // The parser counts a CRLF inside of quotes twice.
      line += values.reduce((lines, value) => lines + value.split(LINE_END).length - 1, 1);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const why = ENDLESS.has(error.code) ? 'a field in quotes begins here and does not end' : error.message;
    throw new ClickledgerError('bad-input', `${path}, line ${line}: ${why}`, { cause: error });
  } finally {
    source.destroy();
  }
}
