// Splits HTML into tags, text and comments at the same positions as a browser (WHATWG HTML, 13.2.5 Tokenization). Browsers parse some
// elements differently inside <svg> and <math>. This is not supported, because letters do not need it.

/** One attribute of a start tag. `from` to `to` is the position of its value, without the quotes. */
export interface Attribute {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly quote: '"' | "'" | '';
}

/** Positions are counted in UTF-16 code units of the letter. `to` is the first position after the token. Names are in lower case. */
export type Token =
  | { readonly kind: 'text' | 'raw'; readonly from: number; readonly to: number }
  | { readonly kind: 'start'; readonly from: number; readonly to: number; readonly name: string; readonly attributes: readonly Attribute[] }
  | { readonly kind: 'end'; readonly from: number; readonly to: number; readonly name: string }
  | { readonly kind: 'comment'; readonly from: number; readonly to: number; readonly bodyFrom: number; readonly bodyTo: number }
  /** A declaration, a processing instruction or other markup that clients skip. */
  | { readonly kind: 'bogus'; readonly from: number; readonly to: number }
  /** A tag or comment without an end. Clients show nothing after its beginning. */
  | { readonly kind: 'unclosed'; readonly from: number; readonly to: number };

/** Elements whose content is text and never markup. Mail clients do not run scripts, so <noscript> is not one of these elements. */
const RAW_TEXT_ELEMENTS = new Set(['style', 'script', 'title', 'textarea', 'xmp', 'iframe', 'noembed', 'noframes', 'plaintext']);

/** Returns true if the content of an element is raw text up to its end tag. */
export function isRaw(name: string): boolean {
  return RAW_TEXT_ELEMENTS.has(name);
}

const SPACE = /[\t\n\f\r ]/;
const LETTER = /[A-Za-z]/;

/** Yields the tokens of `letter` from position `start` to position `limit`, in order and without gaps. */
export function* tokenize(letter: string, start = 0, limit = letter.length): Generator<Token> {
  // The text is cut at `limit`, so that no search reads beyond it. Otherwise each search without a result would read the rest of the
  // letter, and the total time would be quadratic.
  const html = letter.slice(0, limit);
  let at = start;
  let textFrom = start;
  const text = function* (to: number): Generator<Token> {
    if (to > textFrom) yield { kind: 'text', from: textFrom, to };
  };
  while (at < limit) {
    const open = html.indexOf('<', at);
    if (open < 0) break;
    const token = readMarkup(html, open);
    if (!token) {
      at = open + 1;
      continue;
    }
    yield* text(open);
    yield token;
    at = token.to;
    if (token.kind === 'start' && RAW_TEXT_ELEMENTS.has(token.name)) {
      const end = endOfRaw(html, token.name, at);
      if (end > at) yield { kind: 'raw', from: at, to: end };
      at = end;
    }
    textFrom = at;
  }
  yield* text(limit);
}

/** Reads the token that begins with the `<` at `from`. Returns undefined if this `<` is text. */
function readMarkup(html: string, from: number): Token | undefined {
  const next = html.charAt(from + 1);
  if (LETTER.test(next)) return readTag(html, 'start', from, from + 1);
  if (next === '/') {
    if (from + 2 === html.length) return undefined;
    return LETTER.test(html.charAt(from + 2)) ? readTag(html, 'end', from, from + 2) : readBogus(html, from);
  }
  if (html.startsWith('<!--', from)) return readComment(html, from);
  return next === '!' || next === '?' ? readBogus(html, from) : undefined;
}

/** Changes only ASCII letters to lower case. String.toLowerCase would also change other characters, e.g. the Kelvin sign to k. */
function lower(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function readBogus(html: string, from: number): Token {
  const end = html.indexOf('>', from);
  return end < 0 ? { kind: 'unclosed', from, to: html.length } : { kind: 'bogus', from, to: end + 1 };
}

function readComment(html: string, from: number): Token {
  const bodyFrom = from + 4;
  const short = /-{0,1}>/y;
  short.lastIndex = bodyFrom;
  if (short.test(html)) return { kind: 'comment', from, to: short.lastIndex, bodyFrom, bodyTo: bodyFrom };
  const close = /--!?>/g;
  close.lastIndex = bodyFrom;
  const found = close.exec(html);
  if (!found) return { kind: 'unclosed', from, to: html.length };
  return { kind: 'comment', from, to: close.lastIndex, bodyFrom, bodyTo: found.index };
}

function readTag(html: string, kind: 'start' | 'end', from: number, nameFrom: number): Token {
  const unclosed: Token = { kind: 'unclosed', from, to: html.length };
  const skip = (position: number, condition: (character: string) => boolean): number => {
    let at = position;
    while (at < html.length && condition(html.charAt(at))) at++;
    return at;
  };
  const isSpace = (character: string) => SPACE.test(character);
  let at = skip(nameFrom, (character) => !isSpace(character) && character !== '/' && character !== '>');
  const name = lower(html.slice(nameFrom, at));
  const attributes: Attribute[] = [];
  for (;;) {
    at = skip(at, (character) => isSpace(character) || character === '/');
    if (at === html.length) return unclosed;
    if (html.charAt(at) === '>') return kind === 'start' ? { kind, from, to: at + 1, name, attributes } : { kind, from, to: at + 1, name };
    // A `=` may be the first character of a name, but a later `=` ends the name.
    const nameTo = skip(at + 1, (character) => !isSpace(character) && character !== '/' && character !== '>' && character !== '=');
    const attribute = lower(html.slice(at, nameTo));
    at = skip(nameTo, isSpace);
    if (html.charAt(at) !== '=') {
      attributes.push({ name: attribute, from: nameTo, to: nameTo, quote: '' });
      continue;
    }
    at = skip(at + 1, isSpace);
    if (at === html.length) return unclosed;
    const first = html.charAt(at);
    if (first === '"' || first === "'") {
      const close = html.indexOf(first, at + 1);
      if (close < 0) return unclosed;
      attributes.push({ name: attribute, from: at + 1, to: close, quote: first });
      at = close + 1;
    } else {
      const end = skip(at, (character) => !isSpace(character) && character !== '>');
      attributes.push({ name: attribute, from: at, to: end, quote: '' });
      at = end;
    }
  }
}

/** Returns the position of the end tag that ends the raw text of an element, or the end of the letter. */
function endOfRaw(html: string, name: string, from: number): number {
  if (name === 'plaintext') return html.length;
  if (name === 'script') return endOfScript(html, from);
  const close = new RegExp(`</${name}(?=[\\t\\n\\f\\r />])`, 'gi');
  close.lastIndex = from;
  return close.exec(html)?.index ?? html.length;
}

// In a script, `<script>` after `<!--` begins a nested state, in which `</script>` does not end the element. The HTML standard calls these
// states "escaped" (depth 1) and "double escaped" (depth 2).
function endOfScript(html: string, from: number): number {
  const marks = /<!--|-->|<(\/?)script(?=[\t\n\f\r />])/gi;
  marks.lastIndex = from;
  let depth = 0;
  for (let found = marks.exec(html); found; found = marks.exec(html)) {
    if (found[0] === '<!--') {
      if (depth === 0) depth = 1;
      // The two dashes may also belong to the end `-->`, as in <!-->. The search continues at these dashes.
      marks.lastIndex -= 2;
    } else if (found[0] === '-->') depth = 0;
    else if (found[1] === '' && depth === 1) depth = 2;
    else if (found[1] === '/') {
      if (depth < 2) return found.index;
      depth = 1;
    }
  }
  return html.length;
}
