import { ClickledgerError } from '../core/errors.ts';
import { isTarget, MAX_TARGET_BYTES } from './letter/decide.ts';

/** Checks where a link shall lead; it is kept byte for byte as given. */
export function parseTarget(target: string): string {
  const refuse = (why: string) => new ClickledgerError('bad-input', `'${target.slice(0, 80)}' cannot be tracked: ${why}`);
  if (!/^https?:\/\//i.test(target)) throw refuse('a target begins with http:// or https://');
  if (/[\x00-\x20\x7f-\x9f]/.test(target)) throw refuse('it contains a space or a control character; write it as %20 or the like');
  if (!isTarget(target)) throw refuse('it is no URL with a host');
  if (Buffer.byteLength(target) > MAX_TARGET_BYTES) throw refuse(`it is longer than ${MAX_TARGET_BYTES} bytes`);
  return target;
}
