import { MAX_TARGET_BYTES } from '../core/target.ts';

// Adds the query of a tracked URL to a destination, for campaigns with --pass-query. Senders and link wrappers add parameters to the URLs of a
// letter, e.g. utm_source or fbclid.

/**
 * The characters that a query must not contain without encoding: all except visible ASCII, and the ASCII characters that RFC 3986 excludes.
 */
const NOT_IN_QUERY = /[^\x21-\x7e]|["#<>\\^`{|}]|%(?![0-9A-Fa-f]{2})/g;

/**
 * Returns `target` with those parameters of `query` that `target` does not have yet. They are added before the fragment. Two
 * parameters are the same if their decoded names are equal. Nothing else in the target changes. `query` contains the bytes of the request, decoded as
 * Latin-1. Bytes that a query must not contain are percent-encoded. Returns the target unchanged if the result would be longer than
 * MAX_TARGET_BYTES.
 */
export function withQuery(target: string, query: string): string {
  if (query === '') return target;
  const fragmentAt = target.indexOf('#');
  const base = fragmentAt < 0 ? target : target.slice(0, fragmentAt);
  const queryAt = base.indexOf('?');
  const names = new Set(queryAt < 0 ? [] : parametersOf(base.slice(queryAt + 1)).keys());
  const added = query
    .replace(NOT_IN_QUERY, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
    .split('&')
    .filter((parameter) => parameter !== '' && !names.has(nameOf(parameter)));
  if (added.length === 0) return target;
  const separator = queryAt < 0 ? '?' : /[?&]$/.test(base) ? '' : '&';
  const result = base + separator + added.join('&') + target.slice(base.length);
  return Buffer.byteLength(result) > MAX_TARGET_BYTES ? target : result;
}

/** Returns the decoded name of a parameter. */
function nameOf(parameter: string): string {
  const [name = ''] = parametersOf(parameter).keys();
  return name;
}

/** Parses a query. The `&` is added because URLSearchParams drops a question mark at the start, but here it belongs to the first name. */
function parametersOf(query: string): URLSearchParams {
  return new URLSearchParams(`&${query}`);
}
