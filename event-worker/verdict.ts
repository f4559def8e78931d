import type { Kind } from '../core/event.ts';
import {
  AGENT_RULES,
  MACHINE_SIGNALS,
  type MachineSignal,
  PREFETCH_PURPOSE,
  SCANNER_NETWORKS,
  type Signal,
  type Verdict,
} from '../core/rules.ts';

// Decides from a single hit whether a person or a machine made it. Bursts (core/rules.ts) need all clicks of a
// recipient, so judge.ts finds them later.

/** The signal of the user agent of a click or an open, if there is one. `bot`: the user agent is empty, or a bot by the package isbot. */
export function agentSignal(ua: string, kind: Kind, bot: boolean): Signal | undefined {
  const matching = AGENT_RULES.find((rule) => rule.kind === kind && rule.userAgent.test(ua));
  return matching?.signal ?? (bot ? 'bot-ua' : undefined);
}

/** All signals of one hit, in the order of their weight. `byAgent` is the result of agentSignal. */
export function signalsOf(
  { head, purpose, net }: { head: boolean; purpose: string; net: string | null },
  byAgent: Signal | undefined,
): readonly Signal[] {
  const found: Signal[] = [];
  if (head) found.push('head');
  if (purpose !== '' && PREFETCH_PURPOSE.test(purpose)) found.push('prefetch');
  if (net !== null && SCANNER_NETWORKS.has(net)) found.push('scanner-net');
  if (byAgent) found.push(byAgent);
  if (found.length < 2) return found;
  return [...MACHINE_SIGNALS, 'proxied' as const].filter((signal) => found.includes(signal));
}

/** The verdict: the first signal of a machine, or `human` if there is none. */
export function verdictOf(signals: readonly Signal[]): Verdict {
  return signals.find((signal): signal is MachineSignal => signal !== 'proxied') ?? 'human';
}
