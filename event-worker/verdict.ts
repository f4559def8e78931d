import type { Kind } from '../core/event.ts';
import { networkKindOf } from '../core/network-kinds.ts';
import { AGENT_RULES, NETWORK_SIGNALS, PREFETCH_PURPOSE, type Signal, SIGNALS } from '../core/rules.ts';

// Finds the signals of a hit that follow from this hit alone. Bursts and echoes (core/rules.ts) can be found only with the other
// clicks of the recipient, so judge.ts finds them later.

/**
 * Returns the signal of the user agent of a click or an open, if there is one. `bot` is true if the user agent is empty, or if the package
 * isbot recognises it as a bot.
 */
export function agentSignal(ua: string, kind: Kind, bot: boolean): Signal | undefined {
  const matching = AGENT_RULES.find((rule) => rule.kind === kind && rule.userAgent.test(ua));
  return matching?.signal ?? (bot ? 'bot-ua' : undefined);
}

/** Returns all signals of one hit, the most important first. `byAgent` is the result of agentSignal. */
export function signalsOf(
  { head, purpose, net }: { head: boolean; purpose: string; net: string | null },
  byAgent: Signal | undefined,
): readonly Signal[] {
  const found: Signal[] = [];
  if (head) found.push('head');
  if (purpose !== '' && PREFETCH_PURPOSE.test(purpose)) found.push('prefetch');
  const kind = networkKindOf(net);
  const byNetwork = kind && NETWORK_SIGNALS[kind];
  if (byNetwork) found.push(byNetwork);
  if (byAgent) found.push(byAgent);
  if (found.length < 2) return found;
  return SIGNALS.filter((signal) => found.includes(signal));
}
