import type { Decide } from '../authoring/letter/decide.ts';
import { type LetterPlan, type PixelPlace, planLetter } from '../authoring/letter/plan.ts';
import { codeOf } from '../core/errors.ts';
import type { TextKind } from './message/classify.ts';

/** An armoured message or signature of OpenPGP inside a text (RFC 9580, 6.2). */
const PGP = /^-----BEGIN PGP (?:SIGNED )?MESSAGE-----/m;

/** Plans the changes of a decoded text part. Returns the reason if the part must not or cannot be changed. */
export function planPart(
  bytes: Buffer,
  { subtype, charset }: TextKind,
  { baseUrls, exclude, pixel, decide }: { baseUrls: readonly string[]; exclude: readonly string[]; pixel: PixelPlace; decide?: Decide },
): LetterPlan | 'pgp' | 'unreadable' {
  if (bytes.includes('-----BEGIN PGP ') && PGP.test(bytes.toString('latin1'))) return 'pgp';
  const kind = subtype === 'html' ? 'html' : 'text';
  try {
    return planLetter(bytes, kind, {
      baseUrls,
      exclude,
      trackUnsubscribe: false,
      utm: {},
      pixel,
      charset,
      isBody: true,
      ...(decide ? { decide } : {}),
    });
  } catch (error) {
    // For example, an address has bytes that are not valid in the charset of the part.
    if (codeOf(error) === 'bad-input') return 'unreadable';
    throw error;
  }
}
