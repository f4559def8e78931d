import { decodeHTML } from 'entities';
import { FIELD_WORDS, TAG_DIALECTS, type TagDialect } from './merge-tag-data.ts';

// Finds the merge tags of other senders, in addresses and in text. A tracked link redirects everybody to one address, so an address with a
// tag cannot be tracked: everybody would get the literal tag.
//
// A tag is recognised by its shape. A strong shape, such as `{{…}}` or `*|…|*`, is a tag anywhere, because addresses have no other use for
// its characters. A weak shape, such as `{…}`, `[…]` or `%…%`, is a tag only if there is more evidence: the name of a usual field inside
// (`[EMAIL]`, `{first_name}`), or its place: it is a whole value of the query or a whole part of the path (`?c={coupon_b}`).

interface Shape {
  /** The groups `n` and `m` are the text inside the tag. Every repetition has a limit, so that the time is linear. */
  readonly pattern: string;
  /** Missing: a strong shape. Otherwise: decides whether a match in this place is a tag. */
  readonly isTag?: (inside: string, place: Place) => boolean;
  /** False: the shape is too common in prose, so it is looked for in addresses only. 'field': in prose, the name must be a usual field. */
  readonly inText?: false | 'field';
}

/** Where a match is. */
interface Place {
  /** True: visible text or an attribute, not an address. */
  readonly isText: boolean;
  /** 'value': a whole value of a query or the whole text; 'segment': a whole part of the path, or the whole host. */
  readonly whole: 'value' | 'segment' | undefined;
  readonly before: string;
  readonly after: string;
  /** The number of braces that are open before the match. */
  readonly depth: number;
}

const NAME = '[\\p{L}_](?:[\\p{L}\\p{M}\\p{N}_.+\\- ]{0,60}[\\p{L}\\p{M}\\p{N}_])?';
/** A default value or a filter after a name: `|there`, `, "there"`. */
const DEFAULT = '(?:\\s?\\|[^{}\\[\\]]{0,100}|,\\s?["\'“][^{}\\[\\]]{0,100})?';
const isBounded = ({ before, after }: Place): boolean => !/[\p{L}\p{N}_]/u.test(before) && !/[\p{L}\p{N}_]/u.test(after);
const inValue = ({ whole }: Place): boolean => whole === 'value';
/** A shape whose marks are common in addresses: it must be a whole value, or a usual field that is a whole part of the address. */
const fieldOrValue = (inside: string, place: Place): boolean => {
  if (place.isText) return isField(inside) && isBounded(place);
  return (isField(inside) && place.whole !== undefined) || (isIdentifier(inside) && inValue(place));
};

