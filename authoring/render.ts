import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickledgerError } from '../core/errors.ts';
import { composeMail, mboxEntry } from './letter/compose-mail.ts';
import { compileLine, compileTemplate, fillTemplate, type Template } from './letter/template.ts';
import { csvRow } from '../core/csv.ts';
import type { Addressee } from './addressees.ts';
import { openFile } from './output-files.ts';
import type { PeopleFile } from './list-file.ts';
import type { TrackedLetter } from './track-letter.ts';

// The other way out: a finished letter for every person.

export interface Rendered {
  html: Buffer | undefined;
  text: Buffer | undefined;
}

/** The letter of one recipient; `column` gives the value of a `{{column}}`. */
export type Renderer = (recipient: { id: number; optedOut: boolean }, column: (name: string) => string) => Rendered;

/** Fills in a person's addresses and, with `columns`, `{{columns}}`: one that the list does not have is an error at once, unless any will do. */
export function createRenderer(letter: TrackedLetter, columns?: readonly string[] | 'any'): Renderer {
  const { html, text } = letter.plans;
  const templates = { html: html && compileTemplate(html, columns), text: text && compileTemplate(text, columns) };
  return (recipient, column) => {
    const own = recipient.optedOut ? undefined : letter.addressesOf(recipient.id);
    const fill = (part: 'html' | 'text', template: Template | undefined) =>
      template &&
      fillTemplate(template, { links: own && letter.places[part].map((index) => own.links[index] as string), pixel: own?.pixel, column });
    return { html: fill('html', templates.html), text: fill('text', templates.text) };
  };
}

/** Takes letters one after the other and puts them where the author wants them. */
export interface LetterWriter {
  write(addressee: Addressee, letter: Rendered): Promise<void>;
  end(): Promise<void>;
  /** Closes what is open, after a failure. */
  abandon(): Promise<void>;
}

/** What a message needs beside its letter. */
export interface Envelope {
  from: string;
  subject: string;
  headers: readonly { key: string; value: string }[];
}

/** Files of `directory`, numbered in the order of the list, and `index.csv`, which says whose they are. */
export async function createFilesWriter(directory: string, people: PeopleFile, letter: TrackedLetter): Promise<LetterWriter> {
  return numbered(directory, people, letter.plans.html ? 'html' : 'txt', async (name, _addressee, { html, text }) => {
    if (html) await writeFile(join(directory, `${name}.html`), html, { mode: 0o600 });
    if (text) await writeFile(join(directory, `${name}.txt`), text, { mode: 0o600 });
  });
}

/** The same as whole messages, `.eml`. */
export async function createEmlWriter(
  directory: string,
  people: PeopleFile,
  letter: TrackedLetter,
  envelope: Envelope,
): Promise<LetterWriter> {
  const compose = createComposer(people, letter, envelope);
  return numbered(directory, people, 'eml', async (name, addressee, rendered) =>
    writeFile(join(directory, `${name}.eml`), await compose(addressee, rendered), { mode: 0o600 }),
  );
}

/** All messages in one mbox file. */
export async function createMboxWriter(path: string, people: PeopleFile, letter: TrackedLetter, envelope: Envelope): Promise<LetterWriter> {
  const compose = createComposer(people, letter, envelope);
  const file = await openFile(path);
  return {
    write: async (addressee, rendered) => file.write(mboxEntry(await compose(addressee, rendered), envelope.from, new Date())),
    end: () => file.end(),
    abandon: () => file.abandon(),
  };
}

async function numbered(
  directory: string,
  people: PeopleFile,
  extension: string,
  put: (name: string, addressee: Addressee, letter: Rendered) => Promise<void>,
): Promise<LetterWriter> {
  const index = await openFile(join(directory, 'index.csv'));
  await index.write(csvRow(['file', ...people.header]));
  let number = 0;
  return {
    async write(addressee, letter) {
      const name = String(++number).padStart(7, '0');
      await put(name, addressee, letter);
      await index.write(csvRow([`${name}.${extension}`, ...people.header.map((_, i) => addressee.person.values[i] ?? '')]));
    },
    end: () => index.end(),
    abandon: () => index.abandon(),
  };
}

function createComposer(
  people: PeopleFile,
  letter: TrackedLetter,
  envelope: Envelope,
): (addressee: Addressee, rendered: Rendered) => Promise<Buffer> {
  const subject = compileLine(envelope.subject, people.header);
  const headers = envelope.headers.map(({ key, value }) => ({ key, value: compileLine(value, people.header) }));
  return ({ person }, { html, text }) => {
    if (person.email === undefined)
      throw new ClickledgerError('bad-input', 'messages need an address to go to: the list has no column with one');
    const column = (name: string) => people.value(person, name);
    return composeMail({
      from: envelope.from,
      to: person.email,
      subject: subject(column),
      headers: headers.map(({ key, value }) => ({ key, value: value(column) })),
      html: html && { bytes: html, encoding: letter.plans.html?.encoding ?? 'utf-8' },
      text: text && { bytes: text, encoding: letter.plans.text?.encoding ?? 'utf-8' },
    });
  };
}
