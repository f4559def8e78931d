import { foreignTags } from './merge-tags.ts';
import { createLineCounter } from './line-counter.ts';
import { oddBraces } from './odd-braces.ts';
import type { LetterPlan } from './plan.ts';
import { tokenize } from './tokens.ts';

// Finds merge tags that remain in a rendered letter: tags of other senders, and `{{column}}` with a missing or an extra brace. Readers
// would see these tags.

export interface LeftoverTag {
  part: 'html' | 'text';
  line: number;
  text: string;
  /** The sender that uses this tag. Undefined for a misspelled `{{column}}`. */
  sender: string | undefined;
}

/** The attributes that readers see, and the attributes whose value is an address. */
const ATTRIBUTES = /^(?:alt|title|aria-label|href|src|xlink:href)$/;

/** Returns the tags that `prepare --render` does not fill in, in the order of the letter. */
export function leftoverTags(plan: LetterPlan): LeftoverTag[] {
  const ranges = plan.kind === 'html' ? visibleRanges(plan.text) : [{ from: 0, to: plan.text.length }];
  const lineOf = createLineCounter(plan.text);
  return ranges.flatMap(({ from, to }) => {
    const piece = plan.text.slice(from, to);
    const odd = oddBraces(piece);
    // A misspelled `{name}}` contains `{name}`, which is not reported as another tag.
    const foreign = foreignTags(piece).filter((tag) => !odd.some((braces) => braces.from <= tag.from && tag.to <= braces.to));
    return [...foreign.map((tag) => ({ ...tag, sender: tag.dialect })), ...odd.map((braces) => ({ ...braces, sender: undefined }))]
      .toSorted((a, b) => a.from - b.from)
      .map((tag) => ({ part: plan.kind, line: lineOf(from + tag.from), text: tag.text, sender: tag.sender }));
  });
}

/** Returns the positions of text and of the values of `ATTRIBUTES`, in the order of the letter. */
function visibleRanges(html: string): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (const token of tokenize(html)) {
    if (token.kind === 'text') ranges.push(token);
    if (token.kind === 'start') ranges.push(...token.attributes.filter(({ name }) => ATTRIBUTES.test(name)));
  }
  return ranges;
}
