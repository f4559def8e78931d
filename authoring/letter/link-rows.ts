import type { KeepReason } from './decide.ts';
import { createLineCounter } from './line-counter.ts';
import type { LetterPlan } from './plan.ts';

/** A link of a letter, and what happens to it. */
export interface LinkRow {
  part: 'html' | 'text';
  /** Counted from 1. */
  line: number;
  /** `tracked`, or the reason why the link is kept. */
  what: 'tracked' | KeepReason;
  /** The target of a tracked link, or the address of a kept one. */
  address: string;
  words: string;
}

/** Returns all links of the parts of a letter, in the order of the letter. */
export function linkRows(plans: readonly LetterPlan[]): LinkRow[] {
  return plans.flatMap((plan) => {
    const lineOf = createLineCounter(plan.text);
    return [...plan.tracked, ...plan.kept]
      .sort((a, b) => a.from - b.from)
      .map((link) => ({
        part: plan.kind,
        line: lineOf(link.from),
        what: 'reason' in link ? link.reason : 'tracked',
        address: 'target' in link ? link.target : link.address,
        words: link.words,
      }));
  });
}
