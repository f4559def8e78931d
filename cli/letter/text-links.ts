import type { FoundLink } from './html-links.ts';

// Addresses in plain text end where a reader would say they end: punctuation after them belongs to the sentence, and a closing
// bracket belongs to the address only if it was opened there.

const START = /(?<![\p{L}\p{N}])https?:\/\//giu;
/** Never part of an address. */
const STOP = /[\s<>"\u0000-\u001f\u007f\u00a0\u2000-\u200f\u2028-\u202f\u205f\u3000「」『』【】《》〈〉“”„«»‹›。、，；：！？（）]/u;
const TRAILING = /[.,;:!?'’‘*_~|\\…]$/u;
const CLOSING: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/** Finds the links of a plain-text letter in their order. */
export function scanText(text: string): FoundLink[] {
  const links: FoundLink[] = [];
  for (let found = next(text, 0); found; found = next(text, found.to)) links.push(found);
  return links;
}

function next(text: string, after: number): FoundLink | undefined {
  START.lastIndex = after;
  const start = START.exec(text);
  if (!start) return undefined;
  const from = start.index;
  const to = endOf(text, from);
  return { from, to, address: text.slice(from, to), words: '', context: contextOf(text, from, to), noTrack: false, label: 'text' };
}

function endOf(text: string, from: number): number {
  let to = from;
  while (to < text.length) {
    // Merge tags may have spaces in them; such links are kept, but as a whole.
    const tag = /\{\{[^{}]*\}\}|\*\|[^|]*\|\*|\[\[[^[\]]*\]\]|\$\{[^{}]*\}|%%[^%\s]+%%/y;
    tag.lastIndex = to;
    if (tag.test(text)) to = tag.lastIndex;
    else if (STOP.test(text.charAt(to))) break;
    else to++;
  }
  for (;;) {
    const address = text.slice(from, to);
    const last = address.slice(-1);
    const opening = CLOSING[last];
    const unopened = opening !== undefined && count(address, last) > count(address, opening);
    if (!unopened && (!TRAILING.test(address) || address.endsWith('|*'))) return to;
    to--;
  }
}

const count = (text: string, character: string): number => text.split(character).length - 1;

/** Its line; where it stands alone there, the line with words before it, too. */
function contextOf(text: string, from: number, to: number): string {
  const lineFrom = text.lastIndexOf('\n', from - 1) + 1;
  const lineEnd = text.indexOf('\n', to);
  const before = text.slice(lineFrom, from);
  const after = text.slice(to, lineEnd < 0 ? text.length : lineEnd);
  if (/\p{L}/u.test(before + after)) return `${before} ${after}`.trim();
  return text.slice(0, lineFrom).trimEnd().split('\n').at(-1)?.trim() ?? '';
}
