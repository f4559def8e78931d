import { decodeHTML } from 'entities';
import { TAG_DIALECTS, type TagDialect } from './merge-tag-data.ts';
import { isField, nameIn, namesUnsubscribing } from './merge-tag-fields.ts';
import { type Shape, type ShapeName, SHAPES } from './merge-tag-shapes.ts';

// Finds the merge tags of other senders, in addresses and in text. A tracked link redirects everybody to one address, so an address with a
// tag cannot be tracked. Everybody would get the tag itself instead of a value.

const SHAPE_LIST = (Object.entries(SHAPES) as [ShapeName, Shape][]).map(([name, shape]) => ({
  name,
  shape,
  global: new RegExp(shape.pattern, 'gu'),
}));

/**
 * A tag in a text. `from` to `to` is its position, in UTF-16 code units. In an encoded address, these are positions in the decoded form.
 */
export interface ForeignTag {
  readonly from: number;
  readonly to: number;
  /** The tag as it is spelled. */
  readonly text: string;
  /** The text inside the tag. Empty if only the beginning of a tag was found. */
  readonly inside: string;
  readonly shape: ShapeName;
}

/** Matches every text that may contain a tag. Other texts are not searched. */
const MAY_HAVE_TAG = /[{}[\]%$#~@*<«!|^]|__|::|&|[=/]-|^-|=\(/;

/**
 * Returns the merge tag in an address, or undefined. Also finds tags that an editor has percent-encoded, once or twice, or written as
 * character references. If the address has several tags, a tag that names unsubscribing takes precedence.
 */
export function tagInAddress(address: string): ForeignTag | undefined {
  let first: ForeignTag | undefined;
  for (const form of formsOf(address)) {
    if (!MAY_HAVE_TAG.test(form)) continue;
    for (const tag of tagsIn(form, false)) {
      if (namesUnsubscribing(tag.inside)) return tag;
      first ??= tag;
    }
  }
  return first;
}

/**
 * Returns the forms of an address: as it is spelled, with character references decoded, and with percent-encoded ASCII characters decoded
 * once and twice.
 */
function formsOf(address: string): Set<string> {
  const forms = new Set([address]);
  const decoded = address.includes('&') ? decodeHTML(address) : address;
  forms.add(decoded);
  let form = decoded;
  for (let times = 0; times < 2 && form.includes('%'); times++) {
    form = form
      .replace(/%([2-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      .replace(/%C2%AB/gi, '«')
      .replace(/%C2%BB/gi, '»');
    forms.add(form);
  }
  if (form.includes('&') && form !== decoded) forms.add(decodeHTML(form));
  return forms;
}

/** Yields the tags of an address or of a text. Tags of different shapes may overlap. */
function* tagsIn(text: string, isText: boolean): Generator<ForeignTag> {
  let depths: ((position: number) => number) | undefined;
  for (const { name, shape, global } of SHAPE_LIST) {
    if ((isText && shape.inText === false) || !text.includes(shape.opening)) continue;
    global.lastIndex = 0;
    for (let found = global.exec(text); found; found = global.exec(text)) {
      const inside = (found.groups?.['n'] ?? found.groups?.['m'] ?? '').trim();
      const [from, to] = [found.index, found.index + found[0].length];
      if (isText && shape.inText === 'field' && !isField(nameIn(inside))) continue;
      if (shape.isTag) {
        depths ??= bracesOpenAt(text);
        const place = {
          isText,
          whole: wholeAt(text, from, to),
          before: text.charAt(from - 1),
          after: text.charAt(to),
          depth: depths(from),
        };
        if (!shape.isTag(inside, place)) continue;
      }
      yield { from, to, text: found[0], inside, shape: name };
    }
  }
}

/**
 * Returns a function that counts the unclosed braces before a position. If a position is smaller than in the call before, the function
 * counts again from the beginning.
 */
function bracesOpenAt(text: string): (position: number) => number {
  let at = 0;
  let depth = 0;
  return (position) => {
    if (position < at) at = depth = 0;
    for (; at < position; at++) {
      const character = text.charCodeAt(at);
      if (character === 0x7b) depth++;
      else if (character === 0x7d && depth > 0) depth--;
    }
    return depth;
  };
}

/** Decides whether a match is a whole value of a query, the whole text, a whole part of the path or the whole host. */
function wholeAt(text: string, from: number, to: number): 'value' | 'segment' | undefined {
  const before = text.charAt(from - 1);
  const after = text.charAt(to);
  if ((before === '' || before === '=' || before === '?') && (after === '' || after === '&' || after === ';' || after === '#'))
    return 'value';
  return before === '/' && (after === '' || /[/?#:&]/.test(after)) ? 'segment' : undefined;
}

/**
 * Returns the merge tags of other senders in visible text or in an attribute, in the order of the text and without overlaps. These are tags
 * of a strong shape, and tags of a weak shape with the name of a usual field. `{{column}}` is not included, because `prepare` fills it in.
 * Do not pass markup to this function, because style sheets and scripts also have braces.
 */
export function foreignTags(text: string): (ForeignTag & { readonly dialect: string })[] {
  if (!MAY_HAVE_TAG.test(text)) return [];
  const all = Array.from(tagsIn(text, true)).sort((a, b) => a.from - b.from || b.to - a.to);
  const tags: (ForeignTag & { dialect: string })[] = [];
  let end = 0;
  for (const tag of all) {
    if (tag.from < end) continue;
    end = tag.to;
    // Tags of the shape `{{…}}` are left out. `prepare` fills them in, and oddBraces finds `{{name` without an end.
    if (tag.shape !== '{{}}' || tag.text.includes('${')) tags.push({ ...tag, dialect: dialectOf(tag) });
  }
  return tags;
}

/** Returns the name of the sender that uses this spelling of a tag. */
export function dialectOf({ shape, inside }: Pick<ForeignTag, 'shape' | 'inside'>): string {
  const dialects: readonly TagDialect[] = TAG_DIALECTS.filter((dialect) => dialect.shape === shape);
  const own = dialects.find((dialect) => dialect.inside?.test(inside));
  return (own ?? dialects.find((dialect) => !dialect.inside) ?? dialects[0])?.sender ?? 'another sender';
}

const withoutGroupNames = (pattern: string): string => pattern.replace(/\(\?<[nm]>/g, '(?:');
/** Shapes that are not part of an address in plain text, because their first character ends the address or is not in `OPENING`. */
const NOT_IN_PLAIN_ADDRESSES: readonly ShapeName[] = ['<element>', '<<>>', '«»', '@TrackLink'];
/** Matches a strong tag. */
const STRONG_AT = new RegExp(
  SHAPE_LIST.filter(({ name, shape }) => shape.isTag === undefined && !NOT_IN_PLAIN_ADDRESSES.includes(name))
    .map(({ shape }) => withoutGroupNames(shape.pattern))
    .join('|'),
  'yu',
);
/** Match weak tags that may contain a space, or that end with a character that would otherwise belong to the sentence. */
const WEAK_AT = (['{}', '[]', '~~', '____', '##', '::::'] as const).map((name) => new RegExp(SHAPES[name].pattern, 'yu'));
const OPENING = /[{[%$#~*<&_:]/;
/** A tag in plain text does not contain a line break or the beginning of another address. An address in quotes may be part of the tag. */
const HAS_OTHER_ADDRESS = /\n|[\s(<]https?:/i;

/**
 * Returns the end of the merge tag that begins at a position of an address in plain text, or undefined. A tag may contain characters that
 * otherwise end an address.
 */
export function endOfTagAt(text: string, from: number): number | undefined {
  if (!OPENING.test(text.charAt(from))) return undefined;
  STRONG_AT.lastIndex = from;
  if (STRONG_AT.test(text)) return HAS_OTHER_ADDRESS.test(text.slice(from, STRONG_AT.lastIndex)) ? undefined : STRONG_AT.lastIndex;
  if (/[\p{L}\p{N}_]/u.test(text.charAt(from - 1))) return undefined;
  for (const pattern of WEAK_AT) {
    pattern.lastIndex = from;
    const found = pattern.exec(text);
    if (found && isField(nameIn(found.groups?.['n'] ?? ''))) return pattern.lastIndex;
  }
  return undefined;
}
