// Removes characters that nobody sees. Letters have long runs of them after the hidden text at their beginning, so that mail programs do not show
// the text that follows.

/** Characters that have no width and no meaning in a text. */
const NEVER_SHOWN = /\u034f|\u17b4|\u17b5|[\u00ad\u115f\u1160\u200b\u2060-\u2064\u3164\ufeff\uffa0]/g;
/**
 * Joiners. Between two characters they change their shapes, as in Persian and in emoji. Beside a space or at an end they have no effect. The
 * marks of the writing direction are removed in the same places only if there are several of them.
 */
const LOOSE_JOINERS = /(?<=^|\s)[\u200c\u200d]+|[\u200c\u200d]+(?=\s|$)|[\u200c-\u200f]{2,}(?![^\s])|(?<![^\s])[\u200c-\u200f]{2,}/g;
/** Spaces of other widths, with the spaces beside them. */
const OTHER_SPACES = /[ \t]*[\u00a0\u2000-\u200a\u3000]+[ \t\u00a0\u2000-\u200a\u3000]*/g;

/** Returns a text without runs of invisible characters and of unusual spaces, and with at most one empty line between two lines. */
export function visibleText(text: string): string {
  let shown = text.replace(NEVER_SHOWN, '');
  // A joiner may stand alone only after the joiner beside it is removed.
  for (let before = ''; before !== shown; ) {
    before = shown;
    shown = shown.replace(LOOSE_JOINERS, '').replace(OTHER_SPACES, ' ');
  }
  return shown
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+/, '');
}
