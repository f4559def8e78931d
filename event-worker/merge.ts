import type { Kind } from '../core/event.ts';
import type { PoolClient } from '../core/postgres.ts';
import type { Verdict } from '../core/rules.ts';
import type { CountedAgent, Profile } from './hits.ts';
import { type CampaignHits, countHits } from './sets.ts';

// Merges deltas into the counts and sets of recipients. The larger a merge is, the less each hit costs. So a campaign is merged when it has many
// hits in deltas, or when its hits have waited for a while.

/** When a campaign is merged, and how many hits one step merges at most. */
export interface MergeLimits {
  readonly hits: number;
  readonly seconds: number;
  readonly most: number;
}

// A report adds the hits in deltas to the stored counts: for 10,000 hits that takes some milliseconds.
const LIMITS: MergeLimits = { hits: 10_000, seconds: 60, most: 50_000 };

interface DeltaRow {
  campaign_id: number;
  /** JSON arrays of numbers. */
  times: string;
  recipient_ids: string;
  link_ids: string;
  profiles: string;
  kinds: Kind[];
  verdicts: Verdict[];
  countries: (string | null)[];
  nets: (string | null)[];
  referrers: (string | null)[];
  agent_ids: string[];
}

/**
 * Merges the deltas that are due, and all those of `campaigns`. Returns the number of merged hits. The caller holds the lock of the judge; the
 * deltas disappear and their hits are counted in its transaction.
 */
export async function mergeDeltas(client: PoolClient, campaigns: readonly number[], limits = LIMITS): Promise<number> {
  const { rows } = await client.query<DeltaRow>('SELECT * FROM shard.take_deltas($1, $2, make_interval(secs => $3), $4)', [
    campaigns,
    limits.hits,
    limits.seconds,
    limits.most,
  ]);
  if (rows.length === 0) return 0;
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
    return {
      campaign: row.campaign_id,
      t: numbers(row.times),
      recipient: numbers(row.recipient_ids),
      link: numbers(row.link_ids),
      profile: numbers(row.profiles).map((place) => place - 1),
      profiles,
    };
  });
  const { people, activity } = countHits(deltas, new Set(tests.rows.map(({ id }) => id)));
  await client.query('SELECT shard.add_activity($1, $2, $3, $4, $5, $6)', activity);
  await client.query('SELECT shard.add_people($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', people);
  return deltas.reduce((sum, { t }) => sum + t.length, 0);
}
