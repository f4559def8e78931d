import type { HitKind } from '../core/event.ts';
import { networkKindOf } from '../core/network-kinds.ts';
import { AGENT_RULES, EARLY_MS, NETWORK_SIGNALS, PREFETCH_PURPOSE, type Signal, SIGNALS } from '../core/rules.ts';

// Finds the signals of a hit that follow from this hit alone. FOUND_SIGNALS (core/rules.ts) can be found only with the other clicks of the
// recipient, so judge.ts finds them later.

// Traits of a hit, as bits. A sum of them is part of the key under which tails.ts caches the signals.
export const HEAD = 1;
/** The hit is on the hidden link of the letter. */
export const HONEYPOT = 2;
/** The hit came within EARLY_MS after the campaign was sent. */
export const EARLY = 4;
/** The version of the browser is old (`oldFromMs` of its user agent). */
export const OLD_BROWSER = 8;
/** The path of the request had further characters after the slug. */
export const ALTERED = 16;
/** All sums of traits are less than this number. */
export const TRAITS = 32;

/**
 * Returns the signal of the user agent of a click or an open, if there is one. `bot` is true if the user agent is empty, or if the package
 * isbot recognises it as a bot.
 */
export function agentSignal(ua: string, kind: HitKind, bot: boolean): Signal | undefined {
  const matching = AGENT_RULES.find((rule) => rule.kind === kind && rule.userAgent.test(ua));
  return matching?.signal ?? (bot ? 'bot-ua' : undefined);
}

/** Returns all signals of one hit, the most important first. `byAgent` is the result of agentSignal. */
export function signalsOf(
  { kind, traits, purpose, net }: { kind: HitKind; traits: number; purpose: string; net: string | null },
  byAgent: Signal | undefined,
): readonly Signal[] {
  const found: Signal[] = [];
  if (traits & HEAD) found.push('head');
  if (traits & HONEYPOT) found.push('honeypot');
  // These signs are only for clicks. A pixel may be loaded at once by a reader, too, and mail programs have old browser engines.
  if (traits & EARLY && kind === 'click') found.push('early');
  if (traits & OLD_BROWSER && kind === 'click') found.push('old-browser');
  if (traits & ALTERED && kind === 'click') found.push('altered');
  if (purpose !== '' && PREFETCH_PURPOSE.test(purpose)) found.push('prefetch');
  const byNetwork = networkSignal(net);
  if (byNetwork) found.push(byNetwork);
  if (byAgent) found.push(byAgent);
  return inOrder(found);
}

/** Whether a hit came within EARLY_MS after its campaign was sent. Both times are epoch milliseconds; `sentAt` is undefined if it is unknown. */
export const isEarly = (t: number, sentAt: number | undefined): boolean => sentAt !== undefined && t >= sentAt && t < sentAt + EARLY_MS;

/** Returns the signal of the network with this label, if it has one. */
export function networkSignal(net: string | null): Signal | undefined {
  const kind = networkKindOf(net);
  return kind && NETWORK_SIGNALS[kind];
}

/** Returns the signals in the order of SIGNALS, each once. Signals of other versions of the rules are left out. */
export const inOrder = (signals: readonly Signal[]): Signal[] => SIGNALS.filter((signal) => signals.includes(signal));
