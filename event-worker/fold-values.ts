import type { EventColumns } from '../core/event.ts';
import { OTHER, outsideKey, type OutsideKind, type OutsideValue, type OutsideValues } from './outside-values.ts';
import { type ReducedAgent, reduceUserAgent } from './user-agent.ts';

// Replaces the values of a batch that are not admitted (outside-values.ts). This happens before the rows of the batch are built. The
// signals of a hit stay the same: those of a single hit are found from the original version, and those that compare clicks ignore the version.

/**
 * The reasons why a value is replaced. `referrer` and `user-agent`: the list of admitted values is full. `version`: no client can have had
 * this version at the time of the hit.
 */
export const FOLD_REASONS = ['referrer', 'user-agent', 'version'] as const satisfies readonly (OutsideKind | 'version')[];
export type FoldReason = (typeof FOLD_REASONS)[number];

export interface FoldedValues {
  /** The reduced user agent of event `i`. */
  agent(i: number): ReducedAgent;
  /** The host of the referrer of event `i`; null if the event has no referrer. `campaign` is the campaign of the event. */
  referrer(i: number, campaign: number): string | null;
  /** The number of values that were replaced so far, by reason. */
  readonly folded: Record<FoldReason, number>;
}

/** `campaigns` has the campaign of each event. It is undefined for an event that does not count. Throws if the database does not answer. */
export async function foldValues(
  events: EventColumns,
  campaigns: readonly (number | undefined)[],
  outside: OutsideValues,
): Promise<FoldedValues> {
  const folded: Record<FoldReason, number> = { referrer: 0, 'user-agent': 0, version: 0 };
  const agents = events.agents.map(reduceUserAgent);
  const hosts = events.referrers.map(hostOf);
  const agentOf = (i: number): ReducedAgent => agents[events.agent[i] as number] as ReducedAgent;
  const hostAt = (i: number): string | null => hosts[events.referrer[i] as number] ?? null;
  const isPlausible = (i: number): boolean => (events.t[i] as number) >= agentOf(i).plausibleFromMs;

  const versions = new Map<string, OutsideValue>();
  const referrers = new Map<string, OutsideValue>();
  const listedAgents = new Set<ReducedAgent>();
  // Consecutive events of a batch usually belong to one campaign. So the referrers of the last campaign are remembered by their index,
  // which is faster than a look-up by text.
  let lastCampaign: number | undefined;
  const listedReferrers = new Set<number>();
  for (const [i, campaign] of campaigns.entries()) {
    if (campaign === undefined) continue;
    const agent = agentOf(i);
    if (agent.family && !listedAgents.has(agent) && isPlausible(i)) {
      listedAgents.add(agent);
      versions.set(outsideKey(0, agent.id), { scope: 0, text: agent.id, day: dayOf(events.t[i] as number) });
    }
    const host = hostAt(i);
    if (host === null) continue;
    if (campaign !== lastCampaign) listedReferrers.clear();
    lastCampaign = campaign;
    if (listedReferrers.has(events.referrer[i] as number)) continue;
    listedReferrers.add(events.referrer[i] as number);
    const key = outsideKey(campaign, host);
    if (!referrers.has(key)) referrers.set(key, { scope: campaign, text: host, day: dayOf(events.t[i] as number) });
  }
  const [refusedReferrers, refusedVersions] = await Promise.all([
    outside.refused('referrer', referrers),
    outside.refused('user-agent', versions),
  ]);

  return {
    folded,
    agent(i) {
      const agent = agentOf(i);
      if (!agent.family) return agent;
      const reason = !isPlausible(i)
        ? 'version'
        : refusedVersions.size > 0 && refusedVersions.has(outsideKey(0, agent.id))
          ? 'user-agent'
          : undefined;
      if (reason === undefined) return agent;
      folded[reason]++;
      return agent.family;
    },
    referrer(i, campaign) {
      const host = hostAt(i);
      if (host === null || refusedReferrers.size === 0 || !refusedReferrers.has(outsideKey(campaign, host))) return host;
      folded.referrer++;
      return OTHER;
    },
  };
}

/**
 * The host name of a referrer in lower case, or null. No other part of the referrer is stored, because a referrer may contain personal
 * data.
 */
export function hostOf(referrer: string): string | null {
  const host = /^(?:https?|android-app):\/\/([a-z0-9.-]{1,253})(?::\d{1,5})?(?:[/?#]|$)/i.exec(referrer)?.[1];
  return host ? host.toLowerCase() : null;
}

const LAST_DAY = Date.UTC(9999, 11, 31);

/**
 * Returns the UTC day of a time. Agents accept no time after 2100, but a message may contain any time. The result is at most 9999-12-31, so
 * that the column for the day can store it.
 */
function dayOf(t: number): string {
  return new Date(Math.min(t, LAST_DAY)).toISOString().slice(0, 10);
}
