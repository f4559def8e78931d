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

/** Every sign in one hit, in the order of their weight. `bot`: the user agent names one (package isbot), or there is none. */
export function signalsOf(event: Pick<Event, 'kind' | 'head' | 'purpose' | 'ua' | 'net'>, bot: boolean): Signal[] {
  const found = new Set<Signal>();
  if (event.head) found.add('head');
  if (event.purpose !== '' && PREFETCH_PURPOSE.test(event.purpose)) found.add('prefetch');
  if (event.net !== null && SCANNER_NETWORKS.has(event.net)) found.add('scanner-net');
  const known = AGENT_RULES.find(({ kind, userAgent }) => kind === event.kind && userAgent.test(event.ua));
  if (known) found.add(known.signal);
  else if (bot) found.add('bot-ua');
  if (found.size < 2) return [...found];
  return [...MACHINE_SIGNALS, 'proxied' as const].filter((signal) => found.has(signal));
}

export function verdictOf(signals: readonly Signal[]): Verdict {
  return signals.find((signal): signal is MachineSignal => signal !== 'proxied') ?? 'human';
}
