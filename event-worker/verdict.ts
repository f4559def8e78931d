import type { Event } from '../core/event.ts';
import {
  AGENT_RULES,
  MACHINE_SIGNALS,
  type MachineSignal,
  PREFETCH_PURPOSE,
  SCANNER_NETWORKS,
  type Signal,
  type Verdict,
} from '../core/rules.ts';

// Decides from a single hit whether a person or a machine made it. Bursts need all clicks of a recipient, so the judge finds them later.

/** The signal of the user agent of a click or an open, if there is one. `bot`: the user agent is empty, or a bot by the package isbot. */
export function agentSignal(ua: string, kind: Event['kind'], bot: boolean): Signal | undefined {
  const matching = AGENT_RULES.find((rule) => rule.kind === kind && rule.userAgent.test(ua));
  return matching?.signal ?? (bot ? 'bot-ua' : undefined);
}

/** All signals of one hit, in the order of their weight. `byAgent` is the result of agentSignal. */
export function signalsOf(event: Pick<Event, 'head' | 'purpose' | 'net'>, byAgent: Signal | undefined): Signal[] {
  const found: Signal[] = [];
  if (event.head) found.push('head');
  if (event.purpose !== '' && PREFETCH_PURPOSE.test(event.purpose)) found.push('prefetch');
  if (event.net !== null && SCANNER_NETWORKS.has(event.net)) found.push('scanner-net');
  if (byAgent) found.push(byAgent);
  if (found.length < 2) return found;
  return [...MACHINE_SIGNALS, 'proxied' as const].filter((signal) => found.includes(signal));
}

/** The verdict: the first signal of a machine, or `human` if there is none. */
export function verdictOf(signals: readonly Signal[]): Verdict {
  return signals.find((signal): signal is MachineSignal => signal !== 'proxied') ?? 'human';
}
