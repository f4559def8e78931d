import { type Kind, KINDS, type Origin } from '../core/event.ts';
import { RULES_VERSION } from '../core/rules.ts';
import { copyText } from './copy-text.ts';
import type { Profile } from './hits.ts';
import type { ReducedAgent } from './user-agent.ts';
import { signalsOf, verdictOf } from './verdict.ts';

/** The end of a COPY line, and the profile of the hit. */
export interface Tail {
  /** The columns TAIL_COLUMNS with the tab before them and the line feed. */
  readonly text: string;
  /** The index of the profile. */
  readonly profile: number;
}

export const TAIL_COLUMNS = 'agent_id, rules, kind, verdict, country, net, referrer, signals';

// About one hit in four needs a new tail, and a tail takes some hundred bytes.
const MOST_TAILS = 20_000;
// All numbers are below this limit, because a commit has fewer events.
const RADIX = 2 ** 20;

/** Computes the verdicts of hits and the ends of their COPY lines. Many hits have the same, so they are kept. */
export class Tails {
  /** The different profiles. Equal profiles may occur several times. */
  readonly profiles: Profile[] = [];
  readonly #tails = new Map<number, Tail>();
  readonly #agents = new Map<ReducedAgent, number>();
  readonly #referrers = new Map<string | null, number>();
  readonly #pairs = new Map<number, number>();
  readonly #contexts = new Map<string, number>();

  /** Whether new ones should be created before the next commit. */
  get isFull(): boolean {
    return this.#tails.size >= MOST_TAILS;
  }

  /** The number of an origin and a purpose, for `of`. */
  contextOf({ country, net }: Origin, purpose: string): number {
    return numberOf(this.#contexts, `${country}\n${net}\n${purpose}`);
  }

  of(agent: ReducedAgent, referrer: string | null, kind: Kind, head: boolean, context: number, origin: Origin, purpose: string): Tail {
    // Numbers instead of texts, because this runs for each event.
    const pair = numberOf(this.#pairs, numberOf(this.#agents, agent) * RADIX + numberOf(this.#referrers, referrer));
    const key = (pair * RADIX + context) * 4 + (head ? 2 : 0) + KINDS.indexOf(kind);
    let tail = this.#tails.get(key);
    if (tail) return tail;
    const { country, net } = origin;
    const signals = signalsOf({ head, purpose, net }, agent.signals[kind]);
    const verdict = verdictOf(signals);
    const columns = [agent.id, RULES_VERSION, kind, verdict, copyText(country), copyText(net), copyText(referrer)];
    tail = {
      text: `\t${columns.join('\t')}\t${signals.length === 0 ? '\\N' : `{${signals.join(',')}}`}\n`,
      profile: this.profiles.push({ kind, verdict, agent, country, net, referrer }) - 1,
    };
    this.#tails.set(key, tail);
    return tail;
  }
}

/** The number of a key, from 0 in the order of their first use. */
function numberOf<K>(numbers: Map<K, number>, key: K): number {
  let number = numbers.get(key);
  if (number === undefined) {
    number = numbers.size;
    numbers.set(key, number);
  }
  return number;
}
