import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { parse as parseSync } from 'csv-parse/sync';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { bareAddress, bareName } from './bare-text.ts';
import { parseCharset } from './letter/encoding.ts';
import { countAddresses, findAddressColumn, findIdColumn, isAddressName } from './list-columns.ts';
import { type ListDecoder, type ListEncoding, openListText, readFirstBytes } from './list-encoding.ts';
import { findForeignFormat } from './list-signatures.ts';
import { createStatusCheck, type StatusCheck } from './list-status.ts';
import type { PersonKey } from './resolve-recipients.ts';
import { normaliseEmail } from './recipients.ts';

// Reads a list of people from a CSV file that a spreadsheet program or a mail service has exported. The delimiter may be a comma, a
// semicolon, a tab or a bar. The file may have a first line `sep=;`, a header and quoted fields. It may have any line ends and any
// encoding. A line that cannot be used is reported and does not affect other lines. Guesses about the file are reported, too.

export interface Person extends PersonKey {
  /** The line of the file on which this person's record begins. The first line is 1. */
  line: number;
  /**
   * All fields of the record, in the order of the header. A short record has fewer fields than the header, a long record has more. If there
   * was other text around a mail address, e.g. `Ann <ann@shop.example>`, the field has only the address.
   */
  values: string[];
}

/** The reasons for leaving out a line. */
export const REJECT_REASONS = [
  'no-address',
  'bad-address',
  'no-id',
  // The id is too long.
  'bad-id',
  // The person is on an earlier line.
  'duplicate',
  // The address and the id belong to two different people.
  'conflict',
  // A status column says that the person must not be written to.
  'not-subscribed',
  // The person has unsubscribed by a link of clickledger.
  'unsubscribed',
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

/** A line that is left out. `value` is the address or id on this line. */
export interface Rejected {
  line: number;
  reason: RejectReason;
  value: string;
  /** Only for the reason `not-subscribed`: the column and its value, e.g. "status: unsubscribed". */
  status?: string;
}

/** The findings about a list, which the author can check. */
export interface ListFindings {
  readonly encoding: ListEncoding;
  /** False if the first record is already a person. Then the columns are named by their positions. */
  readonly hasHeader: boolean;
  /** The column with the mail addresses, or undefined if the list is used without addresses. */
  readonly emailColumn: string | undefined;
  /** Other columns that also have mail addresses. The list is empty if the author names the column. */
  readonly otherEmailColumns: readonly string[];
  readonly idColumn: string | undefined;
  /** The columns that say whether people may be written to. */
  readonly statusColumns: readonly string[];
  /** The columns that got a new name because an earlier column had the same name. */
  readonly renamedColumns: readonly { from: string; to: string }[];
  /** The fields in which text around the mail address was removed: their number so far, and the first of them. */
  readonly cleaned: { count: number; example: { line: number; from: string; to: string } | undefined };
}

export interface PeopleFile {
  header: string[];
  findings: ListFindings;
  /** The size of the file. */
  bytes: number;
  /** Returns the number of bytes that have been read. */
  bytesRead(): number;
  /** Yields all people in chunks, of 5000 by default. Lines without a valid address or id are passed to `onReject`. */
  chunks(onReject: (rejected: Rejected) => void, size?: number): AsyncGenerator<Person[]>;
  /** Returns a person's value of a column, or an empty string if the record has no such field. */
  value(person: Person, column: string): string;
}

export interface PeopleColumns {
  /** The name of the column with the mail addresses. The default is a column with a usual name. */
  emailColumn?: string;
  /**
   * The name of the column with the author's own ids. The default is no column. If `emails` is false, the default is a column with a usual
   * name such as `id`.
   */
  idColumn?: string;
  /** If false, mail addresses are not used, even if the list has them. */
  emails?: boolean;
  /** The encoding of lines that are not UTF-8. The default is windows-1252. */
  listCharset?: string;
  /** If true, people are accepted even if a status column says that they must not be written to. */
  ignoreStatus?: boolean;
}

const CHUNK_SIZE = 5000;
const LINE_END = /\r\n|\r|\n/;
const UNCLOSED_QUOTE_CODES: ReadonlySet<string> = new Set(['CSV_QUOTE_NOT_CLOSED', 'CSV_MAX_RECORD_SIZE']);
const MAX_ID_LENGTH = 255;
/** No real record is this long. With this limit, a quote that is never closed is found early and not only at the end of the file. */
const MAX_RECORD_BYTES = 1_000_000;
const DELIMITERS = [',', ';', '\t', '|'];
/** Spreadsheet programs write and read the delimiter in a first line of this form. */
const DELIMITER_LINE = /^"?sep=(\\t|[^"\r\n])"?[,;\t]*(?:\r\n|\r|\n|$)/i;
/** The address column is chosen by its values in this many records. */
const SAMPLE_RECORDS = 200;
const CSV_OPTIONS = {
  record_delimiter: ['\r\n', '\n', '\r'],
  relax_column_count: true,
  relax_quotes: true,
  max_record_size: MAX_RECORD_BYTES,
};

