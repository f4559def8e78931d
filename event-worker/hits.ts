import type { Kind } from '../core/event.ts';
import type { Verdict } from '../core/rules.ts';
import type { ReducedAgent } from './user-agent.ts';

// The hits of a batch, as the counts and sets of recipients need them.

/** What is counted of a user agent. */
export type CountedAgent = Pick<ReducedAgent, 'id' | 'client' | 'system' | 'device'>;

/** What many hits have in common. */
export interface Profile {
  readonly kind: Kind;
  readonly verdict: Verdict;
  readonly agent: CountedAgent;
  readonly country: string | null;
  readonly net: string | null;
  readonly referrer: string | null;
}

/** Hits by column: the values at one index are one hit. `profile` has indexes of `profiles`. */
export interface Hits {
  readonly campaign: Float64Array;
  /** Epoch milliseconds. */
  readonly t: Float64Array;
  readonly recipient: Float64Array;
  readonly link: Float64Array;
  readonly profile: Uint32Array;
  readonly profiles: readonly Profile[];
}

export interface HitCollector {
  /** Returns the number of the profile with a key; undefined if it is not added yet. */
  profile(key: number): number | undefined;
  addProfile(key: number, profile: Profile): number;
  add(campaign: number, t: number, recipient: number, link: number, profile: number): void;
  hits(): Hits;
}

/** Collects at most `capacity` hits. */
export function collectHits(capacity: number): HitCollector {
  // Typed arrays, because the garbage collector does not look into them.
  const [campaign, t, recipient, link] = [0, 1, 2, 3].map(() => new Float64Array(capacity)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const profile = new Uint32Array(capacity);
  const profiles: Profile[] = [];
  const numbers = new Map<number, number>();
  let n = 0;
  return {
    profile: (key) => numbers.get(key),
    addProfile(key, its) {
      const number = profiles.push(its) - 1;
      numbers.set(key, number);
      return number;
    },
    add(itsCampaign, itsTime, itsRecipient, itsLink, itsProfile) {
      campaign[n] = itsCampaign;
      t[n] = itsTime;
      recipient[n] = itsRecipient;
      link[n] = itsLink;
      profile[n++] = itsProfile;
    },
    hits() {
      const [c, time, r, l] = [campaign, t, recipient, link].map((column) => column.subarray(0, n)) as [
        Float64Array,
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      return { campaign: c, t: time, recipient: r, link: l, profile: profile.subarray(0, n), profiles };
    },
  };
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
