import { ClickledgerError } from '../../core/errors.ts';
import { escapeHtml } from '../../core/escape-html.ts';
import { encode, type Encoding } from './encoding.ts';
import type { LetterPlan } from './plan.ts';

// A planned letter cut at the places that differ from person to person. Everything between them is the letter's own bytes.

type Slot =
  /** `original`: the address as it is spelled in the letter, for those who are not tracked. */
  | { readonly kind: 'link'; readonly index: number; readonly original: Buffer }
  | { readonly kind: 'pixel' }
  | { readonly kind: 'column'; readonly name: string };

export interface Template {
  readonly kind: 'html' | 'text';
  readonly encoding: Encoding;
  readonly pieces: readonly (Buffer | Slot)[];
  readonly columns: readonly string[];
  readonly amp: boolean;
  /** Nothing but ASCII: what it says of its encoding may be anything, so nothing else is put in. */
  readonly ascii: boolean;
}

/** What one person's letter is filled with. */
export interface Filling {
  /** What stands for each of the plan's tracked links, in their order; undefined: the letter's own addresses. */
  links: readonly string[] | undefined;
  /** The address of the pixel; undefined: none. */
  pixel: string | undefined;
  column(name: string): string;
}

const COLUMN = /\{\{\s*([^{}\s](?:[^{}]*[^{}\s])?)\s*\}\}/g;

/** Cuts the letter. With `columns`, `{{name}}` is a place to fill in, too, and must be one of them, unless any will do. */
export function compileTemplate(plan: LetterPlan, columns?: readonly string[] | 'any'): Template {
  const { text, encoding } = plan;
  const cuts: { from: number; to: number; slot: Slot }[] = plan.tracked.map(({ from, to }, index) => ({
    from,
    to,
    slot: { kind: 'link', index, original: encode(text.slice(from, to), encoding) },
  }));
  if (plan.pixelAt !== undefined) cuts.push({ from: plan.pixelAt, to: plan.pixelAt, slot: { kind: 'pixel' } });
  const used = columns ? columnSlots(text, columns) : [];
  cuts.push(...used.map(({ from, to, name }) => ({ from, to, slot: { kind: 'column', name } as const })));
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
    columns: [...new Set(used.map(({ name }) => name))],
    amp: plan.amp,
    ascii: /^[\x00-\x7f]*$/.test(text),
  };
}

function columnSlots(text: string, columns: readonly string[] | 'any'): { from: number; to: number; name: string }[] {
  return Array.from(text.matchAll(COLUMN), (found) => {
    const name = found[1] as string;
    if (columns !== 'any' && !columns.includes(name))
      throw new ClickledgerError('bad-input', `there is no column for {{${name}}}; there are: ${columns.join(', ')}`);
    return { from: found.index, to: found.index + found[0].length, name };
  });
}

/** The letter of one person. */
export function fillTemplate(template: Template, filling: Filling): Buffer {
  const { encoding, kind } = template;
  const reference = (character: string) => `&#${character.codePointAt(0)};`;
  const put = (text: string): Buffer => {
    if (kind === 'text') return encode(text, encoding);
    return encode(template.ascii ? text.replace(/[^\x00-\x7f]/gu, reference) : text, encoding, reference);
  };
  return Buffer.concat(
    template.pieces.map((piece) => {
      if (Buffer.isBuffer(piece)) return piece;
      switch (piece.kind) {
        case 'link':
          return filling.links ? put(filling.links[piece.index] as string) : piece.original;
        case 'pixel':
          return filling.pixel === undefined ? Buffer.alloc(0) : put(pixelTag(filling.pixel, template.amp));
        case 'column': {
          const value = filling.column(piece.name);
          return put(kind === 'html' ? escapeHtml(value) : value);
        }
      }
    }),
  );
}

/** A text of one line, such as a subject, with `{{column}}` filled in. */
export function compileLine(text: string, columns: readonly string[]): (column: (name: string) => string) => string {
  columnSlots(text, columns);
  return (column) => text.replace(COLUMN, (_, name: string) => column(name));
}

// Not display:none, which keeps some clients from loading it.
export function pixelTag(address: string, amp: boolean): string {
  return amp
    ? `<amp-img src="${address}" width="1" height="1" layout="fixed" alt=""></amp-img>`
    : `<img src="${address}" width="1" height="1" alt="" style="border:0;width:1px;height:1px" />`;
}
