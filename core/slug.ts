import { hash } from 'node:crypto';
import { ClickledgerError } from './errors.ts';

// A slug names one link for one recipient: tag (2 characters) + sqids([check, link, recipient]).
//
//   tag    where its events live. A hash of the recipient without a key, so that anything that sees a URL can route it,
//          and all events of one recipient are on one shard. Of the link, where there is no recipient (a shared link).
//   check  40 bits of a keyed hash over (link, recipient): who lacks the key makes a valid slug once in 10^12 tries.
//
// Sqids (https://sqids.org) is a positional system whose alphabet is reshuffled before each number. Its alphabets depend on
// nothing but the first character, so all 62 × 3 of them are laid out once, and neither way shuffles anything per slug.
// That makes both ways about twenty times as fast as the sqids package, which is the model in the test.

/** A verified or about-to-be-encoded slug: link id from 1, recipient id from 1 or 0 for a shared link. */
export interface SlugIds {
  link: number;
  recipient: number;
}

export type SlugCheck = { ok: true; ids: SlugIds } | { ok: false };

/** One signing key and the fingerprint under which the catalog lists it. */
export interface SlugKey {
  readonly bytes: Uint8Array;
  readonly fingerprint: string;
}

export const TAG_ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SQIDS_ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const BASE = 62;
const MIN_SQID_LENGTH = 15;
const MAX_SLUG_LENGTH = 40;

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
  const { numbers } = ALPHABETS[offset] as (typeof ALPHABETS)[number];
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
    if (values.length === 3) return paddingIsClean(id, i + 1) ? (values as [number, number, number]) : undefined;
    alphabet = numbers[values.length] as Alphabet;
    values.push(0);
    digits = 0;
  }
  return values.length === 3 && digits > 0 ? (values as [number, number, number]) : undefined;
}

/** What follows the third number must at least be of the alphabet: it is never longer than needed to fill up. */
function paddingIsClean(id: string, from: number): boolean {
  if (id.length > MIN_SQID_LENGTH) return false;
  for (let i = from; i < id.length; i++) if ((OFFSET_OF[id.charCodeAt(i)] ?? -1) < 0) return false;
  return true;
}

/** 32 bits of an id, well mixed (the finaliser of MurmurHash3 over both halves). */
function mix(id: number): number {
  let h = (id >>> 0) ^ Math.imul(Math.floor(id / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The first two characters of every slug of these ids. */
export function tagOf({ link, recipient }: SlugIds): string {
  const h = mix(recipient === 0 ? link : recipient) % (BASE * BASE);
  return TAG_ALPHABET.charAt(Math.floor(h / BASE)) + TAG_ALPHABET.charAt(h % BASE);
}

/** Parses `SLUG_KEYS`: comma-separated, each 64 hex digits (32 bytes). The first signs, all verify. */
export function parseSlugKeys(text: string): SlugKey[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.some((part) => !/^[0-9a-f]{64}$/i.test(part))) {
    throw new ClickledgerError('bad-settings', 'SLUG_KEYS must be one or more keys of 64 hex digits, separated by commas');
  }
  return parts.map((part) => {
    const bytes = Buffer.from(part, 'hex');
    return { bytes, fingerprint: hash('sha256', Buffer.concat([Buffer.from('clickledger-key-fingerprint'), bytes]), 'hex').slice(0, 16) };
  });
}

/**
 * 40 bits of SHA-256 over key ‖ link ‖ recipient. The message has one fixed length and the digest is cut, so extending
 * a known digest yields nothing, and the one-shot hash is ten times as fast as an HMAC object.
 */
function checkOf(key: SlugKey, ids: SlugIds, message: Buffer): number {
  message.set(key.bytes, 0);
  message.writeBigUInt64BE(BigInt(ids.link), 32);
  message.writeBigUInt64BE(BigInt(ids.recipient), 40);
  return hash('sha256', message, 'buffer').readUIntBE(0, 5);
}

export interface SlugCodec {
  /** The URL-safe slug of a link (id ≥ 1) for a recipient (id ≥ 1, or 0: a shared link). */
  encode(ids: SlugIds): string;
  /** The ids, if any of the keys signed them. Never throws, whatever the text. */
  verify(slug: string): SlugCheck;
  /** The ids without asking a key: for hits that a backend has already verified. */
  read(slug: string): SlugIds | undefined;
}

/** Builds the codec; `keys[0]` signs. */
export function createSlugCodec(keys: readonly SlugKey[]): SlugCodec {
  const signing = keys[0];
  if (!signing) throw new ClickledgerError('bad-settings', 'SLUG_KEYS has no key');
  const message = Buffer.alloc(48);

  function parse(slug: string): { check: number; ids: SlugIds } | undefined {
    if (slug.length > MAX_SLUG_LENGTH || slug.length < 5) return undefined;
    const numbers = decodeSqid(slug.slice(2));
    if (!numbers) return undefined;
    const [check, link, recipient] = numbers;
    const ids = { link, recipient };
    return link > 0 && slug.startsWith(tagOf(ids)) ? { check, ids } : undefined;
  }

  return {
    encode(ids) {
      if (!Number.isSafeInteger(ids.link) || ids.link < 1 || !Number.isSafeInteger(ids.recipient) || ids.recipient < 0) {
        throw new ClickledgerError('bad-input', 'link and recipient ids are whole numbers, from 1 and from 0');
      }
      return tagOf(ids) + encodeSqid([checkOf(signing, ids, message), ids.link, ids.recipient]);
    },
    verify(slug) {
      const parsed = parse(slug);
      if (!parsed) return { ok: false };
      const signed = keys.some((key) => checkOf(key, parsed.ids, message) === parsed.check);
      return signed ? { ok: true, ids: parsed.ids } : { ok: false };
    },
    read(slug) {
      return parse(slug)?.ids;
    },
  };
}

/** A name an author gave to a link: always with `-` or `_`, which no slug has. */
export function isAlias(name: string): boolean {
  return name.length <= 64 && /^[0-9A-Za-z][0-9A-Za-z_-]*$/.test(name) && /[-_]/.test(name);
}
