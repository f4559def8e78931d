import { basename } from 'node:path';

// Recognises by its first bytes that a file is not CSV.

const EXCEL = 'In Excel, choose File > Save As and the type "CSV UTF-8 (Comma delimited)".';
const LIBRE_OFFICE = 'In LibreOffice, choose File > Save As and the type "Text CSV" with the character set UTF-8.';
const NUMBERS = 'In Numbers, choose File > Export To > CSV, and the encoding Unicode (UTF-8).';
const FROM_SOURCE = 'Export the list from its source as CSV.';

interface Signature {
  /** Matches the bytes at the beginning of the file. Each byte is one character. */
  readonly begins: RegExp;
  /** Matches text within the first 64 KiB, for example the name of a file in a ZIP archive. */
  readonly contains?: RegExp;
  readonly kind: string;
  readonly advice: string;
}

const ZIP = /^PK(?:\x03\x04|\x05\x06|\x07\x08)/;

/** The first entry that matches is used. */
const SIGNATURES: readonly Signature[] = [
  { begins: ZIP, contains: /mimetypeapplication\/vnd\.oasis\.opendocument/, kind: 'an OpenDocument file (.ods)', advice: LIBRE_OFFICE },
  { begins: ZIP, contains: /Index\/(?:Document|Tables\/|CalculationEngine)|Index\.zip|\.iwa/, kind: 'a Numbers file', advice: NUMBERS },
  { begins: ZIP, contains: /word\//, kind: 'a Word document (.docx)', advice: FROM_SOURCE },
  { begins: ZIP, contains: /xl\/|\[Content_Types\]\.xml|docProps\//, kind: 'an Excel workbook (.xlsx)', advice: EXCEL },
  { begins: ZIP, kind: 'a ZIP archive', advice: 'Unpack it and give the CSV file inside.' },
  {
    begins: /^\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1|^\x09[\x00\x02\x04\x08][\x04\x06\x08\x10]\x00/,
    kind: 'an Excel workbook (.xls)',
    advice: EXCEL,
  },
  { begins: /^%PDF-/, kind: 'a PDF document', advice: FROM_SOURCE },
  {
    begins: /^\x1f\x8b|^BZh\d|^\xfd7zXZ\x00|^\x28\xb5\x2f\xfd/,
    kind: 'a compressed file',
    advice: 'Unpack it and give the CSV file inside.',
  },
  { begins: /^7z\xbc\xaf\x27\x1c|^Rar!\x1a/, kind: 'an archive', advice: 'Unpack it and give the CSV file inside.' },
  { begins: /^\x89PNG|^\xff\xd8\xff|^GIF8/, kind: 'an image', advice: FROM_SOURCE },
  { begins: /^SQLite format 3\x00/, kind: 'a SQLite database', advice: FROM_SOURCE },
  { begins: /^\s*\{\\rtf/, kind: 'an RTF document', advice: FROM_SOURCE },
  { begins: /^ID;P(?:WXL|CALCOOO|Excel)/, kind: 'a SYLK file (.slk)', advice: EXCEL },
  { begins: /^(?:\xef\xbb\xbf)?\s*BEGIN:VCARD/i, kind: 'a vCard file', advice: FROM_SOURCE },
  { begins: /^(?:\xef\xbb\xbf)?\s*\[?\s*\{\s*"/, kind: 'a JSON file', advice: FROM_SOURCE },
  {
    begins: /^(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|table|meta|\?xml|workbook)(?=[\s>/])/i,
    kind: 'an HTML or XML file',
    advice: `A spreadsheet program opens it. ${EXCEL}`,
  },
];

/**
 * If a file is not CSV, returns a message that says what the file is and what to do. Otherwise returns undefined. `beginning` is the first
 * 64 KiB of the file.
 */
export function findForeignFormat(path: string, beginning: Buffer): string | undefined {
  const text = beginning.toString('latin1');
  const found = SIGNATURES.find(({ begins, contains }) => begins.test(text) && (contains === undefined || contains.test(text)));
  return found && `${basename(path)} is ${found.kind}, not CSV. ${found.advice}`;
}
