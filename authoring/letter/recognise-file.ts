import { ClickledgerError } from '../../core/errors.ts';
import { tokenize } from './tokens.ts';

// Recognises files that are not letters by their content. The error says what the file is and what to do.

/** File formats, with their first bytes as latin1 text. */
const SIGNATURES: readonly { starts: string; what: string; toDo: string }[] = [
  { starts: 'PK\x03\x04', what: 'a ZIP file, such as a .docx document', toDo: 'Export it as HTML.' },
  { starts: '\xd0\xcf\x11\xe0', what: 'an old Office document', toDo: 'Export it as HTML.' },
  { starts: '%PDF', what: 'a PDF', toDo: 'Give the HTML that it was made from.' },
  { starts: '{\\rtf', what: 'an RTF document', toDo: 'Export it as HTML.' },
  { starts: '\x89PNG', what: 'an image', toDo: 'Give the HTML that shows it.' },
  { starts: '\xff\xd8\xff', what: 'an image', toDo: 'Give the HTML that shows it.' },
  { starts: 'GIF8', what: 'an image', toDo: 'Give the HTML that shows it.' },
  { starts: '\x1f\x8b', what: 'a gzip file', toDo: 'Unpack it first.' },
  { starts: '\x28\xb5\x2f\xfd', what: 'a zstd file', toDo: 'Unpack it first.' },
  { starts: 'bplist', what: 'a web archive', toDo: 'Save the page as HTML source.' },
];

/** The usual fields at the beginning of mail messages: the fields of RFC 5322 and the trace fields of mail servers. */
const FIELD_NAMES =
  /^(?:return-path|received|delivered-to|envelope-to|x-[\w-]+|mime-version|from|to|cc|bcc|reply-to|sender|subject|date|message-id|in-reply-to|references|content-(?:type|transfer-encoding|disposition|language|id)|list-[\w-]+|dkim-signature|domainkey-signature|arc-(?:seal|message-signature|authentication-results)|authentication-results|received-spf|feedback-id|precedence|auto-submitted|importance|priority|thread-[\w-]+|status|require-recipient-valid-since)$/i;

/**
 * Returns true if the text begins with the headers of a mail message, or with the line `From …` of an mbox file. The headers must have at
 * least two fields, and at least one of them must be usual. They end at the first line that is not part of a field.
 */
export function isMailMessage(text: string): boolean {
  const lines = text
    .slice(0, 65_536)
    .replace(/^(?:\ufeff|\xef\xbb\xbf)?\s*/, '')
    .split(/\r\n|\r|\n/);
  if (/^>?From \S+@?\S* +\w{3} \w{3} +\d/.test(lines[0] ?? '')) return true;
  let fields = 0;
  let known = 0;
  for (const line of lines) {
    if (/^[ \t]/.test(line) && fields > 0) continue;
    const name = /^([!-9;-~]+):/.exec(line)?.[1];
    if (name === undefined) break;
    // An address such as https://… at the beginning of a line is not a field.
    if (line.startsWith('//', name.length + 1)) break;
    fields++;
    if (FIELD_NAMES.test(name)) known++;
  }
  return fields >= 2 && known >= 1;
}

/** The start of a file as latin1 text, in which every byte is one character. */
const beginningOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 1_048_576)).toString('latin1');

const isUtf16 = (beginning: string): boolean => beginning.startsWith('\xff\xfe') || beginning.startsWith('\xfe\xff');

const notLetter = (name: string, what: string, toDo: string) =>
  new ClickledgerError('bad-input', `${name} is ${what}, not a letter. ${toDo}`);

/**
 * Throws `bad-input` for a file that is no text, and for an empty file or a whole mail message. `name` is the name of the file in the error
 * message.
 */
export function assertReadable(bytes: Uint8Array, name: string): void {
  const beginning = beginningOf(bytes);
  const signature = SIGNATURES.find(({ starts }) => beginning.startsWith(starts));
  if (signature) throw notLetter(name, signature.what, signature.toDo);
  if (isUtf16(beginning)) return;
  if (/^(?:\xef\xbb\xbf)?\s*$/.test(beginning)) throw notLetter(name, 'empty', 'Give a file with the HTML or the text of the letter.');
  if (beginning.includes('\0')) throw notLetter(name, 'a binary file', 'Give a file with the HTML or the text of the letter.');
  if (isMailMessage(beginning)) throw notLetter(name, 'a whole message with headers', 'Give only its HTML or its text part.');
}

/**
 * Throws `bad-input` for a file that is not an HTML letter, or that is not a plain text if `kind` is 'text'. Examples are an empty file, a
 * whole mail message, Markdown, MJML, a document of a word processor and an image. `name` is the name of the file in the error message.
 */
export function assertIsLetter(bytes: Uint8Array, kind: 'html' | 'text', name: string): void {
  assertReadable(bytes, name);
  const beginning = beginningOf(bytes);
  if (isUtf16(beginning)) return;
  const fail = (what: string, toDo: string) => notLetter(name, what, toDo);
  if (MJML_ROOT.test(beginning)) throw fail('MJML', 'Give it as the letter itself, with a name that ends in .mjml.');
  const elements = kind === 'html' ? elementsOf(beginning) : undefined;
  const hasMarkdownLinks = /\]\(\s*<?https?:\/\/[^)]*\)/i.test(beginning);
  if (elements && !elements.has('a') && hasMarkdownLinks) throw fail('Markdown', 'Give it a name that ends in .md.');
  if (kind === 'text' && MARKDOWN_NAME.test(name))
    throw fail('Markdown', 'Give it as the letter itself: both parts of the letter are made from it.');
  if (elements?.size === 0)
    throw fail('plain text', `If it is the text of the letter, give it a name that ends in .txt. An HTML letter has tags such as <p>.`);
  if (kind === 'text' && /^(?:\xef\xbb\xbf)?\s*(?:<!doctype html|<html[\s>])/i.test(beginning))
    throw fail('HTML', 'Give it a name that ends in .html, or give the plain text of the letter.');
}

/** The names of Markdown files. */
const MARKDOWN_NAME = /\.(?:md|markdown|mdown)$/i;
/** The first element of an MJML letter. */
const MJML_ROOT = /^(?:\ufeff|\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->)[\s\S])*-->\s*)*<mjml[\s>]/i;

export type LetterFormat = 'html' | 'text' | 'markdown' | 'mjml';

/**
 * Returns the format of a letter, by the name of its file and, for MJML, by its first element. Markdown is known only by its name, because any
 * text may be Markdown.
 */
export function formatOf(name: string, bytes: Uint8Array): LetterFormat {
  if (/\.txt$/i.test(name)) return 'text';
  if (MARKDOWN_NAME.test(name)) return 'markdown';
  return /\.mjml$/i.test(name) || MJML_ROOT.test(beginningOf(bytes)) ? 'mjml' : 'html';
}

/** Returns the names of the elements of an HTML letter. For a conditional comment, the set has the name `comment`. */
function elementsOf(html: string): Set<string> {
  const names = new Set<string>();
  for (const token of tokenize(html)) {
    if (token.kind === 'start') names.add(token.name);
    if (token.kind === 'comment' && html.slice(token.bodyFrom, token.bodyTo).startsWith('[if')) names.add('comment');
  }
  return names;
}
