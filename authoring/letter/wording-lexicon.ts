import { EVERYWHERE, LANGUAGES, ROLES, type Role } from './wording-data.ts';

// Finds the roles of the words of a text, by language. All entries of wording-data.ts are in one tree of characters, so the time for a text
// grows with its length and does not depend on the number of languages.

/** The result of reading a text as if its words were words of one language. */
export interface Reading {
  readonly language: string;
  /** The roles that occur in the text. */
  readonly roles: ReadonlySet<Role>;
  /** The number of words that have no role. In scripts without spaces, characters in a row count as one word. */
  readonly unknown: number;
  /** The number of words with a role. */
  readonly known: number;
}

interface Meaning {
  readonly language: number;
  readonly role: Role;
  /** True if the last word may continue, as in `cancel*`. */
  readonly open: boolean;
  /** True if the entry belongs to the language and not to `EVERYWHERE`. */
  readonly own: boolean;
}

class Node {
  next: Map<string, Node> | undefined;
  meanings: Meaning[] | undefined;
  /**
   * `rest` is the tree after a `*` inside an entry, where the rest of the word is skipped. `gap` is the tree after a `_`, where up to
   * `MAX_GAP` words are skipped.
   */
  rest: Node | undefined;
  gap: Node | undefined;
}

const NAMES = Object.keys(LANGUAGES);
/** The roles that can show a purpose. If a text has none of these roles, it is not read further. */
const EVIDENCE: ReadonlySet<Role> = new Set<Role>(
  ROLES.filter((role) => !['letter', 'offer', 'get', 'point', 'article', 'filler'].includes(role)),
);
/**
 * The roles of a text that only points. `browser` is one of them, because in "See it online" only the sentence can tell that "it" is the
 * letter.
 */
const POINTERS: ReadonlySet<Role> = new Set<Role>(['point', 'browser']);
const MAX_GAP = 3;
/** An entry for a whole word is preferred to an entry for a part of a compound only if it has more than this many additional characters. */
const COMPOUND = 6;

/** All entries. */
interface Lexicon {
  /** The tree of the entries that begin at the beginning of a word. */
  readonly words: Node;
  /** The tree of the entries such as `*word*`. */
  readonly insides: Node;
}

let built: Lexicon | undefined;
/** Building the trees takes a third of a second, so programs that read no letter do not build them. */
const lexicon = (): Lexicon => (built ??= buildLexicon());

/**
 * Replacements for letters that Unicode does not decompose, and for Arabic letters that writers use interchangeably. The last character is
 * removed, because it only makes a word look longer.
 */
const REPLACEMENTS = new Map(
  'ıi ßss łl øo đd æae œoe ħh ŧt ŋn ðd þth ŀl ςσ أا إا آا ٱا ىي یي ئي ؤو ةه کك ـ'.split(' ').map((pair) => [pair.charAt(0), pair.slice(1)]),
);
const REPLACED = new RegExp(`[${[...REPLACEMENTS.keys()].join('')}]`, 'gu');
/** The marks that are removed as accents. The marks of Hindi and Thai are not removed, because they are necessary in the spelling. */
const ACCENTS = /[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]/gu;
const NON_WORD = /[^\p{L}\p{M}\p{N}]+/gu;

/**
 * Returns a text in the form in which words are compared: lower case, without accents, invisible characters and punctuation, with one space
 * between words.
 */
export function normalise(text: string): string {
  return (
    text
      // NFKC would change these signs to letters.
      .replace(/[™®©℠]/gu, ' ')
      .normalize('NFKC')
      .replace(/\p{Cf}/gu, '')
      // "SafeUnsubscribe" becomes two words. "unsub_center", which occurs in addresses, becomes two words below.
      .replace(/(?<=\p{Ll})(?=\p{Lu})/gu, ' ')
      .toLowerCase()
      .replace(REPLACED, (letter) => REPLACEMENTS.get(letter) as string)
      .normalize('NFKD')
      .replace(ACCENTS, '')
      .normalize('NFC')
      .replace(REPLACED, (letter) => REPLACEMENTS.get(letter) as string)
      // "e-mail" becomes one word.
      .replace(/(?<![\p{L}\p{N}])(e|un|on)[-‐‑–](?=\p{L})/gu, '$1')
      .replace(NON_WORD, ' ')
      .trim()
  );
}

