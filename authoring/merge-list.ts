import { ClickledgerError } from '../core/errors.ts';
import { DIALECTS, NO_PIXEL, type Sender } from './letter/senders.ts';
import { PIXEL_COLUMN } from './letter/plan.ts';
import { compileTemplate, fillTemplate } from './letter/template.ts';
import { csvRow } from '../core/csv.ts';
import type { PeopleFile, Person } from './list-file.ts';
import type { Recipient } from './resolve-recipients.ts';
import type { TrackedLetter } from './track-letter.ts';

// The way out through somebody else's sender: one letter with merge tags where the addresses were, and a list with a column for each.

export interface Merge {
  html: Buffer | undefined;
  text: Buffer | undefined;
  /** The names of our columns, in the order of the letter's links, then the pixel's. */
  columns: string[];
  header: string;
  /** The line of one person: everything that was there, then our columns. */
  row(person: Person, recipient: Recipient): string;
  /** How many values were longer than the sender takes. */
  tooLong(): number;
}

export function createMerge(letter: TrackedLetter, sender: Sender, people: PeopleFile): Merge {
  const dialect = DIALECTS[sender];
  const counts = { html: 0, text: 0 };
  const columns = letter.links.map(({ part }) => (part === 'html' ? `CL_${++counts.html}` : `CL_T${++counts.text}`));
  const all = letter.hasPixel ? [...columns, PIXEL_COLUMN] : columns;
  const taken = all.find((column) => people.header.includes(column));
  if (taken !== undefined)
    throw new ClickledgerError('conflict', `the list has a column ${taken} already: it comes from an earlier run; give the original list`);
  let tooLong = 0;
  const raw = letter.links.map(({ part, spelled, address }) => (part === 'html' && dialect.escapes ? address : spelled));

  const part = (kind: 'html' | 'text') => {
    const plan = letter.plans[kind];
    if (!plan) return undefined;
    const tag = kind === 'html' ? dialect.html : dialect.text;
    return fillTemplate(compileTemplate(plan, undefined), {
      links: letter.places[kind].map((index) => tag(columns[index] as string)),
      pixel: dialect.html(PIXEL_COLUMN),
      column: () => '',
    });
  };

  return {
    html: part('html'),
    text: part('text'),
    columns: all,
    header: csvRow([...people.header, ...all]),
    row(person, recipient) {
      const { links, pixel } = recipient.optedOut
        ? { links: raw, pixel: letter.hasPixel ? NO_PIXEL : undefined }
        : letter.addressesOf(recipient.id);
      const values = pixel === undefined ? links : [...links, pixel];
      if (dialect.maxBytes !== undefined) for (const value of values) if (Buffer.byteLength(value) > dialect.maxBytes) tooLong++;
      // Exactly as many fields as the header has, so that ours stand under their names.
      const theirs = people.header.map((_, i) => person.values[i] ?? '');
      return csvRow([...theirs, ...values]);
    },
    tooLong: () => tooLong,
  };
}
