import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';

// The cursors of `GET /events`, and the encryption of pages with the secret in them. The role of the author can read the table of the pages, but only
// who has a cursor can read a page.

/** Which page of which reading a client has stored last. */
export interface Cursor {
  /** 128 random bits that identify the reading. */
  readonly secret: string;
  readonly page: number;
  /** A random text of the page. */
  readonly check: string;
}

export const CURSOR_FORM = /^([\w-]{22})\.(\d{1,15})\.([\w-]{8})$/;

const ALGORITHM = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;

export const newSecret = (): string => randomBytes(16).toString('base64url');
export const newCheck = (): string => randomBytes(6).toString('base64url');
export const hashOf = (secret: string): Buffer => hash('sha256', secret, 'buffer');
export const formatCursor = ({ secret, page, check }: Cursor): string => `${secret}.${page}.${check}`;

/** Parses a text that has CURSOR_FORM. */
export function parseCursor(text: string): Cursor {
  const [, secret = '', page, check = ''] = CURSOR_FORM.exec(text) ?? [];
  return { secret, page: Number(page), check };
}

const keyOf = (secret: string): Uint8Array => new Uint8Array(hkdfSync('sha256', secret, '', 'clickledger page of events', 32));

/** Compresses and encrypts a page. */
export async function sealPage(secret: string, text: string): Promise<Buffer> {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(ALGORITHM, keyOf(secret), iv);
  const sealed = [cipher.update(await promisify(gzip)(text)), cipher.final()];
  return Buffer.concat([iv, cipher.getAuthTag(), ...sealed]);
}

/** Returns the text of a page. Throws if the page was changed. */
export async function openPage(secret: string, content: Buffer): Promise<string> {
  const decipher = createDecipheriv(ALGORITHM, keyOf(secret), content.subarray(0, IV_BYTES));
  decipher.setAuthTag(content.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  const opened = [decipher.update(content.subarray(IV_BYTES + TAG_BYTES)), decipher.final()];
  return (await promisify(gunzip)(Buffer.concat(opened))).toString();
}
