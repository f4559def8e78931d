import { ClickledgerError } from '../../core/errors.ts';
import { escapeHtml } from '../../core/escape-html.ts';
import { encode, type Encoding } from './encoding.ts';
import type { LetterPlan } from './plan.ts';

// Templates: a planned letter is cut into pieces at the places that differ from person to person. The pieces between these places are the
// unchanged bytes of the letter.

type Slot =
  /** `original`: the URL as it is spelled in the letter, for recipients who are not tracked. */
  | { readonly kind: 'link'; readonly index: number; readonly original: Buffer }
  | { readonly kind: 'pixel' }
  | { readonly kind: 'column'; readonly name: string };

export interface Template {
  readonly kind: 'html' | 'text';
  readonly encoding: Encoding;
  readonly pieces: readonly (Buffer | Slot)[];
  readonly columns: readonly string[];
  readonly amp: boolean;
  /**
   * True: the letter has only ASCII characters. Such a letter may declare any encoding, so only ASCII is inserted into its HTML: other
   * characters become numeric character references.
   */
  readonly ascii: boolean;
}

/** The values for one person's letter. */
export interface Filling {
  /** A URL for each tracked link of the plan, in the order of the plan; undefined: the original URLs of the letter. */
  links: readonly string[] | undefined;
  /** The URL of the pixel; undefined: no pixel. */
  pixel: string | undefined;
  /** Returns the value of `{{name}}`. */
  column(name: string): string;
}

const COLUMN = /\{\{\s*([^{}\s](?:[^{}]*[^{}\s])?)\s*\}\}/g;

/**
 * Cuts a planned letter into a template. With `columns`, each `{{name}}` becomes a slot. Throws `bad-input` if `columns` does not have a
 * name. 'any' allows all names. Without `columns`, `{{name}}` stays as it is.
 */
export function compileTemplate(plan: LetterPlan, columns?: readonly string[] | 'any'): Template {
  const { text, encoding } = plan;
  const cuts: { from: number; to: number; slot: Slot }[] = plan.tracked.map(({ from, to }, index) => ({
    from,
    to,
    slot: { kind: 'link', index, original: encode(text.slice(from, to), encoding) },
  }));
  if (plan.pixelAt !== undefined) cuts.push({ from: plan.pixelAt, to: plan.pixelAt, slot: { kind: 'pixel' } });
  const columnCuts = columns ? columnSlots(text, columns) : [];
  cuts.push(...columnCuts.map(({ from, to, name }) => ({ from, to, slot: { kind: 'column', name } as const })));
  cuts.sort((a, b) => a.from - b.from || a.to - b.to);
  const pieces: (Buffer | Slot)[] = [];
  let at = 0;
  for (const { from, to, slot } of cuts) {
    pieces.push(encode(text.slice(at, from), encoding), slot);
    at = to;
  }
  pieces.push(encode(text.slice(at), encoding));
  return {
    kind: plan.kind,
    encoding,
    pieces,
    columns: [...new Set(columnCuts.map(({ name }) => name))],
    amp: plan.amp,
    ascii: /^[\x00-\x7f]*$/.test(text),
  };
}

function columnSlots(text: string, columns: readonly string[] | 'any'): { from: number; to: number; name: string }[] {
  return Array.from(text.matchAll(COLUMN), (found) => {
    const name = found[1] as string;
    if (columns !== 'any' && !columns.includes(name))
      throw new ClickledgerError('bad-input', `column {{${name}}} does not exist. The list has: ${columns.join(', ')}`);
    return { from: found.index, to: found.index + found[0].length, name };
  });
}

/** Returns the bytes of one person's letter. Values of columns are escaped in HTML. */
export function fillTemplate(template: Template, filling: Filling): Buffer {
  const { encoding, kind } = template;
  const numericReference = (character: string) => `&#${character.codePointAt(0)};`;
  const toBytes = (text: string): Buffer => {
    if (kind === 'text') return encode(text, encoding);
    return encode(template.ascii ? text.replace(/[^\x00-\x7f]/gu, numericReference) : text, encoding, numericReference);
  };
  return Buffer.concat(
    template.pieces.map((piece) => {
      if (Buffer.isBuffer(piece)) return piece;
      switch (piece.kind) {
        case 'link':
          return filling.links ? toBytes(filling.links[piece.index] as string) : piece.original;
        case 'pixel':
          return filling.pixel === undefined ? Buffer.alloc(0) : toBytes(pixelTag(filling.pixel, template.amp));
        case 'column': {
          const value = filling.column(piece.name);
          return toBytes(kind === 'html' ? escapeHtml(value) : value);
        }
      }
    }),
  );
}

/**
 * Compiles a text of one line, such as a subject. The returned function replaces each `{{column}}` with its value, without escaping.
 * Throws `bad-input` if `columns` does not have a name.
 */
export function compileLine(text: string, columns: readonly string[]): (column: (name: string) => string) => string {
  columnSlots(text, columns);
  return (column) => text.replace(COLUMN, (_, name: string) => column(name));
}

/** Returns the HTML element of the pixel. Its style does not have display:none, because some clients do not load hidden images. */
export function pixelTag(address: string, amp: boolean): string {
  return amp
    ? `<amp-img src="${address}" width="1" height="1" layout="fixed" alt=""></amp-img>`
    : `<img src="${address}" width="1" height="1" alt="" style="border:0;width:1px;height:1px" />`;
}
