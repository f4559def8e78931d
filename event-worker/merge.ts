import type { Kind, Origin } from '../core/event.ts';
import type { PoolClient } from '../core/postgres.ts';
import type { Verdict } from '../core/rules.ts';
import { countHits, type Hits } from './sets.ts';

// Merges deltas into the counts and sets of recipients. The larger a merge is, the less each hit costs. So a campaign is merged when it has many
// hits in deltas, or when its hits have waited for a while.

/** When a campaign is merged, and how many hits one step merges at most. */
export interface MergeLimits {
  readonly hits: number;
  readonly seconds: number;
  readonly most: number;
}

// A report adds the hits in deltas to the stored counts: for 10,000 hits that takes some milliseconds.
const LIMITS: MergeLimits = { hits: 10_000, seconds: 60, most: 100_000 };

type DeltaRow = Record<
  'times' | 'recipient_ids' | 'link_ids' | 'kinds' | 'verdicts' | 'countries' | 'nets' | 'referrers' | 'agent_ids',
  string
> & { campaign_id: number };

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
  const agentIds = new Set(rows.flatMap((row) => row.agent_ids.slice(1, -1).split(',')));
  const agents = await client.query<Hits['agent'][number]>('SELECT id::text, client, system, device FROM shard.user_agent WHERE id = ANY ($1)', [
    [...agentIds],
  ]);
  const agentOf = new Map(agents.rows.map((agent) => [agent.id, agent]));
  const origins = new Map<string, Origin>();
  const deltas = rows.map((row): Hits => {
    const read = <T>(text: string): T[] => JSON.parse(text) as T[];
    const t = read<number>(row.times);
    const nets = read<string | null>(row.nets);
    return {
      t,
      recipient: read(row.recipient_ids),
      link: read(row.link_ids),
      campaign: t.map(() => row.campaign_id),
      kind: read<Kind>(row.kinds),
      verdict: read<Verdict>(row.verdicts),
      agent: row.agent_ids.slice(1, -1).split(',').map((id) => agentOf.get(id) ?? { id, client: '', system: '', device: '' }),
      origin: read<string | null>(row.countries).map((country, i) => {
        const net = nets[i] ?? null;
        // Hits that share the object are counted faster.
        const key = `${country}\n${net}`;
        const known = origins.get(key) ?? { country, net };
        origins.set(key, known);
        return known;
      }),
      referrer: read(row.referrers),
    };
  });
  const { people, activity } = countHits(deltas, new Set(tests.rows.map(({ id }) => id)));
  await client.query('SELECT shard.add_activity($1, $2, $3, $4, $5, $6)', activity);
  await client.query('SELECT shard.add_people($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)', people);
  return deltas.reduce((sum, { t }) => sum + t.length, 0);
}
