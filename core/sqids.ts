import { ClickledgerError } from './errors.ts';

// Sqids (https://sqids.org) is a positional system whose alphabet is reshuffled before each number. Its alphabets depend on
// nothing but the first character, so all 62 × 3 of them are laid out once, and neither way shuffles anything per slug.
// That makes both ways about twenty times as fast as the sqids package, which is the model in the test.

const SQIDS_ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const BASE = 62;
const MIN_SQID_LENGTH = 15;

// At least four letters each (Sqids matches shorter words only as a whole). Short on purpose: each word costs time in every encoding. A slug that was sent is never looked up here again, so the list may change.
const BLOCKED_WORDS = [
  'anal',
  'anus',
  'arse',
  'bitch',
  'cock',
  'cunt',
  'dick',
  'fuck',
  'hitler',
  'jizz',
  'kike',
  'nazi',
  'nigga',
  'nigger',
  'penis',
  'piss',
  'porn',
  'puta',
  'rape',
  'shit',
  'slut',
  'tits',
  'twat',
  'whore',
];
const BLOCKED = new RegExp(BLOCKED_WORDS.join('|'), 'i');

interface Alphabet {
  readonly separator: string;
  /** The 61 characters that stand for digits, and the digit of each character code (-1: none). */
  readonly digits: string;
  readonly valueOf: Int8Array;
}

/** The deterministic shuffle of the Sqids specification. */
function shuffle(alphabet: string): string {
  const chars = alphabet.split('');
  for (let i = 0, j = chars.length - 1; j > 0; i++, j--) {
    const r = (i * j + alphabetCode(chars, i) + alphabetCode(chars, j)) % chars.length;
    [chars[i], chars[r]] = [chars[r] as string, chars[i] as string];
  }
  return chars.join('');
}

function alphabetCode(chars: string[], index: number): number {
  return (chars[index] as string).charCodeAt(0);
}

function layOut(alphabet: string): Alphabet {
  const digits = alphabet.slice(1);
  const valueOf = new Int8Array(128).fill(-1);
  for (let i = 0; i < digits.length; i++) valueOf[digits.charCodeAt(i)] = i;
  return { separator: alphabet.charAt(0), digits, valueOf };
}

const SHUFFLED = shuffle(SQIDS_ALPHABET);
/** By offset: the alphabets of the three numbers, and that of the padding, of which only the order matters. */
const ALPHABETS = Array.from({ length: BASE }, (_, offset) => {
  const chain = [(SHUFFLED.slice(offset) + SHUFFLED.slice(0, offset)).split('').reverse().join('')];
  for (let i = 0; i < 3; i++) chain.push(shuffle(chain[i] as string));
  return { numbers: chain.slice(0, 3).map(layOut), padding: chain[3] as string };
});
const OFFSET_OF = new Int8Array(128).fill(-1);
for (let i = 0; i < BASE; i++) OFFSET_OF[SHUFFLED.charCodeAt(i)] = i;

function toDigits(value: number, digits: string): string {
  let text = '';
  let rest = value;
  do {
    text = digits.charAt(rest % 61) + text;
    rest = Math.floor(rest / 61);
  } while (rest > 0);
  return text;
}

/** What `new Sqids({ minLength: 15, blocklist }).encode(numbers)` gives for exactly three numbers. */
export function encodeSqid(numbers: readonly [number, number, number], blocked: RegExp = BLOCKED): string {
  let start = 3;
  for (let i = 0; i < 3; i++) start += SHUFFLED.charCodeAt((numbers[i] as number) % BASE) + i;
  for (let increment = 0; increment <= BASE; increment++) {
    const offset = (start + increment) % BASE;
    const { numbers: alphabets, padding } = ALPHABETS[offset] as (typeof ALPHABETS)[number];
    const [first, second, third] = alphabets as [Alphabet, Alphabet, Alphabet];
    let id = SHUFFLED.charAt(offset) + toDigits(numbers[0], first.digits) + first.separator;
    id += toDigits(numbers[1], second.digits) + second.separator + toDigits(numbers[2], third.digits);
    if (id.length < MIN_SQID_LENGTH) {
      id += third.separator;
      id += padding.slice(0, MIN_SQID_LENGTH - id.length);
    }
    if (!blocked.test(id)) return id;
  }
  throw new ClickledgerError('bad-input', 'no encoding of these ids avoids the blocked words');
}

/** Three safe integers, or undefined. Several spellings decode to the same numbers, so callers verify the numbers, never the spelling. */
export function decodeSqid(id: string): [number, number, number] | undefined {
  const offset = OFFSET_OF[id.charCodeAt(0)] ?? -1;
  if (offset < 0) return undefined;
  const { numbers, padding } = ALPHABETS[offset] as (typeof ALPHABETS)[number];
  const values: number[] = [0];
  let alphabet = numbers[0] as Alphabet;
  let digits = 0;
  for (let i = 1; i < id.length; i++) {
    const code = id.charCodeAt(i);
    const digit = alphabet.valueOf[code] ?? -1;
    if (digit >= 0) {
      const value = (values[values.length - 1] as number) * 61 + digit;
      if (value > Number.MAX_SAFE_INTEGER) return undefined;
      values[values.length - 1] = value;
      digits++;
      continue;
    }
    if (id.charAt(i) !== alphabet.separator || digits === 0) return undefined;
    if (values.length === 3) return isPadding(id.slice(i + 1), padding) ? (values as [number, number, number]) : undefined;
    alphabet = numbers[values.length] as Alphabet;
    values.push(0);
    digits = 0;
  }
  return values.length === 3 && digits > 0 ? (values as [number, number, number]) : undefined;
}

/** Padding is empty or begins with the separator of a fourth number, which says that there is none. */
function isPadding(text: string, padding: string): boolean {
  return text === '' || text.startsWith(padding.charAt(0));
}
