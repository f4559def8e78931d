import type { HitKind } from '../core/event.ts';
import type { Verdict } from '../core/rules.ts';
import type { Slab } from './slab.ts';
import type { ReducedAgent } from './user-agent.ts';

// The hits of a batch, as the counts and sets of recipients need them.

/** What is counted of a user agent. */
export type CountedAgent = Pick<ReducedAgent, 'id' | 'client' | 'system' | 'device'>;

/** What many hits have in common. */
export interface Profile {
  readonly kind: HitKind;
  readonly verdict: Verdict;
  readonly agent: CountedAgent;
  readonly country: string | null;
  readonly net: string | null;
  readonly referrer: string | null;
}

/** Hits by column: the values at one index are one hit. */
export interface Hits {
  readonly campaign: Float64Array;
  /** Epoch milliseconds. */
  readonly t: Float64Array;
  readonly recipient: Float64Array;
  readonly link: Float64Array;
  /** Indexes of `profiles`. */
  readonly profile: Uint32Array;
  readonly profiles: readonly Profile[];
}

/** Collects at most `capacity` hits in memory of `slab`. */
export class HitCollector {
  // Typed arrays, because the garbage collector does not look into them.
  readonly #campaign: Float64Array;
  readonly #t: Float64Array;
  readonly #recipient: Float64Array;
  readonly #link: Float64Array;
  readonly #profile: Uint32Array;
  #length = 0;

  constructor(capacity: number, slab: Slab) {
    this.#campaign = slab.floats(capacity);
    this.#t = slab.floats(capacity);
    this.#recipient = slab.floats(capacity);
    this.#link = slab.floats(capacity);
    this.#profile = slab.integers(capacity);
  }

  add(campaign: number, t: number, recipient: number, link: number, profile: number): void {
    const i = this.#length++;
    this.#campaign[i] = campaign;
    this.#t[i] = t;
    this.#recipient[i] = recipient;
    this.#link[i] = link;
    this.#profile[i] = profile;
  }

  hits(profiles: readonly Profile[]): Hits {
    const n = this.#length;
    return {
      campaign: this.#campaign.subarray(0, n),
      t: this.#t.subarray(0, n),
      recipient: this.#recipient.subarray(0, n),
      link: this.#link.subarray(0, n),
      profile: this.#profile.subarray(0, n),
      profiles,
    };
  }
}

/** The hits whose index `isKept` accepts. */
export function keepHits(hits: Hits, isKept: (i: number) => boolean): Hits {
  const kept = <T extends Float64Array | Uint32Array>(column: T): T => column.filter((_, i) => isKept(i)) as T;
  const { campaign, t, recipient, link, profile, profiles } = hits;
  return { campaign: kept(campaign), t: kept(t), recipient: kept(recipient), link: kept(link), profile: kept(profile), profiles };
}

/** A text that is the same for equal profiles only. The network is last, because it may be any text. */
export const profileKey = ({ kind, verdict, agent, country, net, referrer }: Profile): string =>
  `${kind} ${verdict} ${agent.id} ${country} ${referrer} ${net === null ? '' : `:${net}`}`;
