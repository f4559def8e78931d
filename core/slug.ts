import { hash } from 'node:crypto';
import { ClickledgerError } from './errors.ts';
import { decodeSqid, encodeSqid } from './sqids.ts';

// A slug names one link for one recipient: tag (2 characters) + sqids([check, link, recipient]).
//
//   tag    where its events live. A hash of the recipient without a key, so that anything that sees a URL can route it,
//          and all events of one recipient are on one shard. Of the link, where there is no recipient (a shared link).
//   check  40 bits of a keyed hash over (link, recipient): who lacks the key makes a valid slug once in 10^12 tries.

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
const TAG_BASE = 62;
const MAX_SLUG_LENGTH = 40;

/** 32 bits of an id, well mixed (the finaliser of MurmurHash3 over both halves). */
function mix(id: number): number {
  let h = (id >>> 0) ^ Math.imul(Math.floor(id / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The first two characters of every slug of these ids. */
export function tagOf({ link, recipient }: SlugIds): string {
  const h = mix(recipient === 0 ? link : recipient) % (TAG_BASE * TAG_BASE);
  return TAG_ALPHABET.charAt(Math.floor(h / TAG_BASE)) + TAG_ALPHABET.charAt(h % TAG_BASE);
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
