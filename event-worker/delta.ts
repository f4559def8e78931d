import { binaryRows } from './binary-copy.ts';
import type { Hits, Profile } from './hits.ts';

// A delta has the hits of one commit in one campaign by column, until the judge merges them into the counts and sets (shard.delta).

export const DELTA_COLUMNS =
  'campaign_id, hits, times, recipient_ids, link_ids, profiles, kinds, verdicts, countries, nets, referrers, agent_ids, first_time, last_time';

interface Delta {
  readonly t: Float64Array;
  readonly recipient: Float64Array;
  readonly link: Float64Array;
  /** Places in `profiles`, from 1 as in Postgres. */
  readonly profile: Uint32Array;
  length: number;
  first: number;
  last: number;
  readonly profiles: Profile[];
  /** The places by index in the profiles of the commit. */
  readonly places: Map<number, number>;
}

export interface DeltaRows {
  readonly rows: number;
  /** For COPY in binary format. */
  readonly bytes: Buffer;
}

/** The deltas of a commit, one for each campaign. All batches have the same list of profiles. */
export function deltaRows(batches: readonly Hits[]): DeltaRows {
  const deltas = new Map<number, Delta>();
  for (const [campaign, hits] of countByCampaign(batches)) {
    const column = (): Float64Array => new Float64Array(hits);
    const columns = { t: column(), recipient: column(), link: column(), profile: new Uint32Array(hits) };
    deltas.set(campaign, { ...columns, length: 0, first: Number.MAX_SAFE_INTEGER, last: 0, profiles: [], places: new Map() });
  }
  for (const { campaign, t, recipient, link, profile, profiles } of batches) {
    for (let i = 0; i < campaign.length; i++) {
      const delta = deltas.get(campaign[i] as number) as Delta;
      const number = profile[i] as number;
      let place = delta.places.get(number);
      if (place === undefined) {
        place = delta.profiles.push(profiles[number] as Profile);
        delta.places.set(number, place);
      }
      const at = delta.length++;
      const time = t[i] as number;
      delta.t[at] = time;
      delta.first = Math.min(delta.first, time);
      delta.last = Math.max(delta.last, time);
      delta.recipient[at] = recipient[i] as number;
      delta.link[at] = link[i] as number;
      delta.profile[at] = place;
    }
  }
  const rows = Array.from(
    deltas,
    ([campaign, { t, recipient, link, profile, profiles, first, last }]) =>
      [
        { type: 'int8', value: campaign },
        { type: 'int4', value: t.length },
        { type: 'int8[]', values: t },
        { type: 'int8[]', values: recipient },
        { type: 'int8[]', values: link },
        { type: 'int4[]', values: profile },
        { type: 'text[]', values: profiles.map(({ kind }) => kind) },
        { type: 'text[]', values: profiles.map(({ verdict }) => verdict) },
        { type: 'text[]', values: profiles.map(({ country }) => withoutNul(country)) },
        { type: 'text[]', values: profiles.map(({ net }) => withoutNul(net)) },
        { type: 'text[]', values: profiles.map(({ referrer }) => withoutNul(referrer)) },
        { type: 'text[]', values: profiles.map(({ agent }) => agent.id) },
        { type: 'int8', value: first },
        { type: 'int8', value: last },
      ] as const,
  );
  return { rows: rows.length, bytes: binaryRows(rows) };
}

function countByCampaign(batches: readonly Hits[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { campaign } of batches) for (const id of campaign) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** Postgres allows no NUL characters in a text. */
const withoutNul = (text: string | null): string | null => text?.replaceAll('\0', '') ?? null;
