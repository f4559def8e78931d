import type { Kind, Origin } from '../core/event.ts';
import type { Verdict } from '../core/rules.ts';
import { copyText } from './copy-rows.ts';
import { literal, literalText } from './literal.ts';
import { type Hits, noHits } from './sets.ts';

// A delta has the hits of one commit in one campaign by column, until the judge merges them into the counts and sets (shard.delta).

export const DELTA_COLUMNS = 'campaign_id, hits, times, recipient_ids, link_ids, kinds, verdicts, countries, nets, referrers, agent_ids';

/** The COPY lines of the deltas of a commit, one for each campaign. */
export function deltaLines(batches: readonly Hits[]): Buffer[] {
  const campaigns = new Map<number, Hits>();
  for (const hits of batches) {
    for (const [i, campaign] of hits.campaign.entries()) {
      let delta = campaigns.get(campaign);
      if (!delta) {
        delta = noHits();
        campaigns.set(campaign, delta);
      }
      delta.t.push(hits.t[i] as number);
      delta.recipient.push(hits.recipient[i] as number);
      delta.link.push(hits.link[i] as number);
      delta.kind.push(hits.kind[i] as Kind);
      delta.verdict.push(hits.verdict[i] as Verdict);
      delta.origin.push(hits.origin[i] as Origin);
      delta.referrer.push(hits.referrer[i] ?? null);
      delta.agent.push(hits.agent[i] as Hits['agent'][number]);
    }
  }
  return Array.from(campaigns, ([campaign, { t, recipient, link, kind, verdict, origin, referrer, agent }]) => {
    const numbers = [t, recipient, link, kind, verdict].map((column) => literal(column as (string | number)[], (value) => value));
    const texts = [
      literal(origin, ({ country }) => literalText(country)),
      literal(origin, ({ net }) => literalText(net)),
      literal(referrer, literalText),
      literal(agent, ({ id }) => id),
    ].map(copyText);
    return Buffer.from(`${campaign}\t${t.length}\t${[...numbers, ...texts].join('\t')}\n`);
  });
}
