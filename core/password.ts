import { createHash, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { ClickledgerError } from './errors.ts';
import { createGate } from './gate.ts';

// Passwords of accounts. The stored text is `scrypt$N$r$p$salt$hash`, in which `hash` is the SHA-256 hash of the key that scrypt derives.
// The catalog compares the hash of the key that the desk sends. So the stored text alone is not enough to sign in.

/** Each computation needs 128 · N · r bytes (32 MiB) and takes some tenths of a second. */
const PARAMETERS = { N: 32_768, r: 8, p: 3 };
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const MIN_LENGTH = 12;
/** Longer input only costs time. */
const MAX_LENGTH = 1024;
/** More computations at a time would take the memory and all threads of libuv, which file systems and DNS use, too. */
const gate = createGate(2);

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);

/** Throws `bad-input` if a new password is too short or too long. */
export function checkNewPassword(password: string): void {
  const { length } = password.normalize('NFC');
  if (length < MIN_LENGTH || length > MAX_LENGTH)
    throw new ClickledgerError('bad-input', `a password must have ${MIN_LENGTH} to ${MAX_LENGTH} characters: choose another one`);
}

/** Returns the text that is stored for a new password. */
export async function hashPassword(password: string): Promise<string> {
  checkNewPassword(password);
  const parameters = newParameters();
  const key = await deriveKey(password, parameters);
  return `${parameters}$${createHash('sha256').update(key).digest('hex')}`;
}

/** Returns parameters with a new salt. Sign-in uses them for unknown names, too, so that these take the same time. */
export function newParameters(): string {
  const { N, r, p } = PARAMETERS;
  return `scrypt$${N}$${r}$${p}$${randomBytes(SALT_BYTES).toString('hex')}`;
}

/** Derives the key of a password. `parameters` is the stored text without its hash. At most two computations run at a time. */
export async function deriveKey(password: string, parameters: string): Promise<Buffer> {
  const [, N, r, p, salt = ''] = parameters.split('$');
  const options = { N: Number(N), r: Number(r), p: Number(p) };
  const maxmem = 256 * options.N * options.r;
  const text = password.normalize('NFC').slice(0, MAX_LENGTH);
  return gate(() => derive(text, Buffer.from(salt, 'hex'), KEY_BYTES, { ...options, maxmem }));
}
