import { ClickledgerError } from '../core/errors.ts';
import { MAX_TARGET_BYTES } from '../core/target.ts';
import { isTarget } from './letter/decide.ts';

/** Checks the target of a link. Returns the target unchanged, byte for byte. Throws `bad-input` if it cannot be a redirect target. */
export function parseTarget(target: string): string {
  const invalid = (why: string) => new ClickledgerError('bad-input', `'${target.slice(0, 80)}' cannot be tracked: ${why}`);
  if (!/^https?:\/\//i.test(target)) throw invalid('a target begins with http:// or https://');
  if (/[\x00-\x20\x7f-\x9f]/.test(target)) throw invalid('it contains a space or a control character; write it as %20 or the like');
  if (!isTarget(target)) throw invalid('it is not a URL with a host');
  if (Buffer.byteLength(target) > MAX_TARGET_BYTES) throw invalid(`it is longer than ${MAX_TARGET_BYTES} bytes`);
  return target;
}