/** Describes how the rows of a list are read, and which columns they have. */
interface Layout {
  header: string[];
  delimiter: string;
  /** The number of records before the first person. */
  skippedRecords: number;
  emailAt: number | undefined;
  idAt: number | undefined;
}

/**
 * Opens a list, detects its format and reads its header. Throws `not-found` if the file does not exist, and `bad-input` if the file is
 * empty or not CSV, or if the columns cannot be found.
 */
export async function openPeople(path: string, columns: PeopleColumns): Promise<PeopleFile> {
  const charset = columns.listCharset === undefined ? undefined : parseCharset(columns.listCharset);
  const { size } = await stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') throw new ClickledgerError('not-found', `${path} does not exist`);
    throw error;
  });
  const beginning = await readFirstBytes(path);
  const foreign = findForeignFormat(path, beginning);
  if (foreign !== undefined) throw new ClickledgerError('bad-input', foreign);
  const decoder = await openListText(path, beginning, charset);
  const { layout, findings } = await readLayout(path, decoder, columns);
  const status = columns.ignoreStatus ? undefined : createStatusCheck(layout.header);
  const cleaned: ListFindings['cleaned'] = { count: 0, example: undefined };
  let bytesRead = 0;

  async function* chunks(onReject: (rejected: Rejected) => void, size = CHUNK_SIZE): AsyncGenerator<Person[]> {
    Object.assign(cleaned, { count: 0, example: undefined });
    let chunk: Person[] = [];
    const records = readRecords(path, decoder, layout.delimiter, (bytes) => {
      bytesRead = bytes;
    });
    let skipped = 0;
    for await (const { line, values } of records) {
      if (skipped < layout.skippedRecords) {
        skipped++;
        continue;
      }
      const person = readPerson(line, values, layout, status);
      if ('reason' in person) onReject(person);
      else {
        if (layout.emailAt !== undefined) separateAddress(person, layout.emailAt, cleaned);
        chunk.push(person);
      }
      if (chunk.length < size) continue;
      yield chunk;
      chunk = [];
    }
    if (chunk.length > 0) yield chunk;
  }

  return {
    header: layout.header,
    findings: { ...findings, encoding: decoder.how, statusColumns: status?.columns ?? [], cleaned },
    bytes: size,
    bytesRead: () => bytesRead,
    chunks,
    value: (person, column) => person.values[layout.header.indexOf(column)] ?? '',
  };
}

function readPerson(line: number, values: string[], { emailAt, idAt }: Layout, status: StatusCheck | undefined): Person | Rejected {
  const externalId = idAt === undefined ? undefined : (values[idAt] ?? '').trim();
  const text = emailAt === undefined ? '' : (values[emailAt] ?? '').trim();
  const excludedBy = status?.check(values);
  if (excludedBy !== undefined) return { line, reason: 'not-subscribed', value: text || (externalId ?? ''), status: excludedBy };
  if (externalId === '') return { line, reason: 'no-id', value: '' };
  if (externalId !== undefined && externalId.length > MAX_ID_LENGTH)
    return { line, reason: 'bad-id', value: externalId.slice(0, MAX_ID_LENGTH) };
  if (emailAt === undefined) return { line, values, email: undefined, externalId };
  const email = normaliseEmail(text);
  if (email === undefined) return { line, reason: bareAddress(text) === '' ? 'no-address' : 'bad-address', value: text };
  return { line, values, email, externalId };
}

