import type { HitKind } from '../core/event.ts';
import type { PoolClient } from '../core/postgres.ts';
import type { Verdict } from '../core/rules.ts';
import { entryOf } from './entry-of.ts';
import type { CountedAgent, Profile } from './hits.ts';
import { type CampaignHits, countHits } from './sets.ts';

// Merges deltas into the counts and sets of recipients. The larger a merge is, the less each hit costs.

interface DeltaRow {
  id: number;
  campaign_id: number;
  /** JSON arrays of numbers. */
  times: string;
  recipient_ids: string;
  link_ids: string;
  profiles: string;
  kinds: HitKind[];
  verdicts: Verdict[];
  countries: (string | null)[];
  nets: (string | null)[];
  referrers: (string | null)[];
  agent_ids: string[];
}

/** A hit of a delta that gets another verdict. The first hit of a delta has place 1. */
export interface ChangedHit {
  readonly place: number;
  readonly verdict: Verdict;
}

/**
 * Adds the hits of deltas to the counts and sets, and deletes the deltas, in the transaction of the caller. The caller must hold the lock of the
 * judge. `changed` maps the id of a delta to its hits that get another verdict.
 */
export async function mergeDeltas(
  client: PoolClient,
  ids: readonly string[],
  changed: ReadonlyMap<number, readonly ChangedHit[]>,
): Promise<void> {
  const { rows } = await client.query<DeltaRow>('SELECT * FROM shard.take_deltas($1)', [ids]);
  const tests = await client.query<{ id: number }>('SELECT shard.test_recipients() AS id');
  const agents = await client.query<CountedAgent>('SELECT id::text, client, system, device FROM shard.user_agent WHERE id = ANY ($1)', [
    [...new Set(rows.flatMap(({ agent_ids }) => agent_ids))],
  ]);
  const agentOf = new Map(agents.rows.map((agent) => [agent.id, agent]));
  const deltas = rows.map((row): CampaignHits => {
    const numbers = (json: string): number[] => JSON.parse(json) as number[];
    const profiles = row.kinds.map((kind, i): Profile => {
      const id = row.agent_ids[i] as string;
      const agent = agentOf.get(id) ?? { id, client: '', system: '', device: '' };
      const { countries, nets, referrers, verdicts } = row;
      return {
        kind,
        verdict: verdicts[i] as Verdict,
        agent,
        country: countries[i] ?? null,
        net: nets[i] ?? null,
        referrer: referrers[i] ?? null,
      };
    });
    const profile = numbers(row.profiles).map((place) => place - 1);
    const changedProfiles = new Map<string, number>();
    for (const { place, verdict } of changed.get(row.id) ?? []) {
      const before = profile[place - 1] as number;
      profile[place - 1] = entryOf(
        changedProfiles,
        `${before} ${verdict}`,
        () => profiles.push({ ...(profiles[before] as Profile), verdict }) - 1,
      );
    }
    return {
      campaign: row.campaign_id,
      t: numbers(row.times),
      recipient: numbers(row.recipient_ids),
      link: numbers(row.link_ids),
      profile,
      profiles,
    };
  });
  const { people, hitCounts, activity } = countHits(deltas, new Set(tests.rows.map(({ id }) => id)));
  await client.query('SELECT shard.add_activity($1, $2, $3, $4, $5, $6)', activity);
  await client.query('SELECT shard.add_hit_counts($1, $2, $3)', hitCounts);
  await client.query('SELECT shard.add_people($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', people);
}
