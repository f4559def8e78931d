import type { Verdict } from '../core/rules.ts';

/** The kinds of events that a subscription may ask for. */
export const EVENT_KINDS = ['click', 'open', 'unsubscribe', 'visit', 'goal'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** Which events a subscription gets. */
export interface Filter {
  readonly kinds: readonly EventKind[];
  /** Null: all campaigns. */
  readonly campaigns: readonly number[] | null;
  /** Null: all verdicts. An unsubscribe has no verdict, and passes. */
  readonly verdicts: readonly Verdict[] | null;
  /** Earlier events are left out. Null: none. */
  readonly since: Date | null;
  /** The age in milliseconds that a click must have: until then, the judge may still find a signal that follows from other clicks. */
  readonly waitMs: number;
}

/** Whether a verdict passes the filter. Null stands for an event that has none. */
export const passes = ({ verdicts }: Filter, verdict: string | null): boolean =>
  verdict === null || verdicts === null || (verdicts as readonly string[]).includes(verdict);
