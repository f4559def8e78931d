/**
 * Returns `text` if it is a path on this host that may be the target of a redirect, or else `/`. A browser reads `//host` and `/\host` as
 * another host, and removes tabs and line breaks before it reads a URL.
 */
export function localPath(text: string | null | undefined): string {
  return text != null && text.length <= 2000 && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text) ? text : '/';
}
