import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';
import { composeMail, mboxEntry } from './letter/compose-mail.ts';
import type { Envelope } from './letter/envelope.ts';
import { UNSUBSCRIBE } from './letter/plan.ts';
import { type ColumnValues, compileLine, compileTemplate, fillTemplate, type Template } from './letter/template.ts';
import { unsubscribeHeaders } from './letter/unsubscribe-headers.ts';
import { csvRow } from '../core/csv.ts';
import type { Addressee } from './addressees.ts';
import { openOutputFile } from './output-files.ts';
import type { PeopleFile } from './list-file.ts';
import type { TrackedLetter } from './track-letter.ts';

// Renders a finished letter for each person and writes the letters as files or as mail messages.

/** A finished letter for one person. A part that the letter does not have is undefined. */
export interface Rendered {
  html: Buffer | undefined;
  text: Buffer | undefined;
}

/** Returns the letter of one recipient. */
export type Renderer = (recipient: { id: number; optedOut: boolean }, column: ColumnValues) => Rendered;

/**
 * Creates a renderer. It inserts the tracked URLs of a recipient into the letter, and the URL at which the recipient unsubscribes in the place
 * of `{{unsubscribe}}`. With `columns`, it also replaces `{{column}}` with its value. Throws `bad-input` at once if the letter uses a name that is
 * not in `columns`. The value 'any' allows all names. Without `columns`, all other names stay in the letter, and a letter that all readers share
 * keeps `{{unsubscribe}}`.
 */
export function createRenderer(letter: TrackedLetter, columns?: readonly string[] | 'any'): Renderer {
  const { html, text } = letter.plans;
  const compile = (names: readonly string[] | 'any' | undefined, othersStay = false) => ({
    html: html && compileTemplate(html, names, { othersStay }),
    text: text && compileTemplate(text, names, { othersStay }),
  });
  const names = Array.isArray(columns) ? namesOf(letter, columns) : columns;
  const shared = compile(names);
  const personal = columns === undefined && letter.unsubscribeOf ? compile([UNSUBSCRIBE], true) : shared;
  return (recipient, column) => {
    const values = valuesFor(letter, recipient.id, column);
    const templates = recipient.id === 0 ? shared : personal;
    const urls = recipient.optedOut ? undefined : letter.addressesOf(recipient.id);
    const fill = (part: 'html' | 'text', template: Template | undefined) =>
      template &&
      fillTemplate(template, {
        links: urls && letter.places[part].map((index) => urls.links[index] as string),
        pixel: urls?.pixel,
        honeypot: letter.honeypot && urls?.links[letter.honeypot.index],
        column: values,
      });
    return { html: fill('html', templates.html), text: fill('text', templates.text) };
  };
}

/** The names that a letter or a header may have: those of the columns, and `unsubscribe` if the letter has this tag. */
const namesOf = (letter: TrackedLetter, columns: readonly string[]): readonly string[] =>
  letter.unsubscribeOf ? [...columns, UNSUBSCRIBE] : columns;

/** Returns the values of the columns and of `{{unsubscribe}}` for one recipient. */
function valuesFor({ unsubscribeOf }: TrackedLetter, recipient: number, column: ColumnValues): ColumnValues {
  if (!unsubscribeOf) return column;
  return (name, fallback) => {
    if (name !== UNSUBSCRIBE) return column(name, fallback);
    if (recipient === 0)
      throw new ClickledgerError(
        'bad-input',
        'a letter that all readers share cannot have {{unsubscribe}}, because the link is for one person',
      );
    return unsubscribeOf(recipient);
  };
}

/** Writes letters one after the other to one of the output formats. */
export interface LetterWriter {
  write(addressee: Addressee, letter: Rendered): Promise<void>;
  /** Completes the output. */
  end(): Promise<void>;
  /** Closes open files without completing them, after a failure. Does nothing after `end`. */
  abandon(): Promise<void>;
}

