import { isField, isIdentifier, nameIn } from './merge-tag-fields.ts';

// The shapes of merge tags. A match of a strong shape, such as `{{…}}` or `*|…|*`, is always a tag, because its characters have no other
// use in addresses. A match of a weak shape, such as `{…}`, `[…]` or `%…%`, is a tag only if there is more evidence. The evidence can be
// the name of a usual field inside (`[EMAIL]`, `{first_name}`). It can also be the place, if the match is a whole value of the query or a
// whole part of the path (`?c={coupon_b}`).

export interface Shape {
  /** Characters that every tag of the shape has. A text without these characters is not searched. */
  readonly opening: string;
  /** The groups `n` and `m` are the text inside the tag. Every repetition has a limit, so that a search takes linear time. */
  readonly pattern: string;
  /** Decides whether a match in this place is a tag. A strong shape does not have this function. */
  readonly isTag?: (inside: string, place: Place) => boolean;
  /**
   * False if the shape is too common in prose, so that it is searched only in addresses. 'field' means that in prose the name must be a
   * usual field.
   */
  readonly inText?: false | 'field';
}

/** The place of a match. */
export interface Place {
  /** True if the match is in visible text or in an attribute that is not an address. */
  readonly isText: boolean;
  /**
   * 'value' if the match is a whole value of a query or the whole text. 'segment' if the match is a whole part of the path or the whole
   * host.
   */
  readonly whole: 'value' | 'segment' | undefined;
  readonly before: string;
  readonly after: string;
  /** The number of braces that are open before the match. */
  readonly depth: number;
}

const NAME = '[\\p{L}_](?:[\\p{L}\\p{M}\\p{N}_.+\\- ]{0,60}[\\p{L}\\p{M}\\p{N}_])?';
/** A default value or a filter after a name: `|there`, `, "there"`. */
const DEFAULT = '(?::(?:url|html|md5|sha|lower|upper)\\w{0,12}|\\s?\\|[^{}\\[\\]]{0,100}|,\\s?["\'“][^{}\\[\\]]{0,100})?';
const isBounded = ({ before, after }: Place): boolean => !/[\p{L}\p{N}_]/u.test(before) && !/[\p{L}\p{N}_]/u.test(after);
const inValue = ({ whole }: Place): boolean => whole === 'value';
/**
 * The rule for a shape whose marks are common in addresses. A match must be a whole value, or a usual field that is a whole part of the
 * address.
 */
const fieldOrValue = (inside: string, place: Place): boolean => {
  if (place.isText) return isField(inside) && isBounded(place);
  return (isField(inside) && place.whole !== undefined) || (isIdentifier(inside) && inValue(place));
};

