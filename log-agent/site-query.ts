import {
  AMOUNT,
  CURRENCY,
  KEY,
  MAX_KEY,
  MAX_NAME,
  MAX_PAGE,
  MAX_PROPERTIES,
  MAX_VALUE,
  PRINTABLE,
  SESSION,
  type SiteFields,
  type SiteKind,
} from '../core/site-event.ts';
import { SLUG } from '../core/slug.ts';

// Reads the query of a request for `/e/<site>`:
//
//   n        visit, or the name of a goal
//   v, k     the value of a goal, and its currency
//   u, r     the page, and the page before it
//   c        the slug of the click that led here
//   s        the number of the browser's tab
//   x.<key>  up to 8 properties of the author
//
// A parameter that is malformed or too long is left out, and counted. Only a missing or malformed name makes the whole request useless.
// Unknown parameters are ignored. If a parameter is repeated, the first one applies. What a line of version 2 means must never change.

export interface SiteQuery {
  readonly kind: SiteKind;
  readonly fields: SiteFields;
  /** The slug of the click that led here, unverified. Undefined if the query has none. */
  readonly click: string | undefined;
  /** The page before, as it was sent; empty if the query has none. */
  readonly referrer: string;
}

const MAX_REFERRER = 512;
const MAX_DROPPED = 1000;

/** Parses a query as nginx logged it. Returns undefined if its name is missing or malformed. Takes about 3 µs. */
export function parseSiteQuery(site: string, query: string): SiteQuery | undefined {
  const given = new Map<string, string>();
  let dropped = 0;
  for (const [name, value] of new URLSearchParams(query)) {
    if (given.has(name)) dropped++;
    else given.set(name, value);
  }
  /** Returns the value of a parameter as `read` returns it. If `read` returns undefined for a value that is not empty, it is dropped. */
  const take = (name: string, read: (value: string) => string | undefined): string | undefined => {
    const value = given.get(name);
    if (value === undefined || value === '') return undefined;
    const result = read(value);
    if (result === undefined) dropped++;
    return result;
  };
  const matching = (pattern: RegExp) => (value: string) => (pattern.test(value) ? value : undefined);
  const name = (given.get('n') ?? '').trim();
  if (name.length > MAX_NAME || !PRINTABLE.test(name)) return undefined;
  const kind = name === 'visit' ? 'visit' : 'goal';

  const click = take('c', matching(SLUG));
  const session = take('s', matching(SESSION));
  const page = take('u', pageOf);
  const referrer = take('r', (value) => (value.length <= MAX_REFERRER ? value : undefined)) ?? '';
  const value = take('v', (amount) => (kind === 'goal' && AMOUNT.test(amount) ? amount : undefined));
  const currency = take('k', (code) => (kind === 'goal' && CURRENCY.test(code.toUpperCase()) ? code.toUpperCase() : undefined));
  const properties: [string, string][] = [];
  for (const [key, text] of given) {
    if (!key.startsWith('x.') || text === '') continue;
    const own = key.slice(2);
    const isValid = own.length <= MAX_KEY && KEY.test(own) && text.length <= MAX_VALUE && PRINTABLE.test(text);
    if (isValid && properties.length < MAX_PROPERTIES) properties.push([own, text]);
    else dropped++;
  }
  const fields: SiteFields = {
    site,
    name: kind === 'visit' ? '' : name,
    ...(session === undefined ? {} : { session }),
    ...(page === undefined ? {} : { page }),
    ...(value === undefined ? {} : { value }),
    ...(currency === undefined ? {} : { currency }),
    ...(properties.length === 0 ? {} : { properties: Object.fromEntries(properties) }),
    dropped: Math.min(dropped, MAX_DROPPED),
  };
  return { kind, fields, click, referrer };
}

/**
 * Returns host and path of a web address, decoded, so that people can read it, and cut to MAX_PAGE characters. Its query and fragment may have
 * personal data. Undefined if it is no web address.
 */
function pageOf(address: string): string | undefined {
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) return undefined;
  const { host, pathname } = new URL(address);
  const page = `${host}${decodedPath(pathname)}`;
  return page.length <= MAX_PAGE ? page : page.slice(0, MAX_PAGE).replace(/[\ud800-\udbff]$/, '');
}

/** Returns the decoded path. A path that has control characters or is no UTF-8 is returned as it is. */
function decodedPath(path: string): string {
  try {
    const decoded = decodeURI(path);
    return PRINTABLE.test(decoded) ? decoded : path;
  } catch {
    return path;
  }
}
