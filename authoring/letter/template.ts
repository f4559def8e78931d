import { ClickledgerError } from '../../core/errors.ts';
import { escapeHtml } from '../../core/escape-html.ts';
import { encode, type Encoding } from './encoding.ts';
import { honeypotTag, pixelTag } from './inserted-tags.ts';
import { ENCODED_UNSUBSCRIBE, type LetterPlan, UNSUBSCRIBE } from './plan.ts';
import { scanText } from './text-links.ts';

// Cuts a planned letter into a template. The cuts are at the places that differ from person to person. The pieces between these places are
// the unchanged bytes of the letter.

/** The kind of place at which a value is inserted. `encodeForPlace` encodes the value for this place. */
type Place = 'prose' | 'whole-address' | 'http-address' | 'other-address' | 'other-query';

/** A `{{column}}`. `fallback` is the value for people for whom the column is empty. */
interface ColumnSlot {
  readonly kind: 'column';
  readonly name: string;
  readonly fallback: string | undefined;
  readonly place: Place;
}

type Range = { readonly from: number; readonly to: number };

type Slot =
  /** `original` is the URL as it is spelled in the letter. It is for recipients who are not tracked. */
  | { readonly kind: 'link'; readonly index: number; readonly original: Buffer }
  | { readonly kind: 'pixel' }
  | { readonly kind: 'honeypot' }
  | ColumnSlot;

export interface Template {
  readonly kind: 'html' | 'text';
  readonly encoding: Encoding;
  readonly pieces: readonly (Buffer | Slot)[];
  /** The slots with their positions in the bytes of the letter, in its order. */
  readonly cuts: readonly (Range & { readonly slot: Slot })[];
  readonly columns: readonly string[];
  readonly amp: boolean;
  /**
   * True if the letter has only ASCII characters. Such a letter may declare any encoding, so only ASCII is inserted into its HTML. Other
   * characters become numeric character references.
   */
  readonly ascii: boolean;
}

/** Returns a person's value of a column. `fallback` is the value that the letter gives for an empty column. */
export type ColumnValues = (name: string, fallback?: string) => string;

/** The values for one person's letter. */
export interface Filling {
  /** A URL for each tracked link of the plan, in the order of the plan. Undefined if the letter keeps its original URLs. */
  links: readonly string[] | undefined;
  /** The URL of the pixel. Undefined if the letter gets no pixel. */
  pixel: string | undefined;
  /** The URL of the hidden link. Undefined if the letter gets none. */
  honeypot?: string | undefined;
  column: ColumnValues;
}

