import { copyText } from './copy-rows.ts';
import { type Hits, type Profile, profileKey } from './hits.ts';
import { literal, literalText } from './literal.ts';

// A delta has the hits of one commit in one campaign by column, until the judge merges them into the counts and sets (shard.delta).

export const DELTA_COLUMNS =
  'campaign_id, hits, times, recipient_ids, link_ids, profiles, kinds, verdicts, countries, nets, referrers, agent_ids';

interface Delta {
  t: number[];
  recipient: number[];
  link: number[];
  /** Places in `profiles`, from 1 as in Postgres. */
  profile: number[];
  profiles: Profile[];
  places: Map<string, number>;
}

/** The COPY lines of the deltas of a commit, one for each campaign. */
export function deltaLines(batches: readonly Hits[]): Buffer[] {
  const deltas = new Map<number, Delta>();
  for (const { campaign, t, recipient, link, profile, profiles } of batches) {
    const keys = profiles.map(profileKey);
    for (let i = 0; i < campaign.length; i++) {
      const id = campaign[i] as number;
      let delta = deltas.get(id);
      if (!delta) {
        delta = { t: [], recipient: [], link: [], profile: [], profiles: [], places: new Map() };
        deltas.set(id, delta);
      }
      const key = keys[profile[i] as number] as string;
      let place = delta.places.get(key);
      if (place === undefined) {
        place = delta.profiles.push(profiles[profile[i] as number] as Profile);
        delta.places.set(key, place);
      }
      delta.t.push(t[i] as number);
      delta.recipient.push(recipient[i] as number);
      delta.link.push(link[i] as number);
      delta.profile.push(place);
    }
  }
  return Array.from(deltas, ([campaign, { t, recipient, link, profile, profiles }]) => {
    const columns = [
      `{${t.join(',')}}`,
      `{${recipient.join(',')}}`,
      `{${link.join(',')}}`,
      `{${profile.join(',')}}`,
      literal(profiles, ({ kind }) => kind),
      literal(profiles, ({ verdict }) => verdict),
      copyText(literal(profiles, ({ country }) => literalText(country))),
      copyText(literal(profiles, ({ net }) => literalText(net))),
      copyText(literal(profiles, ({ referrer }) => literalText(referrer))),
      literal(profiles, ({ agent }) => agent.id),
    ];
    return Buffer.from(`${campaign}\t${t.length}\t${columns.join('\t')}\n`);
  });
}