const SHAPES = {
  '{{}}': {
    pattern: '\\{\\{\\{?(?<n>(?:[^{}\\n]|\\$\\{[^{}\\n]{0,100}\\}){0,200})\\}{2,3}|\\{\\{(?<m>[^{}\\s]{0,100})',
  },
  '{%%}': { pattern: '\\{%(?<n>.{1,200}?)%\\}|\\{%(?![0-9A-Fa-f]{2})' },
  '<%%>': { pattern: '<%(?<n>.{1,200}?)%>|<%' },
  '<??>': { pattern: '<\\?(?:=|php\\b)(?<n>.{0,200}?)\\?>' },
  '*||*': { pattern: '\\*\\|(?<n>[\\p{L}_:!][^|*]{0,200}(?:\\|[^|*]{0,100})?)\\|\\*|\\*\\|(?<m>[A-Z][A-Z0-9_:]{1,60})' },
  '%%%%': { pattern: '%%=(?<m>.{0,300}?)=%%|%%=|%%(?<n>[!{[(]?[\\p{L}_@$][^%]{0,200})%%' },
  '[[]]': { pattern: '\\[\\[(?<n>\\s?[\\p{L}_@$][^[\\]]{0,200})\\]\\]' },
  '${}': { pattern: '\\$!?\\{(?<n>[^{}\\n]{0,200})\\}|\\$!?\\{(?<m>[^{}\\s]{0,100})' },
  '%{}': { pattern: '[%#@]\\{\\s?(?<n>[\\p{L}_][^{}":]{0,100})\\}' },
  '%()s': { pattern: '%\\((?<n>[\\p{L}_][\\w.]{0,60})\\)[sd]' },
  '####': { pattern: '#{2,3}(?<n>[\\p{L}_](?:[\\w:.\\- ]{0,60}\\w)?)#{2,3}' },
  '~~~~': { pattern: '~~(?<n>\\p{L}[^~\\s]{0,200})~~', inText: 'field' },
  $$$$: { pattern: '\\$\\$(?<n>[\\p{L}_][\\w.\\- ]{0,60})\\$\\$' },
  '$[]$': { pattern: '\\$\\[(?<n>[\\p{L}_][^[\\]]{0,100})\\]\\$' },
  '[**]': { pattern: '\\[\\*\\s?(?<n>[\\p{L}_][^*[\\]]{0,100})\\*\\]' },
  '[%%]': { pattern: '\\[%(?<n>[ \\p{L}].{0,200}?)%\\]' },
  '[%:]': { pattern: '\\[%(?<n>[a-z][a-z-]{1,30}:[\\p{L}][^\\]]{0,200})\\]' },
  '[agn]': { pattern: '\\[agn(?<n>[A-Z][A-Za-z]{1,30})[^\\]]{0,200}\\]' },
  '[EMV]': { pattern: '\\[EMV /?[A-Z]{3,20}\\](?:(?<n>\\w{0,60})\\[EMV /[A-Z]{3,20}\\])?' },
  '{!}': { pattern: '\\{!\\s?(?<n>[$\\p{L}_][\\w.$ \\-]{0,60})\\}' },
  '{$}': { pattern: '\\{\\$\\s?(?<n>[\\p{L}_][\\w.[\\]\'">\\-]{0,60})(?:\\|[^{}]{0,100})?\\}' },
  '{||}': { pattern: '\\{\\|(?<n>[\\p{L}_][\\w.]{0,60})\\|\\}' },
  '{()}': { pattern: '\\{\\((?<n>[\\p{L}_]\\w{0,60})(?:\\|[^{}()]{0,60})?\\)\\}' },
  '{=}': { pattern: '\\{(?<n>(?:contactfield|ownerfield|companyfield|assetlink|pagelink|focus|form|dynamiccontent)=[^{}]{1,100})\\}' },
  '{:}': { pattern: '\\{(?<n>(?:[a-z]{2,10}tag|unsubscribe|subscribe|confirm|modify|readonline|view|survey|autocontent):[^{}]{1,200})\\}' },
  '&*;': { pattern: '&\\*(?<n>[A-Z][A-Z0-9_]{1,40});' },
  '<<>>': {
    pattern: '<<(?<n>[\\p{L}_][^<>]{0,100})>>|«(?<m>[\\p{L}_][^«»]{0,60})»',
    inText: 'field',
  },
  '@TrackLink': { pattern: '@(?<n>TrackLink)\\b' },
  '<element>': {
    pattern:
      '<(?<n>(?:unsubscribe|webversion|forwardtoafriend|preferences|currentday|currentdayname|pstag:\\w{1,30})\\b|span\\s{1,3}class=["\']?eloqua\\w{1,20})[^<>]{0,200}>',
  },
  '{}': {
    pattern: `\\{\\s?(?<n>${NAME}${DEFAULT})\\s?\\}`,
    isTag: (inside, place) =>
      (place.isText || place.depth === 0) && (isField(nameIn(inside)) || (place.whole !== undefined && isIdentifier(inside))),
    inText: 'field',
  },
  '[]': {
    pattern: `\\[(?<n>${NAME}(?::\\s?${NAME}){0,3}(?:,\\s?fallback=[^\\[\\]]{0,60}|,\\s?\\p{L}[^\\[\\]]{0,60}|\\s?\\|[^{}\\[\\]]{0,100})?)\\]`,
    isTag: (inside, place) => {
      // `filter[name]=x` is a parameter of its own, and `[words](address)` is a link in Markdown.
      if (!isBounded(place) || /[\])]/.test(place.before) || /[=[(:]/.test(place.after)) return false;
      if (place.isText) return isField(nameIn(inside));
      if (place.whole === undefined && /[\s+]/.test(place.before + place.after)) return false;
      return isField(nameIn(inside)) || (inValue(place) && isIdentifier(nameIn(inside)) && /[A-Z]{2}|[_.:]|[a-z][A-Z]/.test(inside));
    },
  },
  '%%': {
    pattern: '%(?<n>[\\p{L}_][\\w.:\\-]{1,60})%',
    isTag: (inside, place) => {
      // `%DA` is also an encoded character, so a name that begins like one must not be followed by another.
      const mayBeEncoded = /^[0-9A-F]{2}/i.test(inside);
      if (isField(inside)) return !mayBeEncoded || !/^[0-9A-F]/i.test(place.after);
      return !place.isText && place.whole !== undefined && isIdentifier(inside) && !mayBeEncoded;
    },
  },
  $$: {
    pattern: '\\$(?<n>[\\p{L}_][\\w.]{0,60})\\$',
    isTag: (inside, place) => isBounded(place) && (isField(inside) || (inValue(place) && isIdentifier(inside))),
  },
  '##': { pattern: '#(?<n>[\\p{L}_](?:[\\w: \\-]{0,60}\\w)?)#', isTag: fieldOrValue },
  '@@': { pattern: '@(?<n>[\\p{L}_]\\w{0,60})@', isTag: fieldOrValue },
  '~~': { pattern: '~(?<n>[\\p{L}_][\\w. ]{0,60})~', isTag: fieldOrValue },
  ____: { pattern: '__(?<n>[A-Z](?:[A-Z0-9_]{0,60}[A-Z0-9])?)__', isTag: (inside, place) => isBounded(place) && isField(inside) },
  '----': {
    pattern: '(?<!-)--(?<n>[\\p{L}_]\\w{0,60})--(?!-)',
    isTag: (inside, place) => isField(inside) && inValue(place),
    inText: false,
  },
  '--': { pattern: '(?<!-)-(?<n>[\\p{L}_]\\w{0,60})-(?!-)', isTag: (inside, place) => isField(inside) && inValue(place), inText: false },
  '::::': {
    pattern: '::(?<n>[\\p{L}_]\\w{0,60})::',
    isTag: (inside, place) => isField(inside) && (place.isText ? isBounded(place) : place.whole !== undefined),
  },
  '!': { pattern: '!(?<n>[\\p{L}_]\\w{0,60})', isTag: (inside, place) => isField(inside) && inValue(place), inText: false },
  $: { pattern: '\\$(?<n>[\\p{L}_]\\w{0,60})', isTag: (inside, place) => isField(inside) && inValue(place), inText: false },
  '@Model': {
    pattern: '@\\(?(?<n>(?:Model|ViewBag|ViewData)\\.[\\p{L}_][\\w.]{0,60})\\)?',
    isTag: (inside, place) => inValue(place) || isField(inside.replace(/^\w+\./, '')),
    inText: false,
  },
  '<>': { pattern: '<(?<n>[\\p{L}_][\\w ]{0,60})>', isTag: (inside, place) => isField(inside) && inValue(place), inText: false },
  '()': { pattern: '\\((?<n>[\\p{L}_][\\w ]{0,60})\\)', isTag: (inside, place) => isField(inside) && inValue(place), inText: false },
} as const satisfies Readonly<Record<string, Shape>>;
export type ShapeName = keyof typeof SHAPES;

