import { ClickledgerError } from '../core/errors.ts';
import { DIALECTS, NO_HIDDEN_LINK, NO_PIXEL, type Sender } from './letter/senders.ts';
import { HONEYPOT_COLUMN, PIXEL_COLUMN, UNSUBSCRIBE, UNSUBSCRIBE_COLUMN } from './letter/plan.ts';
import { compileTemplate, fillTemplate } from './letter/template.ts';
import { csvRow } from '../core/csv.ts';
import type { PeopleFile, Person } from './list-file.ts';
import type { Recipient } from './resolve-recipients.ts';
import type { TrackedLetter } from './track-letter.ts';

// Writes a letter for a mail service that fills in merge tags itself. The letter has a merge tag in place of each URL, and the list has a
// column for each tag.

export interface Merge {
  html: Buffer | undefined;
  text: Buffer | undefined;
  /**
   * The names of the added columns: one for each link, in the order of the letter, then the hidden link, the pixel and the link for
   * unsubscribing.
   */
  columns: string[];
  /** The header line of the list, as CSV. */
  header: string;
  /** Returns the line of one person, as CSV: the original fields, then the added columns. */
  row(person: Person, recipient: Recipient): string;
  /** Returns the number of values so far that are longer than the sender's limit. */
  tooLongCount(): number;
  /** Warnings about columns of the list that the sender will not accept. */
  warnings: string[];
}

/** A letter with merge tags, and the values of the tags for each recipient. */
export interface MergeForm {
  html: Buffer | undefined;
  text: Buffer | undefined;
  /** See `Merge`. */
  columns: string[];
  /** Returns the values of the columns for one recipient, in the order of `columns`. */
  readonly valuesOf: (recipient: Pick<Recipient, 'id' | 'optedOut'>) => string[];
}

/** Creates the merged letter for a mail service. */
export function createMergeForm(letter: TrackedLetter, sender: Sender): MergeForm {
  const dialect = DIALECTS[sender];
  const counts = { html: 0, text: 0 };
  const linkColumns = letter.links.map(({ part }) => (part === 'html' ? `CL_${++counts.html}` : `CL_T${++counts.text}`));
  const { unsubscribeOf } = letter;
  const columns = [
    ...linkColumns,
    ...(letter.honeypot ? [HONEYPOT_COLUMN] : []),
    ...(letter.hasPixel ? [PIXEL_COLUMN] : []),
    ...(unsubscribeOf ? [UNSUBSCRIBE_COLUMN] : []),
  ];
  const originals = letter.links.map(({ part, spelled, address }) => (part === 'html' && dialect.escapes ? address : spelled));
  if (letter.honeypot) originals.push(NO_HIDDEN_LINK);

  const mergedPart = (kind: 'html' | 'text') => {
    const plan = letter.plans[kind];
    if (!plan) return undefined;
    const tag = kind === 'html' ? dialect.html : dialect.text;
    return fillTemplate(compileTemplate(plan, unsubscribeOf && [UNSUBSCRIBE], { othersStay: true, areTags: true }), {
      links: letter.places[kind].map((index) => tag(linkColumns[index] as string)),
      pixel: dialect.html(PIXEL_COLUMN),
      honeypot: dialect.html(HONEYPOT_COLUMN),
      column: () => tag(UNSUBSCRIBE_COLUMN),
    });
  };

  return {
    html: mergedPart('html'),
    text: mergedPart('text'),
    columns,
    valuesOf(recipient) {
      const { links, pixel } = recipient.optedOut
        ? { links: originals, pixel: letter.hasPixel ? NO_PIXEL : undefined }
        : letter.addressesOf(recipient.id);
      return [...links, ...(pixel === undefined ? [] : [pixel]), ...(unsubscribeOf ? [unsubscribeOf(recipient.id)] : [])];
    },
  };
}

/** Creates the merged letter and the writer of its list. Throws `conflict` if the list already has one of the added columns. */
export function createMerge(letter: TrackedLetter, sender: Sender, people: PeopleFile): Merge {
  const { html, text, columns, valuesOf } = createMergeForm(letter, sender);
  const { maxBytes } = DIALECTS[sender];
  const existing = columns.find((column) => people.header.includes(column));
  if (existing !== undefined)
    throw new ClickledgerError('conflict', `the list already has a column ${existing} from an earlier run. Give the original list.`);
  let tooLongCount = 0;
  return {
    html,
    text,
    columns,
    header: csvRow([...people.header, ...columns]),
    row(person, recipient) {
      const values = valuesOf(recipient);
      if (maxBytes !== undefined) for (const value of values) if (Buffer.byteLength(value) > maxBytes) tooLongCount++;
      // The row has exactly as many original fields as the header, so that the added values are below their column names.
      const originalFields = people.header.map((_, i) => person.values[i] ?? '');
      return csvRow([...originalFields, ...values]);
    },
    tooLongCount: () => tooLongCount,
    warnings: columnWarnings(sender, letter, people.header, columns),
  };
}

function columnWarnings(sender: Sender, letter: TrackedLetter, header: readonly string[], addedColumns: readonly string[]): string[] {
  const { maxColumns, maxTagLength } = DIALECTS[sender];
  const warnings: string[] = [];
  const count = header.length + addedColumns.length;
  if (maxColumns !== undefined && count > maxColumns.usual) {
    const largest = `${maxColumns.largest} with the plan ${maxColumns.largestPlan}`;
    warnings.push(
      `the list has ${count} columns, ${addedColumns.length} of them for links. ${sender} takes at most ${maxColumns.usual} (${largest})${
        addedColumns.length < maxColumns.usual ? ': remove columns that the letter does not need' : ': use --render, or fewer links'
      }`,
    );
  }
  if (maxTagLength !== undefined) {
    const text = Object.values(letter.plans)
      .map((plan) => plan?.text ?? '')
      .join('\n');
    const used = header.filter((name) => name.length > maxTagLength && text.toLowerCase().includes(`*|${name.toLowerCase()}|*`));
    if (used.length > 0)
      warnings.push(
        `tags of ${sender} have at most ${maxTagLength} characters. The letter has ${used.map((name) => `*|${name}|*`).join(', ')}: rename the column and the tag`,
      );
  }
  return warnings;
}