/**
 * Removes the text around a mail address in its field. Upper and lower case do not change. If only ordinary spaces are around the address,
 * the field does not change.
 */
function separateAddress({ line, values }: Person, emailAt: number, cleaned: ListFindings['cleaned']): void {
  const field = values[emailAt] ?? '';
  const bare = bareAddress(field);
  if (bare === field || bare === field.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')) return;
  values[emailAt] = bare;
  cleaned.count++;
  cleaned.example ??= { line, from: field, to: bare };
}

/** Finds the delimiter, the header and the columns. */
async function readLayout(
  path: string,
  decoder: ListDecoder,
  columns: PeopleColumns,
): Promise<{ layout: Layout; findings: Omit<ListFindings, 'encoding' | 'statusColumns' | 'cleaned'> }> {
  const text = await beginningOf(decoder);
  const delimiterLine = DELIMITER_LINE.exec(text);
  const given = delimiterLine?.[1]?.replace('\\t', '\t');
  const delimiter = given ?? delimiterOf(text, columns);
  const [first, ...others] = (await sampleOf(path, decoder, delimiter)).slice(given === undefined ? 0 : 1);
  if (!first) throw new ClickledgerError('bad-input', `${path} is empty. Its first line must have the names of the columns.`);
  const hasHeader = isHeader(first, columns);
  const sample = hasHeader ? others : [first, ...others];
  const { names, renamedColumns } = hasHeader ? numberDuplicates(first.map(bareName)) : namesByPosition(sample);
  const withoutEmails = columns.emails === false;

  let emailAt = columns.emailColumn === undefined || withoutEmails ? undefined : columnIndex(names, columns.emailColumn);
  let otherEmailColumns: string[] = [];
  if (emailAt === undefined && !withoutEmails) {
    const found = hasHeader ? findAddressColumn(names, sample) : mostAddresses(names, sample);
    emailAt = found?.index;
    otherEmailColumns = found?.others.map((index) => names[index] as string) ?? [];
    // With this name, the letter and the mail service can use {{email}}.
    if (!hasHeader && emailAt !== undefined) names[emailAt] = 'email';
  }
  let idAt = columns.idColumn === undefined ? undefined : columnIndex(names, columns.idColumn);
  if (idAt === undefined && withoutEmails) idAt = findIdColumn(names);
  if (emailAt === undefined && idAt === undefined)
    throw new ClickledgerError(
      'bad-input',
      `${path} has no column ${adviceFor(withoutEmails, names, sample)} The list has: ${names.join(', ')}`,
    );
  return {
    layout: { header: names, delimiter, skippedRecords: (given === undefined ? 0 : 1) + (hasHeader ? 1 : 0), emailAt, idAt },
    findings: {
      hasHeader,
      emailColumn: emailAt === undefined ? undefined : names[emailAt],
      otherEmailColumns,
      idColumn: idAt === undefined ? undefined : names[idAt],
      renamedColumns,
    },
  };
}

function adviceFor(withoutEmails: boolean, names: readonly string[], sample: readonly string[][]): string {
  if (withoutEmails) return "'id'. Give the column with --id-column.";
  const index = mostAddresses(names, sample)?.index;
  const hint = index === undefined ? '' : ` Its column '${names[index]}' has mail addresses.`;
  return `'email'.${hint} Give the column with --email-column.`;
}

/** Returns the index of the column `name`. */
function columnIndex(header: readonly string[], name: string): number {
  const index = header.indexOf(bareName(name));
  if (index < 0) throw new ClickledgerError('bad-input', `column '${name}' does not exist. The list has: ${header.join(', ')}`);
  return index;
}

/**
 * Returns true if the first record is a header. A record with a mail address is a person and not a header, unless it also has the name of a
 * column. If the first person were taken for a header, this person would be lost.
 */
function isHeader(record: readonly string[], { emailColumn, idColumn }: PeopleColumns): boolean {
  const names = record.map(bareName);
  return !record.some(isAddress) || names.some((name) => isAddressName(name) || name === emailColumn || name === idColumn);
}

function namesByPosition(sample: readonly string[][]): { names: string[]; renamedColumns: [] } {
  const width = Math.max(...sample.map(({ length }) => length));
  return { names: Array.from({ length: width }, (_, i) => `column_${i + 1}`), renamedColumns: [] };
}

function mostAddresses(names: readonly string[], sample: readonly string[][]): { index: number; others: number[] } | undefined {
  const [best, ...others] = names
    .map((_, index) => ({ index, count: countAddresses(sample, index) }))
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count || a.index - b.index);
  return best && { index: best.index, others: others.map(({ index }) => index) };
}

