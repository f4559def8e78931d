import type { FoundLink } from './html-links.ts';

// Addresses in plain text end where a reader would say they end: punctuation after them belongs to the sentence, and a closing
// bracket belongs to the address only if it was opened there.

const START = /(?<![A-Za-z0-9])https?:\/\//gi;
/** Never part of an address. */
const STOP =
  /[\s<>"\u0000-\u001f\u007f\u00a0\u2000-\u200f\u2028-\u202f\u205f\u3000「」『』【】《》〈〉〔〕“”„«»‹›。、，；：！？（）［］｛｝｡､｢｣]/u;
const TRAILING = ".,;:!?'’‘*_~|\\…";
const CLOSING: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };
/** Merge tags may have anything in them; such links are kept, but as a whole. */
const TAG = /\{\{[^{}]*\}\}|\*\|[^|]*\|\*|\[\[[^[\]]*\]\]|\$\{[^{}]*\}|\{%.{0,200}?%\}|<%.{0,200}?%>|%%=.{0,200}?=%%|%%[^%\s]+%%/y;

/** So much of the letter is looked at on each side of a link; what stands beyond another link or a bar belongs to that. */
const MAX_CONTEXT = 400;
const OTHER = /https?:\/\/\S*|[|•·]/i;

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
  const open: string[] = [];
  while (to < text.length) {
    TAG.lastIndex = to;
    if (TAG.test(text)) {
      to = TAG.lastIndex;
      continue;
    }
    const character = text.charAt(to);
    const opening = CLOSING[character];
    if (STOP.test(character) || (opening !== undefined && open.at(-1) !== opening)) break;
    if (opening !== undefined) open.pop();
    else if ('([{'.includes(character)) open.push(character);
    to++;
  }
  // What is left open was opened by the sentence: "https://a.example/(". A merge tag may end in a bar and a star.
  while (`${TRAILING}([{`.includes(text.charAt(to - 1)) && !text.startsWith('|*', to - 2)) to--;
  return to;
}

/** Its line, as far as no other link is nearer; where it stands alone there, the line before, if that has no link of its own. */
function contextOf(text: string, from: number, to: number): string {
  const back = text.slice(Math.max(0, from - MAX_CONTEXT), from);
  const before = back.split('\n').at(-1)?.split(OTHER).at(-1) ?? '';
  const after =
    text
      .slice(to, to + MAX_CONTEXT)
      .split('\n', 1)[0]
      ?.split(OTHER, 1)[0] ?? '';
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
