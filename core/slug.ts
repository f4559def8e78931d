import { hash } from 'node:crypto';
import { ClickledgerError } from './errors.ts';
import { decodeSqid, encodeSqid } from './sqids.ts';

// A slug identifies one link and one recipient: tag (2 characters) + sqids([check, link, recipient]).
//
// tag:   decides which shard stores the events. It is a hash of the recipient, so all events of one recipient are on one shard. The hash has
//        no key, so every program that sees a URL can route it. A shared link has no recipient; its tag is a hash of the link.
// check: 40 bits of a keyed hash of (link, recipient). Without the key, one in 10^12 guesses is a valid slug.

/** The ids in a slug. `link` is at least 1. `recipient` is at least 1, or 0 for a shared link. */
export interface SlugIds {
  link: number;
  recipient: number;
}

/** The result of a verification. */
export type SlugCheck = { ok: true; ids: SlugIds } | { ok: false };

/** A signing key and its fingerprint. The catalog lists keys by their fingerprints. */
export interface SlugKey {
  readonly bytes: Uint8Array;
  readonly fingerprint: string;
}

export const TAG_ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const TAG_BASE = 62;
const MAX_SLUG_LENGTH = 40;
/** The characters and lengths that the agent accepts as a slug. Changing it would change what old log lines mean. */
export const SLUG = /^[0-9A-Za-z]{5,40}$/;

/** A 32-bit hash of an id: the finaliser of MurmurHash3 over both halves of the number. */
function mix(id: number): number {
  let h = (id >>> 0) ^ Math.imul(Math.floor(id / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The tag: the first two characters of a slug with these ids. */
export function tagOf({ link, recipient }: SlugIds): string {
  const h = mix(recipient === 0 ? link : recipient) % (TAG_BASE * TAG_BASE);
  return TAG_ALPHABET.charAt(Math.floor(h / TAG_BASE)) + TAG_ALPHABET.charAt(h % TAG_BASE);
}

/**
 * Parses `SLUG_KEYS`: keys of 64 hex digits (32 bytes), separated by commas. The first key signs slugs; all keys verify them. Throws
 * `bad-settings`.
 */
export function parseSlugKeys(text: string): SlugKey[] {
  const entries = text.split(',').map((entry) => entry.trim());
  if (entries.some((entry) => !/^[0-9a-f]{64}$/i.test(entry))) {
    throw new ClickledgerError('bad-settings', 'SLUG_KEYS must be one or more keys of 64 hex digits, separated by commas');
  }
  return entries.map((entry) => {
    const bytes = Buffer.from(entry, 'hex');
    return { bytes, fingerprint: hash('sha256', Buffer.concat([Buffer.from('clickledger-key-fingerprint'), bytes]), 'hex').slice(0, 16) };
  });
}

/**
 * The first 40 bits of SHA-256(key ‖ link ‖ recipient). `message` is a scratch buffer of 48 bytes. Length extension attacks do not work,
 * because the message has a fixed length and the digest is truncated. So no HMAC is needed: the one-shot hash is ten times as fast as an
 * HMAC object.
 */
function checkOf(key: SlugKey, ids: SlugIds, message: Buffer): number {
  message.set(key.bytes, 0);
  writeUInt64(message, ids.link, 32);
  writeUInt64(message, ids.recipient, 40);
  // In Node, returning a digest as hex text is twice as fast as returning it in a buffer.
  return Number.parseInt(hash('sha256', message, 'hex').slice(0, 10), 16);
}

/** Writes a safe integer as 64 bits, in a third of the time that a BigInt takes. */
function writeUInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value >>> 0, at + 4);
}

export interface SlugCodec {
  /**
   * The slug of a link and a recipient, or of a shared link (recipient 0). It needs no escaping in a URL. Throws `bad-input` for other ids.
   */
  encode(ids: SlugIds): string;
  /** Returns the ids if one of the keys signed them. Accepts any text and never throws. */
  verify(slug: string): SlugCheck;
  /**
   * Returns the ids without verifying the signature, for hits whose slug a backend has already verified. Undefined if the text is not a
   * slug.
   */
  decode(slug: string): SlugIds | undefined;
}

/** Creates a codec. `keys[0]` signs; all keys verify. Throws `bad-settings` if there is no key. */
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
        throw new ClickledgerError('bad-input', 'a link id must be a whole number from 1, a recipient id a whole number from 0');
      }
      return tagOf(ids) + encodeSqid([checkOf(signing, ids, message), ids.link, ids.recipient]);
    },
    verify(slug) {
      const parsed = parse(slug);
      if (!parsed) return { ok: false };
      const signed = keys.some((key) => checkOf(key, parsed.ids, message) === parsed.check);
      return signed ? { ok: true, ids: parsed.ids } : { ok: false };
    },
    decode(slug) {
      return parse(slug)?.ids;
    },
  };
}

/** Whether a name is an alias: a name that an author gave to a link. An alias contains `-` or `_`; a slug contains neither. */
export function isAlias(name: string): boolean {
  return name.length <= 64 && /^[0-9A-Za-z][0-9A-Za-z_-]*$/.test(name) && /[-_]/.test(name);
}