const SHAPE_LIST = (Object.entries(SHAPES) as [ShapeName, Shape][]).map(([name, shape]) => ({
  name,
  shape,
  global: new RegExp(shape.pattern, 'gu'),
}));

/** A tag in a text. `from` to `to` is its position, in UTF-16 code units. */
export interface ForeignTag {
  readonly from: number;
  readonly to: number;
  /** The tag as it is spelled. */
  readonly text: string;
  /** The text inside the tag. Empty if only the beginning of a tag was found. */
  readonly inside: string;
  readonly shape: ShapeName;
}

/** Characters without which a text has no tag. */
const MAY_HAVE_TAG = /[{}[\]%$#~@*<«!]|__|::|&|[=/]-|^-|=\(/;

/**
 * Returns the merge tag in an address, or undefined. Also finds tags that an editor has percent-encoded, once or twice, or written as
 * character references. If the address has several, a tag that names unsubscribing comes first.
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

/** Returns true if the text inside a tag says that it is for unsubscribing. */
export function namesUnsubscribing(inside: string): boolean {
  return /unsub|opt[_ -]?out|list[_-]?remove|^remove(?:_?(?:me|web|link|url))?$|resign|signoff|abmeld|austrag|d[ée]sabo|d[ée]sinscri|disiscri|descadastr|desuscri|^baja$|uitschrijv|afmeld|wypis|odhlas|отпис/iu.test(
    inside,
  );
}

/** The address as it is spelled, with character references decoded, and with percent-encoded ASCII characters decoded once and twice. */
function formsOf(address: string): Set<string> {
  const forms = new Set([address]);
  const decoded = address.includes('&') ? decodeHTML(address) : address;
  forms.add(decoded);
  let form = decoded;
  for (let times = 0; times < 2 && form.includes('%'); times++) {
    form = form.replace(/%([2-7][0-9A-Fa-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    forms.add(form);
  }
  if (form.includes('&') && form !== decoded) forms.add(decodeHTML(form));
  return forms;
}

/** Yields the tags of an address or of a text. Tags of different shapes may overlap. */
function* tagsIn(text: string, isText: boolean): Generator<ForeignTag> {
  let depths: ((position: number) => number) | undefined;
  for (const { name, shape, global } of SHAPE_LIST) {
    if (isText && shape.inText === false) continue;
    for (const found of text.matchAll(global)) {
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

/** Returns a function that counts the braces open before a position. The positions must ascend, or the count begins again. */
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

/** Returns the name of a tag without its default value and its filters. */
function nameIn(inside: string): string {
  return inside.replace(/\s*(?:[|,]|:filter:|:\s?default)[^]*$/u, '');
}

const WORD = new RegExp(
  `^(?:${FIELD_WORDS.split(' ')
    .sort((a, b) => b.length - a.length)
    .join('|')})+$`,
);
/** A word before a dot or a colon that says whose field it is. Any name may follow it: `contact.shoe_size`. */
const OWNER =
  /^(?:contact|recipient|subscriber|customer|member|user|lead|person|profile|object|params?|data|var|contact_attribute|field|link)\s?[.:]/i;

/** Returns true if a name is made of the words of usual fields. */
function isField(name: string): boolean {
  if (OWNER.test(name)) return true;
  const words = name
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replace(/(\p{Ll})(?=\p{Lu})/gu, '$1 ')
    .toLowerCase()
    .split(/[^\p{L}\d]+/u)
    .map((word) => word.replace(/\d+$/, ''))
    .filter((word) => word !== '');
  return words.length > 0 && words.length <= 8 && words.every((word) => WORD.test(word));
}

/** Returns true for a name as programs have it, and not a number, an id such as `6F9619FF-8B86-D011` or a single letter. */
function isIdentifier(name: string): boolean {
  return /^[\p{L}_][\p{L}_. ]{1,39}\d{0,2}$/u.test(nameIn(name));
}

/**
 * Returns the merge tags of other senders in visible text or in an attribute, in the order of the text and without overlaps. These are
 * tags of a strong shape, and tags of a weak shape with the name of a usual field. `{{column}}` is not among them, because `prepare` fills
 * it in itself. Do not give it markup: style sheets and scripts have braces of their own.
 */
export function foreignTags(text: string): (ForeignTag & { readonly dialect: string })[] {
  if (!MAY_HAVE_TAG.test(text)) return [];
  const all = Array.from(tagsIn(text, true)).sort((a, b) => a.from - b.from || b.to - a.to);
  const tags: (ForeignTag & { dialect: string })[] = [];
  let end = 0;
  for (const tag of all) {
    if (tag.from < end) continue;
    end = tag.to;
    // oddBraces finds `{{name` without an end.
    if (tag.shape !== '{{}}' || tag.text.includes('${')) tags.push({ ...tag, dialect: dialectOf(tag) });
  }
  return tags;
}

/** Returns the name of the sender that spells a tag so. */
export function dialectOf({ shape, inside }: Pick<ForeignTag, 'shape' | 'inside'>): string {
  const dialects: readonly TagDialect[] = TAG_DIALECTS.filter((dialect) => dialect.shape === shape);
  const own = dialects.find((dialect) => dialect.inside?.test(inside));
  return (own ?? dialects.find((dialect) => !dialect.inside) ?? dialects[0])?.sender ?? 'another sender';
}

/** A `{{column}}` that is not well spelled. `from` to `to` is its position, in UTF-16 code units. */
export interface OddBraces {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Runs of braces, also with one space between them, as in `{ {name}}`. */
const BRACES = /\{(?: ?\{)*|\}(?: ?\})*/g;
const COLUMN_NAME = /^\s*[\p{L}_#][\p{L}\p{M}\p{N}_.\-| "']{0,60}/u;

/**
 * Returns the places in visible text or an attribute that look like a `{{column}}` with a missing, a spare or a separated brace:
 * `{{name}`, `{name}}`, `{{{name}}`, `{ {name}}`, `{{ name`, `name}}`. `prepare` leaves them as they are. `{name}` is not among them:
 * foreignTags finds it.
 */
export function oddBraces(text: string): OddBraces[] {
  const odd: OddBraces[] = [];
  const add = (from: number, to: number) => odd.push({ from, to, text: text.slice(from, to) });
  /** The braces before it that are still open. */
  let depth = 0;
  let open: { from: number; to: number } | undefined;
  const count = (run: string) => run.replaceAll(' ', '').length;
  const isColumnName = (from: number, to: number) => to - from <= 64 && COLUMN_NAME.exec(text.slice(from, to))?.[0].length === to - from;
  const endUnclosed = () => {
    if (!open || open.to - open.from < 2) return;
    const name = COLUMN_NAME.exec(text.slice(open.to, open.to + 64))?.[0].trimEnd();
    if (name) add(open.from, open.to + name.length);
  };
  for (const run of text.matchAll(BRACES)) {
    const [from, to] = [run.index, run.index + run[0].length];
    if (run[0].startsWith('{')) {
      endUnclosed();
      if (open) depth += open.to - open.from;
      open = { from, to };
      continue;
    }
    const closed = count(run[0]);
    if (open) {
      const opened = count(text.slice(open.from, open.to));
      const isSpaced = /\s/.test(text.slice(open.from, open.to) + run[0]);
      const isOdd = opened !== closed || opened > 3 || (isSpaced && opened > 1);
      if (isColumnName(open.to, from)) {
        // `}}` may also close an outer brace, as in `{a{name}}`.
        if (isOdd && Math.max(opened, closed) > 1 && (opened > 1 || depth === 0)) add(open.from, to);
      } else if (opened !== closed) endUnclosed();
      depth = Math.max(0, depth + opened - closed);
      open = undefined;
      continue;
    }
    const name = /[\p{L}\p{N}_]+[ \t]?$/u.exec(text.slice(Math.max(0, from - 40), from))?.[0];
    if (depth === 0 && closed === 2 && name) add(from - name.length, to);
    depth = Math.max(0, depth - closed);
  }
  endUnclosed();
  return odd;
}

const withoutGroupNames = (pattern: string): string => pattern.replace(/\(\?<[nm]>/g, '(?:');
/** Strong tags, and weak ones that may contain a space or end with a character that otherwise ends a sentence. */
const STRONG_AT = new RegExp(
  SHAPE_LIST.filter(({ name, shape }) => !('isTag' in shape) && name !== '<element>' && name !== '<<>>' && name !== '@TrackLink')
    .map(({ shape }) => withoutGroupNames(shape.pattern))
    .join('|'),
  'yu',
);
const WEAK_AT = (['{}', '[]', '~~', '____', '##', '!'] as const).map((name) => new RegExp(SHAPES[name].pattern, 'yu'));
const OPENING = /[{[%$#~*<&_]/;

/**
 * Returns the end of the merge tag that begins at a position of an address in plain text, or undefined. A tag may contain characters that
 * otherwise end an address.
 */
export function endOfTagAt(text: string, from: number): number | undefined {
  if (!OPENING.test(text.charAt(from))) return undefined;
  STRONG_AT.lastIndex = from;
  if (STRONG_AT.test(text)) return STRONG_AT.lastIndex;
  if (/[\p{L}\p{N}_]/u.test(text.charAt(from - 1))) return undefined;
  for (const pattern of WEAK_AT) {
    pattern.lastIndex = from;
    const found = pattern.exec(text);
    if (found && isField(nameIn(found.groups?.['n'] ?? ''))) return pattern.lastIndex;
  }
  return undefined;
}