export const SHAPES = {
  '{{}}': { opening: '{{', pattern: '\\{\\{\\{?(?<n>(?:[^{}\\n]|\\$\\{[^{}\\n]{0,100}\\}){0,200})\\}{2,3}|\\{\\{(?<m>[^{}\\s]{0,100})' },
  '{%%}': { opening: '{%', pattern: '\\{%(?<n>.{1,200}?)%\\}|\\{%(?![0-9A-Fa-f]{2})' },
  '<%%>': { opening: '<%', pattern: '<%(?<n>.{1,200}?)%>|<%' },
  '<??>': { opening: '<?', pattern: '<\\?(?:=|php\\b)(?<n>.{0,200}?)\\?>' },
  '*||*': { opening: '*|', pattern: '\\*\\|(?<n>[\\p{L}_:!][^|*]{0,200}(?:\\|[^|*]{0,100})?)\\|\\*|\\*\\|(?<m>[A-Z][A-Z0-9_:]{1,60})' },
  '%%%%': { opening: '%%', pattern: '%%=(?<m>.{0,300}?)=%%|%%=|%%(?<n>[!{[(]?[\\p{L}_@$][^%]{0,200})%%' },
  '[[]]': { opening: '[[', pattern: '\\[\\[(?<n>\\s?[\\p{L}_@$][^[\\]]{0,200})\\]\\]' },
  '${}': { opening: '{', pattern: '\\$!?\\{(?<n>[^{}\\n]{0,200})\\}|\\$!?\\{(?<m>[^{}\\s]{0,100})' },
  '%{}': { opening: '{', pattern: '[%#@]\\{\\s?(?<n>[\\p{L}_][^{}":]{0,100})\\}' },
  '%()s': { opening: '%(', pattern: '%\\((?<n>[\\p{L}_][\\w.]{0,60})\\)[sd]' },
  '####': { opening: '##', pattern: '#{2,3}(?<n>[\\p{L}_](?:[\\w:.\\- ]{0,60}\\w)?)#{2,3}' },
  '~~~~': { opening: '~~', pattern: '~~(?<n>\\p{L}[^~\\s]{0,200})~~', inText: 'field' },
  $$$$: { opening: '$$', pattern: '\\$\\$(?<n>[\\p{L}_][\\w.\\- ]{0,60})\\$\\$' },
  '$[]$': { opening: '$[', pattern: '\\$\\[(?<n>[\\p{L}_][^[\\]]{0,100})\\]\\$' },
  '[**]': { opening: '[*', pattern: '\\[\\*\\s?(?<n>[\\p{L}_][^*[\\]]{0,100})\\*\\]' },
  '[%%]': { opening: '[%', pattern: '\\[%(?<n>[ \\p{L}].{0,200}?)%\\]' },
  '[%:]': { opening: '[%', pattern: '\\[%(?<n>[a-z][a-z-]{1,30}:[\\p{L}][^\\]]{0,200})\\]' },
  '[agn]': { opening: '[agn', pattern: '\\[agn(?<n>[A-Z][A-Za-z]{1,30})[^\\]]{0,200}\\]' },
  '[EMV]': { opening: '[EMV', pattern: '\\[EMV /?[A-Z]{3,20}\\](?:(?<n>\\w{0,60})\\[EMV /[A-Z]{3,20}\\])?' },
  '{!}': { opening: '{!', pattern: '\\{!\\s?(?<n>[$\\p{L}_][\\w.$ \\-]{0,60})\\}' },
  '{$}': { opening: '{$', pattern: '\\{\\$\\s?(?<n>[\\p{L}_][\\w.[\\]\'">\\-]{0,60})(?:\\|[^{}]{0,100})?\\}' },
  '{||}': { opening: '{|', pattern: '\\{\\|(?<n>[\\p{L}_][\\w.]{0,60})\\|\\}' },
  '{()}': { opening: '{(', pattern: '\\{\\((?<n>[\\p{L}_]\\w{0,60})(?:\\|[^{}()]{0,60})?\\)\\}' },
  '{=}': {
    opening: '{',
    pattern: '\\{(?<n>(?:contactfield|ownerfield|companyfield|assetlink|pagelink|focus|form|dynamiccontent)=[^{}]{1,100})\\}',
  },
  '{:}': {
    opening: '{',
    pattern: '\\{(?<n>(?:[a-z]{2,10}tag|unsubscribe|subscribe|confirm|modify|readonline|view|survey|autocontent):[^{}]{1,200})\\}',
  },
  '&*;': { opening: '&*', pattern: '&\\*(?<n>[A-Z][A-Z0-9_]{1,40});' },
  '<<>>': { opening: '<<', pattern: '<<(?<n>[\\p{L}_][^<>]{0,100})>>' },
  '«»': { opening: '«', pattern: '«(?<n>[\\p{L}_][^«»]{0,60})»', inText: false },
  '@TrackLink': { opening: '@TrackLink', pattern: '@(?<n>TrackLink)\\b' },
  '<element>': {
    opening: '<',
    pattern:
      '<(?<n>(?:unsubscribe|webversion|forwardtoafriend|preferences|currentday|currentdayname|pstag:\\w{1,30})\\b|span\\s{1,3}class=["\']?eloqua\\w{1,20})[^<>]{0,200}>',
  },
  '{}': {
    opening: '{',
    pattern: `\\{\\s?(?<n>${NAME}${DEFAULT})\\s?\\}`,
    isTag: (inside, place) =>
      (place.isText || place.depth === 0) && (isField(nameIn(inside)) || (place.whole !== undefined && isIdentifier(inside))),
    inText: 'field',
  },
  '[]': {
    opening: '[',
    pattern: `\\[(?<n>${NAME}(?::\\s?${NAME}){0,3}(?:,\\s?fallback=[^\\[\\]]{0,60}|,\\s?\\p{L}[^\\[\\]]{0,60}|\\s?\\|[^{}\\[\\]]{0,100})?)\\]`,
    isTag: (inside, place) => {
      // In `filter[name]=x`, `[name]` belongs to the name of a parameter. `[words](address)` is a link in Markdown.
      if (!isBounded(place) || /[\])]/.test(place.before) || /[=[(:]/.test(place.after)) return false;
      if (place.isText) return isField(nameIn(inside));
      if (place.whole === undefined && /[\s+]/.test(place.before + place.after)) return false;
      return isField(nameIn(inside)) || (inValue(place) && isIdentifier(nameIn(inside)) && /[A-Z]{2}|[_.:]|[a-z][A-Z]/.test(inside));
    },
  },
  '%%': {
    opening: '%',
    pattern: '%(?<n>[\\p{L}_][\\w.:\\-]{1,60})%',
    isTag: (inside, place) => {
      // `%DA` can also be an encoded character. So if a name begins with two hex digits, no hex digit may follow the tag.
      const mayBeEncoded = /^[0-9A-F]{2}/i.test(inside);
      if (isField(inside)) return !mayBeEncoded || !/^[0-9A-F]/i.test(place.after);
      return !place.isText && place.whole !== undefined && isIdentifier(inside) && !mayBeEncoded;
    },
  },
  $$: {
    opening: '$',
    pattern: '\\$(?<n>[\\p{L}_][\\w.]{0,60})\\$',
    isTag: (inside, place) => isBounded(place) && (isField(inside) || (inValue(place) && isIdentifier(inside))),
  },
  '##': { opening: '#', pattern: '#(?<n>[\\p{L}_](?:[\\w: \\-]{0,60}\\w)?)#', isTag: fieldOrValue },
  '@@': { opening: '@', pattern: '@(?<n>[\\p{L}_]\\w{0,60})@', isTag: fieldOrValue },
  '~~': { opening: '~', pattern: '~(?<n>[\\p{L}_][\\w. ]{0,60})~', isTag: fieldOrValue },
  ____: {
    opening: '__',
    pattern: '__(?<n>[A-Z](?:[A-Z0-9_]{0,60}[A-Z0-9])?)__',
    isTag: (inside, place) => isBounded(place) && isField(inside),
  },
  '----': {
    opening: '--',
    pattern: '(?<!-)--(?<n>[\\p{L}_]\\w{0,60})--(?!-)',
    isTag: (inside, place) => isField(inside) && inValue(place),
    inText: false,
  },
  '--': {
    opening: '-',
    pattern: '(?<!-)-(?<n>[\\p{L}_]\\w{0,60})-(?!-)',
    isTag: (inside, place) => isField(inside) && inValue(place),
    inText: false,
  },
  '::::': {
    opening: '::',
    pattern: '::(?<n>[\\p{L}_]\\w{0,60})::',
    isTag: (inside, place) => isField(inside) && (place.isText ? isBounded(place) : place.whole !== undefined),
  },
  '!': { opening: '!', pattern: '!(?<n>[\\p{L}_]\\w{0,60})', isTag: (inside, place) => isField(inside) && inValue(place), inText: false },
  $: { opening: '$', pattern: '\\$(?<n>[\\p{L}_]\\w{0,60})', isTag: (inside, place) => isField(inside) && inValue(place), inText: false },
  '@Model': {
    opening: '@',
    pattern: '@\\(?(?<n>(?:Model|ViewBag|ViewData)\\.[\\p{L}_][\\w.]{0,60})\\)?',
    isTag: (inside, place) => inValue(place) || isField(inside.replace(/^\w+\./, '')),
    inText: false,
  },
  '{**}': { opening: '{', pattern: '\\{(?<a>[*#])\\s?(?<n>[\\p{L}_][\\w. ]{0,60})\\k<a>\\}' },
  '[$]': {
    opening: '[',
    pattern: '\\[[$@=-](?<n>[\\p{L}_][\\w.]{0,60})-?\\]',
    isTag: (inside, place) => isField(inside) && place.whole !== undefined,
    inText: false,
  },
  '<>': {
    opening: '<',
    pattern: '<\\$?(?<n>[\\p{L}_][\\w ]{0,60})\\$?>',
    isTag: (inside, place) => /mail|unsub/i.test(inside) && isField(inside) && inValue(place),
    inText: false,
  },
  '()': {
    opening: '(',
    pattern: '\\((?<n>[\\p{L}_][\\w ]{0,60})\\)',
    isTag: (inside, place) => /mail|unsub/i.test(inside) && isField(inside) && place.whole !== undefined,
    inText: false,
  },
  /** A tag with the same mark on both sides. The mark occurs once or twice on each side. */
  xx: {
    opening: '',
    pattern: '(?<a>[@|^!*]{1,2})(?<n>[\\p{L}_]\\w{0,60})\\k<a>',
    isTag: (inside, place) => isField(inside) && place.whole !== undefined,
    inText: false,
  },
} as const satisfies Readonly<Record<string, Shape>>;
export type ShapeName = keyof typeof SHAPES;
