import { HIT_KINDS, type HitKind, type Origin } from '../core/event.ts';
import { RULES_VERSION, verdictOf } from '../core/rules.ts';
import { copyText } from '../core/copy-text.ts';
import type { Profile } from './hits.ts';
import type { ReducedAgent } from './user-agent.ts';
import { signalsOf, TRAITS } from './verdict.ts';

/** The end of a COPY line, and the profile of the hit. */
export interface Tail {
  /** The columns TAIL_COLUMNS with the tab before them and the line feed. */
  readonly text: string;
  /** The index of the profile. */
  readonly profile: number;
}

export const TAIL_COLUMNS = 'agent_id, rules, kind, verdict, country, net, referrer, signals';

// Bounds the memory: a tail takes a few hundred bytes.
const MOST_TAILS = 20_000;
// All numbers are below this limit: there are at most MOST_TAILS tails, and those of one more group of batches for each parallel commit.
const RADIX = 2 ** 20;

/** The origin and the purpose of a request, with a number that is the same for equal ones. */
export interface Context {
  readonly number: number;
  readonly origin: Origin;
  readonly purpose: string;
}

/** Computes the verdicts of hits and the ends of their COPY lines. Many hits have an equal tail, so each tail is computed once. */
export class Tails {
  /** The profiles of all tails. Two of them may be equal. */
  readonly profiles: Profile[] = [];
  readonly #tails = new Map<number, Tail>();
  readonly #agents = new Map<ReducedAgent, number>();
  readonly #referrers = new Map<string | null, number>();
  readonly #pairs = new Map<number, number>();
  readonly #contexts = new Map<string, number>();

  /** Whether the next commit should use a new instance. */
  get isFull(): boolean {
    return this.#tails.size >= MOST_TAILS;
  }

  contextOf(origin: Origin, purpose: string): Context {
    return { number: numberOf(this.#contexts, `${origin.country}\n${origin.net}\n${purpose}`), origin, purpose };
  }

  /** `traits` is a sum of the traits in verdict.ts. */
  of(agent: ReducedAgent, referrer: string | null, kind: HitKind, traits: number, { number, origin, purpose }: Context): Tail {
    // Numbers instead of texts, because this runs for each event.
    const pair = numberOf(this.#pairs, numberOf(this.#agents, agent) * RADIX + numberOf(this.#referrers, referrer));
    const key = ((pair * RADIX + number) * TRAITS + traits) * HIT_KINDS.length + HIT_KINDS.indexOf(kind);
    let tail = this.#tails.get(key);
    if (tail) return tail;
    const { country, net } = origin;
    const signals = signalsOf({ kind, traits, purpose, net }, agent.signals[kind]);
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
