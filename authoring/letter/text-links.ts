import type { FoundLink } from './html-links.ts';
import { endOfTagAt } from './merge-tags.ts';

// Finds the links of a plain-text letter. Punctuation at the end of a URL belongs to the sentence. A closing bracket belongs to the URL
// only if its opening bracket is in the URL.

const URL_START = /(?<![A-Za-z0-9])https?:\/\//gi;
/** A character that is never part of a URL. */
const URL_STOP =
  /[\s<>"`\u0000-\u001f\u007f\u00a0\u2000-\u200f\u2028-\u202f\u205f\u3000「」『』【】《》〈〉〔〕“”„«»‹›。、，；：！？（）［］｛｝｡､｢｣]/u;
const TRAILING_PUNCTUATION = ".,;:!?'’‘*_~|\\…";
const OPENING_OF: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };
/** A run of `*`, `_` or `~` directly before a URL. In Markdown this begins emphasis, which ends with the same run. */
const EMPHASIS = /[*_~]{1,3}$/;

/** The context of a link has at most this many characters on each side. */
const MAX_CONTEXT = 400;
/** The context ends at another link and at a separator, because the text after it belongs to the other link. */
const CONTEXT_END = /https?:\/\/\S*|[|•]|(?<!\p{L})·|·(?!\p{L})/iu;

/** Returns the links of a plain-text letter, in the order of the letter. */
export function scanText(text: string): FoundLink[] {
  const links: FoundLink[] = [];
  for (let found = nextLink(text, 0); found; found = nextLink(text, found.to)) links.push(found);
  return links;
}

function nextLink(text: string, after: number): FoundLink | undefined {
  URL_START.lastIndex = after;
  const start = URL_START.exec(text);
  if (!start) return undefined;
  const from = start.index;
  const to = endOfUrl(text, from);
  return { from, to, address: text.slice(from, to), words: '', context: contextOf(text, from, to), noTrack: false, label: 'text' };
}

function endOfUrl(text: string, from: number): number {
  const emphasis = EMPHASIS.exec(text.slice(Math.max(0, from - 3), from))?.[0];
  let to = from;
  /** The end of the last merge tag. */
  let tagTo = from;
  const open: string[] = [];
  while (to < text.length) {
    const tagEnd = endOfTagAt(text, to);
    if (tagEnd !== undefined) {
      to = tagTo = tagEnd;
      continue;
    }
    const character = text.charAt(to);
    const opening = OPENING_OF[character];
    if (URL_STOP.test(character) || (opening !== undefined && open.at(-1) !== opening)) break;
    if (emphasis !== undefined && closesEmphasis(text, to, emphasis)) break;
    if (opening !== undefined) open.pop();
    else if ('([{'.includes(character)) open.push(character);
    to++;
  }
  // An opening bracket at the end belongs to the sentence, as in "https://a.example/(". `|*` at the end stays, because it may be the end of
  // a merge tag.
  while (to > tagTo && `${TRAILING_PUNCTUATION}([{`.includes(text.charAt(to - 1)) && !text.startsWith('|*', to - 2)) to--;
  return to;
}

/** Returns true if emphasis ends at a position, as in "**https://a.example/**—now". In "https://a.example/a_/b", emphasis does not end. */
function closesEmphasis(text: string, at: number, emphasis: string): boolean {
  const after = text.charAt(at + emphasis.length);
  return text.startsWith(emphasis, at) && (after === '' || URL_STOP.test(after) || /[–—]/.test(after));
}

/**
 * Returns the text around a link. This is the line of the link, up to the next link or separator on each side. If the line has no other
 * text, the context is the line before it, unless the line before has a link.
 */
function contextOf(text: string, from: number, to: number): string {
  const back = text.slice(Math.max(0, from - MAX_CONTEXT), from);
  const before = back.split('\n').at(-1)?.split(CONTEXT_END).at(-1) ?? '';
  const after =
    text
      .slice(to, to + MAX_CONTEXT)
      .split('\n', 1)[0]
      ?.split(CONTEXT_END, 1)[0] ?? '';
  const line = back.split('\n').at(-1) ?? '';
  if (/\p{L}/u.test(line + after)) return `${before} ${after}`.trim();
  const above =
    back
      .slice(0, back.length - line.length)
      .trimEnd()
      .split('\n')
      .at(-1)
      ?.trim() ?? '';
  return /https?:\/\//i.test(above) ? '' : above;
}
