// Removes text that programs and people put around a mail address or the name of a column: invisible characters, quotes, a display name.

const PLAIN_ASCII = /^[\x20-\x7e]*$/;
/** Characters that are never displayed: zero-width characters, bidirectional marks, soft hyphens, byte order marks, variation selectors. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
/** A letter of a script that uses joiners in its spelling. Some of these scripts have invisible characters, too, which are no letters. */
const JOINING =
  /^(?!\p{Default_Ignorable_Code_Point})[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Mongolian}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}]$/u;

/**
 * Removes invisible characters. The joiners U+200C and U+200D stay between letters of scripts such as Arabic and Devanagari, whose spelling
 * needs them.
 */
export function removeInvisible(text: string): string {
  if (PLAIN_ASCII.test(text)) return text;
  return text.replace(INVISIBLE, (character, at: number) => {
    const isJoiner = character === '\u200c' || character === '\u200d';
    return isJoiner && JOINING.test(text.charAt(at - 1)) && JOINING.test(text.charAt(at + 1)) ? character : '';
  });
}

/** Returns the name of a column without invisible characters and with ordinary spaces. */
export function bareName(name: string): string {
  return removeInvisible(name)
    .replace(/(?! )\p{Zs}/gu, ' ')
    .trim();
}

const PLAIN_ADDRESS = /^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]*[A-Za-z0-9]$/;
/** Quotes and unpaired angle brackets, and the punctuation that separates addresses. A full stop is only removed at the end. */
const LEADING = /^[\s"'`´‘’‚‛“”„‟«»‹›<>,;:，；、]+/u;
const TRAILING = /[\s"'`´‘’‚‛“”„‟«»‹›<>,;:.，；、。]+$/u;
/** Matches an address after a display name, e.g. "Lee, Ann" <ann@shop.example>. */
const WITH_DISPLAY_NAME = /^([^<>]*)<([^<>]*)>[\s"'`,;.]*$/;
/** Matches an address before a comment, e.g. ann@shop.example (Ann Lee). */
const WITH_COMMENT = /^(\S+@\S+)\s*\([^()@]*\)$/;
const IN_BRACKETS = /^\(([^()]*)\)$|^\[([^[\]]*)\]$|^\{([^{}]*)\}$/;
const SCHEME = /^(mailto|smtp|e-?mail)\s*:\s*/i;

/**
 * Extracts the mail address from a field. Removes a display name (`"Ann Lee <ann@shop.example>"`), a scheme
 * (`mailto:ann@shop.example`), quotes, brackets, punctuation at the end, and invisible characters. Full-width characters become
 * ASCII. Upper and lower case do not change. If no single address can be taken from the text, only the ends of the text are cleaned,
 * because the text may not be an address.
 */
export function bareAddress(text: string): string {
  if (PLAIN_ADDRESS.test(text)) return text;
  let address = removeInvisible(text)
    .replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .trim();
  for (let previous = ''; previous !== address; ) {
    previous = address;
    const named = WITH_DISPLAY_NAME.exec(address);
    if (named) {
      const [, name = '', inside = ''] = named;
      // The display name has another address, so it is unknown which of the two is meant.
      if (name.includes('@') && bareAddress(name).toLowerCase() !== bareAddress(inside).toLowerCase()) return address;
      address = inside;
    }
    address = address.replace(LEADING, '').replace(TRAILING, '');
    address = WITH_COMMENT.exec(address)?.[1] ?? address;
    const bracketed = IN_BRACKETS.exec(address);
    if (bracketed) address = bracketed[1] ?? bracketed[2] ?? bracketed[3] ?? '';
    const scheme = SCHEME.exec(address);
    if (scheme) address = withoutScheme(address.slice(scheme[0].length), (scheme[1] as string).toLowerCase());
  }
  return address.replace(/(?! )\p{Z}/gu, '');
}

function withoutScheme(rest: string, scheme: string): string {
  if (scheme !== 'mailto') return rest;
  const address = rest.replace(/\?.*$/s, '');
  try {
    return decodeURIComponent(address);
  } catch {
    return address;
  }
}