const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}ー]/u;
const unspaced = (character: string): boolean => character >= '\u0e00' && UNSPACED.test(character);

/** Returns true if a word can begin or end between these two positions. */
function isBoundary(text: string, at: number): boolean {
  const before = text.charAt(at - 1);
  const after = text.charAt(at);
  return before === '' || before === ' ' || after === '' || after === ' ' || unspaced(before) || unspaced(after);
}

const endOfWord = (text: string, from: number): number => {
  let end = from;
  while (end < text.length && text.charAt(end) !== ' ') end++;
  return end;
};

function buildLexicon(): Lexicon {
  const trees: Lexicon = { words: new Node(), insides: new Node() };
  /** The entries of EVERYWHERE are added for every language, but each is normalised only once. */
  const normalised = new Map<string, string>();
  const add = (entry: string, language: number, role: Role, own: boolean): void => {
    const inside = entry.startsWith('*');
    const open = entry.endsWith('*');
    const body = entry.replace(/^\*|\*$/g, '');
    let node = inside ? trees.insides : trees.words;
    for (const piece of body.split(/(\*| _ )/)) {
      if (piece === '*') node = node.rest ??= new Node();
      else if (piece === ' _ ') node = node.gap ??= new Node();
      else {
        const text = normalised.get(piece) ?? normaliseEntry(piece);
        normalised.set(piece, text);
        for (const character of text) node = childOf(node, character);
      }
    }
    (node.meanings ??= []).push({ language, role, open, own });
  };
  for (const role of ROLES) {
    const everywhere = listOf(EVERYWHERE[role]);
    for (const [language, name] of NAMES.entries()) {
      const own = LANGUAGES[name];
      const prefixes = ['', ...listOf(own?.prefixes)];
      for (const entry of listOf(own?.[role])) for (const prefix of prefixes) add(prefix + entry, language, role, true);
      for (const entry of everywhere) add(entry, language, role, false);
    }
  }
  return trees;
}

/** Works like `normalise`, but keeps a space at the beginning or the end, because this space is next to a `*`. */
const normaliseEntry = (piece: string): string =>
  `${/^\s/.test(piece) ? ' ' : ''}${normalise(piece)}${/\s$/.test(piece) && piece.trim() !== '' ? ' ' : ''}`;

/** Returns the node for the next character. Creates it if it does not exist. */
function childOf(node: Node, character: string): Node {
  const next = (node.next ??= new Map());
  const found = next.get(character);
  if (found) return found;
  const made = new Node();
  next.set(character, made);
  return made;
}

