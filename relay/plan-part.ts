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
    const plan = planLetter(bytes, kind, {
      baseUrls,
      exclude,
      trackUnsubscribe: false,
      utm: {},
      pixel,
      charset,
      isBody: true,
      ...(decide ? { decide } : {}),
    });
    return endsInKanji(plan, bytes) ? { ...plan, pixelAt: undefined } : plan;
  } catch (error) {
    // For example, an address has bytes that are not valid in the charset of the part.
    if (codeOf(error) === 'bad-input') return 'unreadable';
    throw error;
  }
}

/** Whether the pixel would be inserted where ISO-2022-JP has kanji, so that its bytes would be read as kanji. */
function endsInKanji(plan: LetterPlan, bytes: Buffer): boolean {
  if (plan.encoding !== 'iso-2022-jp' || plan.pixelAt === undefined) return false;
  const escape = bytes.subarray(0, plan.offsetOf(plan.pixelAt)).lastIndexOf(0x1b);
  return escape >= 0 && bytes[escape + 1] === 0x24;
}
