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

// Person or machine, as far as one hit alone can tell; bursts are found by the judge, which sees all clicks of a recipient.

/** What the user agent of a click or an open gives away. `bot`: it names a bot (package isbot), or there is none. */
export function agentSignal(ua: string, kind: Event['kind'], bot: boolean): Signal | undefined {
  const known = AGENT_RULES.find((rule) => rule.kind === kind && rule.userAgent.test(ua));
  return known?.signal ?? (bot ? 'bot-ua' : undefined);
}

/** Every sign in one hit, in the order of their weight; `byAgent` is its agentSignal. */
export function signalsOf(event: Pick<Event, 'head' | 'purpose' | 'net'>, byAgent: Signal | undefined): Signal[] {
  const found: Signal[] = [];
  if (event.head) found.push('head');
  if (event.purpose !== '' && PREFETCH_PURPOSE.test(event.purpose)) found.push('prefetch');
  if (event.net !== null && SCANNER_NETWORKS.has(event.net)) found.push('scanner-net');
  if (byAgent) found.push(byAgent);
  if (found.length < 2) return found;
  return [...MACHINE_SIGNALS, 'proxied' as const].filter((signal) => found.includes(signal));
}

export function verdictOf(signals: readonly Signal[]): Verdict {
  return signals.find((signal): signal is MachineSignal => signal !== 'proxied') ?? 'human';
}