/** Writes the letters as files to `directory`. The files are numbered in the order of the list. `index.csv` has the person of each file. */
export async function createFilesWriter(directory: string, people: PeopleFile, letter: TrackedLetter): Promise<LetterWriter> {
  return createNumberedWriter(directory, people, letter.plans.html ? 'html' : 'txt', async (name, _addressee, { html, text }) => {
    if (html) await writeFile(join(directory, `${name}.html`), html, { mode: 0o600 });
    if (text) await writeFile(join(directory, `${name}.txt`), text, { mode: 0o600 });
  });
}

/**
 * Writes whole messages as `.eml` files to `directory`. The files are numbered in the order of the list. `index.csv` has the person of each
 * file.
 */
export async function createEmlWriter(
  directory: string,
  people: PeopleFile,
  letter: TrackedLetter,
  envelope: Envelope,
): Promise<LetterWriter> {
  const compose = createComposer(people, letter, envelope);
  return createNumberedWriter(directory, people, 'eml', async (name, addressee, rendered) =>
    writeFile(join(directory, `${name}.eml`), await compose(addressee, rendered), { mode: 0o600 }),
  );
}

/** Writes all messages to one mbox file. */
export async function createMboxWriter(path: string, people: PeopleFile, letter: TrackedLetter, envelope: Envelope): Promise<LetterWriter> {
  const compose = createComposer(people, letter, envelope);
  const file = await openOutputFile(path);
  return {
    write: async (addressee, rendered) => file.write(mboxEntry(await compose(addressee, rendered), envelope.from, new Date())),
    end: () => file.end(),
    abandon: () => file.abandon(),
  };
}

/** Creates a writer that numbers the letters and writes the index. `writeLetter` writes the files of one letter. */
async function createNumberedWriter(
  directory: string,
  people: PeopleFile,
  extension: string,
  writeLetter: (name: string, addressee: Addressee, letter: Rendered) => Promise<void>,
): Promise<LetterWriter> {
  const index = await openOutputFile(join(directory, 'index.csv'));
  await index.write(csvRow(['file', ...people.header]));
  let number = 0;
  return {
    async write(addressee, letter) {
      const name = String(++number).padStart(7, '0');
      await writeLetter(name, addressee, letter);
      await index.write(csvRow([`${name}.${extension}`, ...people.header.map((_, i) => addressee.person.values[i] ?? '')]));
    },
    end: () => index.end(),
    abandon: () => index.abandon(),
  };
}

/** Returns a function that makes the whole message of one person. Without `messageId`, each message gets a random one. */
export function createComposer(
  people: PeopleFile,
  letter: TrackedLetter,
  envelope: Envelope,
): (addressee: Addressee, rendered: Rendered, messageId?: string) => Promise<Buffer> {
  const names = namesOf(letter, people.header);
  const subject = compileLine(envelope.subject, names);
  const given = envelope.headers.map(({ key }) => key);
  const added = letter.unsubscribeOf ? unsubscribeHeaders(`{{${UNSUBSCRIBE}}}`, given) : [];
  const headers = [...envelope.headers, ...added].map(({ key, value }) => ({
    key,
    value: compileLine(value, names),
  }));
  return ({ person, recipient }, { html, text }, messageId) => {
    if (person.email === undefined)
      throw new ClickledgerError('bad-input', 'messages need mail addresses, and the list has no column with mail addresses');
    const column = valuesFor(letter, recipient.id, (name) => people.value(person, name));
    return composeMail({
      from: envelope.from,
      to: person.email,
      subject: subject(column),
      messageId,
      headers: headers.map(({ key, value }) => ({ key, value: value(column) })),
      html: html && { bytes: html, encoding: letter.plans.html?.encoding ?? 'utf-8' },
      text: text && { bytes: text, encoding: letter.plans.text?.encoding ?? 'utf-8' },
    });
  };
}