/** Adds numbers to names that occur more than once: name, name_2, name_3. Empty names do not change. */
function numberDuplicates(names: string[]): { names: string[]; renamedColumns: { from: string; to: string }[] } {
  const used = new Set<string>();
  const renamedColumns: { from: string; to: string }[] = [];
  const numbered = names.map((from) => {
    if (from === '' || !used.has(from)) {
      used.add(from);
      return from;
    }
    let number = 2;
    while (used.has(`${from}_${number}`) || names.includes(`${from}_${number}`)) number++;
    const to = `${from}_${number}`;
    used.add(to);
    renamedColumns.push({ from, to });
    return to;
  });
  return { names: numbered, renamedColumns };
}

/** Returns the text of about the first 64 KiB of the list. */
async function beginningOf(decoder: ListDecoder): Promise<string> {
  let beginning = '';
  for await (const text of decoder.text()) {
    beginning += text;
    if (beginning.length >= 65_536) break;
  }
  return beginning;
}

/**
 * Returns the delimiter that occurs most often in the first record, outside of quotes. A delimiter is preferred if it gives the record a
 * field with a mail address or with the name of a wanted column.
 */
function delimiterOf(text: string, columns: PeopleColumns): string {
  const withoutQuotes = text.replace(/"(?:[^"]|"")*"/g, '').replace(/^[\r\n]+/, '');
  const [firstLine = ''] = withoutQuotes.split(/\r|\n/, 1);
  const isKnown = (field: string): boolean =>
    !/[,;\t|]/.test(field) &&
    (isAddressName(bareName(field)) || [columns.emailColumn, columns.idColumn].includes(bareName(field)) || isAddress(field));
  const score = (delimiter: string): number => {
    const count = firstLine.split(delimiter).length;
    return count > 1 && firstRecordOf(text, delimiter).some(isKnown) ? count + MAX_RECORD_BYTES : count;
  };
  const scores = DELIMITERS.map(score);
  return DELIMITERS[scores.indexOf(Math.max(...scores))] as string;
}

function firstRecordOf(text: string, delimiter: string): string[] {
  try {
    const [record = []] = parseSync(text, { ...CSV_OPTIONS, delimiter, to: 1, skip_empty_lines: true });
    return record;
  } catch {
    // The mistake is reported with its line when the records are read.
    return [];
  }
}

const isAddress = (field: string): boolean => /[@＠]/.test(field) && normaliseEmail(field) !== undefined;

/** Returns the first records. A mistake after the first record is reported later, when the list is read. */
async function sampleOf(path: string, decoder: ListDecoder, delimiter: string): Promise<string[][]> {
  const records: string[][] = [];
  try {
    for await (const { values } of readRecords(path, decoder, delimiter)) if (records.push(values) === SAMPLE_RECORDS) break;
  } catch (error) {
    if (records.length === 0) throw error;
  }
  return records;
}

/** Yields the records of the file with their line numbers. `onBytes` gets the number of bytes read so far. */
async function* readRecords(
  path: string,
  decoder: ListDecoder,
  delimiter: string,
  onBytes?: (bytes: number) => void,
): AsyncGenerator<{ line: number; values: string[] }> {
  const parser = parse({ ...CSV_OPTIONS, delimiter });
  const source = Readable.from(decoder.text(onBytes)).on('error', (error) => parser.destroy(error));
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
