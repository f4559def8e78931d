import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { Option } from 'commander';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { type Encoding, parseCharset } from '../../authoring/letter/encoding.ts';
import { type KeptSummary, summariseKept } from '../../authoring/letter/kept-links.ts';
import type { LetterPlan, PixelPlace } from '../../authoring/letter/plan.ts';
import { assertIsLetter, formatOf } from '../../authoring/letter/recognise-file.ts';
import { convertToHtml } from '../../authoring/source/convert-letter.ts';
import { deriveText } from '../../authoring/source/derive-text.ts';
import { type LetterPlans, planParts } from '../../authoring/track-letter.ts';
import { note } from '../output.ts';

// The options about a letter, and the reading of its files, which the commands `prepare` and `send` share.

export interface LetterOptions {
  text?: string;
  makeText?: boolean;
  charset?: Encoding;
  exclude: string[];
  trackUnsubscribe?: boolean;
  utm: Record<string, string>;
  pixel: PixelPlace;
  honeypot?: boolean;
  check?: boolean;
  despiteMissing?: boolean;
  expires?: string;
}

export const LETTER_OPTIONS: readonly Option[] = [
  new Option('--text <file>', 'the plain-text part of the same letter'),
  new Option('--make-text', 'make the plain-text part from the HTML (always for a letter in Markdown or MJML without --text)'),
  new Option('--charset <label>', 'the charset of the letter, e.g. windows-1251 (default: what the letter declares, else UTF-8)').argParser(
    parseCharset,
  ),
  new Option('--exclude <domain,…>', 'do not track links to these domains and their subdomains').argParser(collectDomains).default([]),
  new Option('--track-unsubscribe', 'track unsubscribe, preference and view-in-browser links, too'),
  new Option('--utm <name=value,…>', 'add utm parameters, e.g. source=letter,medium=email').argParser(parseUtm).default({}),
  new Option('--pixel <place>', 'the place of the pixel').choices(['top', 'bottom', 'none']).default('bottom'),
  new Option('--honeypot', 'add a link that no person sees, so that scanners show themselves; some spam filters distrust hidden links'),
  new Option('--check', 'ask the target of each link whether it answers, and list those that do not'),
  new Option('--despite-missing', 'write letters although requests to unsubscribe may be missing in the databases'),
  new Option('--expires <when>', "the time from which the letter's links lead to the campaign's fallback"),
];

/** The options about the headers of whole messages. */
export interface EnvelopeOptions {
  from?: string;
  subject?: string;
  header: string[];
}

export const ENVELOPE_OPTIONS: readonly Option[] = [
  new Option('--from <address>', 'the sender of the messages'),
  new Option('--subject <text>', 'the subject of the messages; it may contain {{column}}'),
  new Option('--header <line>', 'a further header of the messages, e.g. "Reply-To: …"; the option may be given several times')
    .argParser((line: string, all: string[]) => [...all, line])
    .default([]),
];

function collectDomains(list: string, all: string[]): string[] {
  return [...all, ...list.split(/[,\s]+/).filter((domain) => domain !== '')];
}

function parseUtm(text: string, earlier: Record<string, string>): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  const invalid = pairs.find(([name = '', ...value]) => !/^(?:utm_)?[a-z_]+$/.test(name.trim()) || value.join('=').trim() === '');
  if (invalid)
    throw new ClickledgerError('bad-input', `'${invalid.join('=')}' is not a utm parameter. Write --utm source=letter,medium=email.`);
  return {
    ...earlier,
    ...Object.fromEntries(pairs.map(([name = '', ...value]) => [name.trim().replace(/^utm_/, ''), value.join('=').trim()])),
  };
}

/** A letter that was read. */
export interface ReadLetter {
  plans: LetterPlans;
  /** The plans of the parts that the letter has. */
  parts: readonly LetterPlan[];
  kept: KeptSummary;
  /** The names of the output files of the parts. */
  names: { html: string; text: string };
  /** A hash of the files of the letter. */
  hash: string;
  /** The plans without --track-unsubscribe, in which links for unsubscribing are always kept. */
  careful: () => Promise<LetterPlans>;
}

/** Returns an error message if the files of the letter cannot be combined, otherwise undefined. */
export function findLetterUsageError(file: string, { text, makeText }: LetterOptions): string | undefined {
  if (text !== undefined && isTextFile(file)) return `${file} is already a text. '--text' is only for an HTML letter.`;
  if (makeText && isTextFile(file)) return `${file} is already a text. '--make-text' is only for an HTML letter.`;
  if (makeText && text !== undefined) return "options '--text' and '--make-text' exclude each other";
  if (text !== undefined && basename(text) === basename(file))
    return 'the HTML file and the text file must have different names, because both are written to one directory';
  return undefined;
}

/** Reads a letter and its text part, plans its links, and prints warnings. */
export async function readLetter(file: string, options: LetterOptions, baseUrls: readonly string[]): Promise<ReadLetter> {
  const bytes = await readBytes(file);
  const format = formatOf(file, bytes);
  if (format === 'html' || format === 'text') assertIsLetter(bytes, format, file);
  const isConverted = format === 'markdown' || format === 'mjml';
  const html = isConverted ? await convertToHtml(bytes, format, file, options.charset) : format === 'html' ? bytes : undefined;
  const givenText = options.text === undefined ? undefined : await readBytes(options.text);
  if (givenText) assertIsLetter(givenText, 'text', options.text as string);
  const text = format === 'text' ? bytes : givenText;
  const makesText = text === undefined && (isConverted || options.makeText === true);

  async function planWith(trackUnsubscribe: boolean): Promise<LetterPlans> {
    const plans = planParts({ html, text }, { ...options, trackUnsubscribe, baseUrls, isConverted });
    return makesText && plans.html ? { ...plans, text: await deriveText(plans.html) } : plans;
  }

  const plans = await planWith(options.trackUnsubscribe === true);
  const parts = [plans.html, plans.text].filter((plan) => plan !== undefined);
  for (const warning of parts.flatMap((plan) => plan.warnings)) note(`note: ${warning}`);
  const stem = basename(file, extname(file));
  return {
    plans,
    parts,
    kept: summariseKept(parts),
    names: {
      html: isConverted ? `${stem}.html` : basename(file),
      text: makesText ? `${stem}.txt` : basename(options.text ?? file),
    },
    hash: createHash('sha256')
      .update(JSON.stringify([bytes, givenText].map((part) => part?.toString('base64') ?? null)))
      .digest('hex'),
    careful: async () => (options.trackUnsubscribe ? planWith(false) : plans),
  };
}

const isTextFile = (file: string): boolean => /\.txt$/i.test(file);

async function readBytes(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new ClickledgerError(
      'not-found',
      codeOf(error) === 'ENOENT' ? `${file} does not exist` : `${file} cannot be read: ${codeOf(error)}`,
    );
  });
}
