// Finds the slug or alias in the path of a request. Mail clients, and programs that turn plain text into links, may treat characters after
// an address as a part of the address: `/u/<slug>.`, `/u/<slug>)`, `/u/<slug>%3E`, `/u/<slug></a>`. One rule holds for all slugs and
// aliases: the name ends before the first character that is not allowed in a name.

const ONLY_A_NAME = /^\/u\/[0-9A-Za-z_-]+$/;
const NAME_CHARACTERS = /^\/u\/[0-9A-Za-z_-]*/;
/** A character of a name in percent-encoding: `-`, `_`, a digit or a letter. */
const ENCODED_NAME_CHARACTER = /%(2D|5F|3\d|[46][1-9A-F]|[57][0-9A])/gi;

/**
 * Returns the URL of a click as `/u/<name>`, without the query and without other characters after the name. Returns any other URL
 * unchanged. `url` contains the bytes of the request line, decoded as Latin-1. These bytes may be invalid UTF-8.
 */
export function cutAfterName(url: string): string {
  if (ONLY_A_NAME.test(url) || !url.startsWith('/u/')) return url;
  const path = pathOf(url);
  const decoded = path.includes('%')
    ? path.replace(ENCODED_NAME_CHARACTER, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
    : path;
  return NAME_CHARACTERS.exec(decoded)?.[0] ?? url;
}

/** Returns whether the path of a URL is exactly `/u/<name>`. */
export function isPathOf(url: string, name: string): boolean {
  return url.startsWith(name, 3) && (url.length === name.length + 3 || url.charAt(name.length + 3) === '?');
}

/** Returns the part of a URL after the question mark, or '' if there is no question mark. */
export function queryOf(url: string): string {
  const start = url.indexOf('?');
  if (start < 0) return '';
  const end = url.indexOf('#', start);
  return end < 0 ? url.slice(start + 1) : url.slice(start + 1, end);
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}
