import type { Event } from '../core/event.ts';

// Person or machine, as far as one hit alone can tell. Nothing here ever changes what a recipient gets.

/** Counts up with every change below, and is kept with each event. */
export const RULES_VERSION = 1;

/** In order: the first that fires names the verdict, all that fire are kept. */
export const SIGNALS = ['head', 'prefetch', 'bot-ua'] as const;
export type Signal = (typeof SIGNALS)[number];
export type Verdict = 'human' | Signal;

// Sec-Purpose: https://wicg.github.io/nav-speculation/prefetch.html; Purpose, X-Purpose and X-Moz are its predecessors.
const PREFETCH = /prefetch|prerender|preview/i;

/** Every sign of a machine in one hit. `bot`: the user agent names one (package isbot), or there is none. */
export function signalsOf(event: Pick<Event, 'head' | 'purpose'>, bot: boolean): Signal[] {
  const signals: Signal[] = [];
  if (event.head) signals.push('head');
  if (event.purpose !== '' && PREFETCH.test(event.purpose)) signals.push('prefetch');
  if (bot) signals.push('bot-ua');
  return signals;
}

export function verdictOf(signals: readonly Signal[]): Verdict {
  return signals[0] ?? 'human';
}