const NAME = String.raw`\s*([^{}\s](?:[^{}]*[^{}\s])?)\s*`;
/** A `{{{name}}}`, a `{{name}}`, or a percent-encoded `{{unsubscribe}}`. */
const COLUMN = new RegExp(String.raw`\{\{\{${NAME}\}\}\}|\{\{${NAME}\}\}|(${ENCODED_UNSUBSCRIBE})`, 'g');
/** The default value of a column as Liquid spells it: `{{ name | default: "there" }}`. */
const LIQUID_DEFAULT = /^default:?\s*(["'])(.*)\1$/;

/**
 * Cuts a planned letter into a template. With `columns`, each `{{name}}` and each `{{name|default}}` becomes a slot. The value 'any' stands for
 * all names. Throws `bad-input` if a name is not in `columns`. Without `columns`, all names stay in the letter.
 *
 * `othersStay` is for a program or mail service that fills in the other names. Then only a `{{name}}` of `columns` becomes a slot. All else
 * stays in the letter, also `{{{name}}}` and `{{name|default}}`. `areTags` says that the values are tags of a mail service, which are inserted as
 * they are, also inside an address.
 */
export function compileTemplate(
  plan: LetterPlan,
  columns?: readonly string[] | 'any',
  { othersStay = false, areTags = false }: { othersStay?: boolean; areTags?: boolean } = {},
): Template {
  const { text, encoding } = plan;
  const cuts: (Range & { slot: Slot })[] = plan.tracked.map(({ from, to }, index) => ({
    from,
    to,
    slot: { kind: 'link', index, original: plan.slice(from, to) },
  }));
  if (plan.pixelAt !== undefined) cuts.push({ from: plan.pixelAt, to: plan.pixelAt, slot: { kind: 'pixel' } });
  if (plan.honeypotAt !== undefined) cuts.push({ from: plan.honeypotAt, to: plan.honeypotAt, slot: { kind: 'honeypot' } });
  const columnCuts = columns ? findColumns(text, columns, plan.addresses, { othersStay, areTags }) : [];
  cuts.push(...columnCuts);
  cuts.sort((a, b) => a.from - b.from || a.to - b.to);
  const pieces: (Buffer | Slot)[] = [];
  let at = 0;
  for (const { from, to, slot } of cuts) {
    pieces.push(plan.slice(at, from), slot);
    at = to;
  }
  pieces.push(plan.slice(at));
  return {
    kind: plan.kind,
    encoding,
    pieces,
    cuts: cuts.map(({ from, to, slot }) => ({ from: plan.offsetOf(from), to: plan.offsetOf(to), slot })),
    columns: [...new Set(columnCuts.map(({ slot }) => slot.name))],
    amp: plan.amp,
    ascii: /^[\x00-\x7f]*$/.test(text),
  };
}

/** Finds each `{{column}}`. `addresses` are the positions of the addresses in the text, sorted. */
function findColumns(
  text: string,
  columns: readonly string[] | 'any',
  addresses: readonly Range[],
  { othersStay = false, areTags = false } = {},
): (Range & { slot: ColumnSlot })[] {
  let nextAddress = 0;
  const spelledIn = ([, triple, double]: RegExpMatchArray): string => triple ?? double ?? UNSUBSCRIBE;
  const isNamed = (found: RegExpMatchArray): boolean => columns === 'any' || columns.includes(spelledIn(found));
  // SendGrid has a tag `{{{unsubscribe}}}` of its own.
  const isOfOthers = ([spelling]: RegExpMatchArray): boolean => othersStay && /^(?:\{|%7b){3}/i.test(spelling);
  const isSlot = (found: RegExpMatchArray): boolean => (othersStay || found[3] !== undefined ? isNamed(found) && !isOfOthers(found) : true);
  return [...text.matchAll(COLUMN)].filter(isSlot).map((found) => {
    const from = found.index;
    const { name, fallback } = parseColumn(spelledIn(found), columns);
    const to = from + found[0].length;
    while ((addresses[nextAddress]?.to ?? Infinity) <= from) nextAddress++;
    const address = addresses[nextAddress];
    const before = address && address.from <= from ? text.slice(address.from, from) : undefined;
    // An editor may write http:// or a slash before a tag that stands for a whole address.
    if (name === UNSUBSCRIBE && before !== undefined && /^\s*(?:https?:)?\/{1,2}$/i.test(before))
      return { from: from - before.trimStart().length, to, slot: { kind: 'column', name, fallback, place: 'whole-address' } };
    const place = before === undefined || areTags ? 'prose' : placeAfter(before);
    return { from, to, slot: { kind: 'column', name, fallback, place } };
  });
}

/** Parses `name` or `name|default`. A column whose name has a vertical bar takes precedence. */
function parseColumn(spelled: string, columns: readonly string[] | 'any'): { name: string; fallback: string | undefined } {
  if (columns !== 'any' && columns.includes(spelled)) return { name: spelled, fallback: undefined };
  const bar = spelled.indexOf('|');
  const name = bar < 0 ? spelled : spelled.slice(0, bar).trimEnd();
  if (columns !== 'any' && !columns.includes(name))
    throw new ClickledgerError('bad-input', `column {{${name}}} does not exist. The list has: ${columns.join(', ')}`);
  if (bar < 0) return { name, fallback: undefined };
  const fallback = spelled.slice(bar + 1).trimStart();
  return { name, fallback: LIQUID_DEFAULT.exec(fallback)?.[2] ?? fallback };
}

/** Returns the place of a value in an address after the text `before`. */
function placeAfter(before: string): Place {
  if (before.trim() === '') return 'whole-address';
  const scheme = /^\s*([a-z][a-z0-9+.-]*):/i.exec(before)?.[1]?.toLowerCase();
  if (scheme === undefined || scheme === 'http' || scheme === 'https') return 'http-address';
  return before.includes('?') ? 'other-query' : 'other-address';
}

/** Characters that encodeURIComponent does not encode. Mail programs do not treat them as part of an address if they are at its end. */
const PUNCTUATION = /[!'()*]|[._~]$/g;

/**
 * Encodes a value for its place. In a web address, and in the query of another address such as mailto:, every character with a special
 * meaning is percent-encoded. A value that is the whole address, or its beginning, is an address itself and does not change. In the path of
 * another address, `@` and `+` keep their meaning, as in mailto:{{email}} and tel:{{phone}}.
 */
function encodeForPlace(value: string, place: Place): string {
  switch (place) {
    case 'prose':
    case 'whole-address':
      return value;
    case 'http-address':
    case 'other-query':
      return encodeURIComponent(value.toWellFormed()).replace(
        PUNCTUATION,
        (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
      );
    case 'other-address':
      return encodeURI(value.toWellFormed()).replace(/[?#]/g, encodeURIComponent);
  }
}

/** Returns the value of a slot, encoded for its place. */
function valueOf({ name, fallback, place }: ColumnSlot, column: ColumnValues): string {
  const value = column(name, fallback);
  return encodeForPlace(fallback !== undefined && value.trim() === '' ? fallback : value, place);
}

/** Returns the bytes of one person's letter. Values of columns are escaped in HTML. */
export function fillTemplate(template: Template, filling: Filling): Buffer {
  const bytesOf = createSlotFiller(template, filling);
  return Buffer.concat(template.pieces.map((piece) => (Buffer.isBuffer(piece) ? piece : (bytesOf(piece) ?? Buffer.alloc(0)))));
}

/** A change of the bytes of a letter: the bytes from `from` to `to` are replaced. */
export interface Edit {
  readonly from: number;
  readonly to: number;
  readonly bytes: Buffer;
}

/** Returns the changes that make one person's letter from the original letter, in the order of the letter. */
export function editsOf(template: Template, filling: Filling): Edit[] {
  const bytesOf = createSlotFiller(template, filling);
  return template.cuts.flatMap(({ from, to, slot }) => {
    const isKept = slot.kind === 'link' && filling.links === undefined;
    const bytes = isKept ? undefined : bytesOf(slot);
    return bytes === undefined ? [] : [{ from, to, bytes }];
  });
}

/** Returns a function that returns the bytes for a slot, or undefined for a slot that gets none. */
function createSlotFiller(template: Template, filling: Filling): (slot: Slot) => Buffer | undefined {
  const { encoding, kind } = template;
  const numericReference = (character: string) => `&#${character.codePointAt(0)};`;
  const toBytes = (text: string): Buffer => {
    if (kind === 'text') return encode(text, encoding);
    return encode(template.ascii ? text.replace(/[^\x00-\x7f]/gu, numericReference) : text, encoding, numericReference);
  };
  return (slot) => {
    switch (slot.kind) {
      case 'link':
        return filling.links ? toBytes(filling.links[slot.index] as string) : slot.original;
      case 'pixel':
        return filling.pixel === undefined ? undefined : toBytes(pixelTag(filling.pixel, template.amp));
      case 'honeypot':
        return filling.honeypot === undefined ? undefined : toBytes(honeypotTag(filling.honeypot, template.amp));
      case 'column': {
        const value = valueOf(slot, filling.column);
        return toBytes(kind === 'html' ? escapeHtml(value) : value);
      }
    }
  };
}

/** An address in angle brackets, as in List-Unsubscribe (RFC 2369). */
const BRACKETED_ADDRESS = /(?<=<)[a-z][a-z0-9+.-]*:[^<>]*(?=>)/gi;

/**
 * Compiles a text of one line, such as a subject or the value of a header. The returned function replaces each `{{column}}` with its value.
 * The value is encoded if it is part of an address. Throws `bad-input` if a name is not in `columns`.
 */
export function compileLine(text: string, columns: readonly string[]): (column: ColumnValues) => string {
  const bracketed = Array.from(text.matchAll(BRACKETED_ADDRESS), ({ 0: address, index }) => ({ from: index, to: index + address.length }));
  const plain = scanText(text).filter(({ from }) => !bracketed.some((range) => range.from <= from && from < range.to));
  const cuts = findColumns(
    text,
    columns,
    [...bracketed, ...plain].toSorted((a, b) => a.from - b.from),
  );
  return (column) => {
    let line = '';
    let at = 0;
    for (const { from, to, slot } of cuts) {
      line += text.slice(at, from) + valueOf(slot, column);
      at = to;
    }
    return line + text.slice(at);
  };
}
