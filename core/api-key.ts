import { createHash, randomBytes } from 'node:crypto';

// The keys of the HTTP API: `ck_<public id>_<secret>`. The prefix and the fixed length let programs that search for secrets find them. The
// catalog stores only the id and a hash.

export const KEY_ROLES = ['author', 'analyst'] as const;
/** What a key may do. The desk works with the database role of the same name. */
export type KeyRole = (typeof KEY_ROLES)[number];

const KEY = /^ck_([0-9a-f]{12})_[\w-]{43}$/;

/** Creates a new key. */
export function createApiKey(): { id: string; key: string; hash: Buffer } {
  const id = randomBytes(6).toString('hex');
  const key = `ck_${id}_${randomBytes(32).toString('base64url')}`;
  return { id, key, hash: hashOf(key) };
}

/** Returns the id and the hash of a key. Returns undefined if the text has not the form of a key. */
export function parseApiKey(text: string): { id: string; hash: Buffer } | undefined {
  const [, id] = KEY.exec(text) ?? [];
  return id === undefined ? undefined : { id, hash: hashOf(text) };
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();