function listOf(entries = ''): string[] {
  return entries
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** The longest match of each language at a position. */
type Matches = Map<number, Match>;

interface Match {
  readonly end: number;
  readonly role: Role;
  /** The number of characters in the entry, without the text that `*` and `_` skip. */
  readonly spelled: number;
  readonly own: boolean;
}

function note(found: Matches, { language, role, own }: Meaning, end: number, spelled: number): void {
  const best = found.get(language);
  // The match that ends last wins. If two matches have the same end, such as `cancel*` and `cancellation`, the entry with more characters
  // wins. If an entry has two roles, the first role in `ROLES` wins.
  if (!best || end > best.end || (end === best.end && spelled > best.spelled)) found.set(language, { end, role, spelled, own });
}

/**
 * Follows the tree from the node `start`, with the text from the position `from`. `before` is the number of characters that were matched
 * before `start`.
 */
function walk(text: string, from: number, start: Node, found: Matches, before = 0): void {
  let node: Node | undefined = start;
  for (let at = from; node; at++) {
    const spelled = before + at - from;
    for (const meaning of node.meanings ?? []) {
      if (meaning.open) note(found, meaning, endOfWord(text, at), spelled);
      else if (isBoundary(text, at)) note(found, meaning, at, spelled);
    }
    if (node.rest) walk(text, endOfWord(text, at), node.rest, found, spelled);
    if (node.gap) skipWords(text, at, node.gap, found, spelled);
    node = at < text.length ? node.next?.get(text.charAt(at)) : undefined;
  }
}

function skipWords(text: string, from: number, node: Node, found: Matches, spelled: number): void {
  if (text.charAt(from) !== ' ') return;
  let at = from + 1;
  for (let skipped = 0; skipped <= MAX_GAP && at < text.length; skipped++) {
    walk(text, at, node, found, spelled);
    at = endOfWord(text, at) + 1;
  }
}

/** Returns the matches that begin in the word at `from`. An entry such as `*word*` may begin anywhere in this word. */
function matchesAt(text: string, from: number): Matches {
  const found: Matches = new Map();
  walk(text, from, lexicon().words, found);
  if (unspaced(text.charAt(from))) return found;
  const end = endOfWord(text, from);
  const inside: Matches = new Map();
  for (let at = from; at < end; at++) {
    const here: Matches = new Map();
    walk(text, at, lexicon().insides, here);
    for (const [language, match] of here) if (!EVIDENCE.has(inside.get(language)?.role ?? 'filler')) inside.set(language, match);
  }
  // A compound such as "Newsletterabmeldung" has the meaning of its part. A phrase that is longer than the compound is preferred.
  for (const [language, match] of inside) {
    const best = found.get(language);
    if (!best || (best.end <= end && best.spelled <= match.spelled + COMPOUND))
      found.set(language, { ...match, end: Math.max(end, match.end) });
  }
  return found;
}

/** Returns the matches at every position at which a word may begin. */
function allMatches(text: string): Matches[] {
  const at: Matches[] = [];
  for (let from = 0; from < text.length; from++) if (text.charAt(from) !== ' ' && isBoundary(text, from)) at[from] = matchesAt(text, from);
  return at;
}

/**
 * Returns the languages in which one of the roles occurs. A language other than English counts only if the text has a word of this language
 * that is not in `EVERYWHERE`.
 */
function languagesOf(at: readonly (Matches | undefined)[], roles: ReadonlySet<Role>): number[] {
  const withRole = new Set<number>();
  const withOwn = new Set([ENGLISH]);
  for (const matches of at)
    for (const [language, { role, own }] of matches ?? []) {
      if (roles.has(role)) withRole.add(language);
      if (own) withOwn.add(language);
    }
  return [...withRole].filter((language) => withOwn.has(language));
}

const ENGLISH = NAMES.indexOf('en');

/**
 * Reads a normalised text in every language in which the text has a role of `EVIDENCE`. `isSender` returns true for words of the sender's
 * name. These words count as known.
 */
export function readings(text: string, isSender: (word: string) => boolean = () => false): Reading[] {
  const at = allMatches(text);
  return languagesOf(at, EVIDENCE).map((language) => readIn(language, text, at, isSender));
}

/** Returns true if, in some language, a normalised text has only words that point, such as "click here". */
export function onlyPoints(text: string): boolean {
  if (text === '') return true;
  const at = allMatches(text);
  return languagesOf(at, POINTERS).some((language) => {
    const { roles, unknown } = readIn(language, text, at, () => false);
    return unknown === 0 && [...roles].every((role) => POINTERS.has(role) || role === 'filler');
  });
}

function readIn(language: number, text: string, matches: readonly (Matches | undefined)[], isSender: (word: string) => boolean): Reading {
  const roles = new Set<Role>();
  let unknown = 0;
  let known = 0;
  let wasUnknown = false;
  for (let from = 0; from < text.length; ) {
    if (text.charAt(from) === ' ') {
      from++;
      wasUnknown = false;
      continue;
    }
    const match = matches[from]?.get(language);
    if (match && match.end > from) {
      roles.add(match.role);
      known++;
      wasUnknown = false;
      from = match.end;
      continue;
    }
    const single = unspaced(text.charAt(from));
    const end = single ? from + 1 : endOfSpacedWord(text, from);
    if (isSender(text.slice(from, end))) known++;
    else if (!(single && wasUnknown)) unknown++;
    wasUnknown = single;
    from = end;
  }
  return { language: NAMES[language] as string, roles, unknown, known };
}

function endOfSpacedWord(text: string, from: number): number {
  let end = from + 1;
  while (end < text.length && !isBoundary(text, end)) end++;
  return end;
}
