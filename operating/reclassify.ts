import type { Config } from '../core/config.ts';
import { createPool, explainErrors, type Pool } from '../core/postgres.ts';
import { shardUrl } from '../core/shards.ts';
import { type CampaignFacts, type Reclassified, reclassifyShard } from '../event-worker/reclassify-shard.ts';

export const RECLASSIFY_SETTINGS = ['WORKER_URL', 'SHARDS'] as const;

/**
 * Judges all hits of a campaign again by the current rules, one shard after the other. With `dryRun` nothing is changed. `catalog` is a
 * connection to the catalog with the rights of an author.
 */
export async function reclassify(
  config: Config<(typeof RECLASSIFY_SETTINGS)[number]>,
  catalog: Pool,
  campaign: number,
  dryRun: boolean,
): Promise<Reclassified[]> {
  const facts = await factsOf(catalog, campaign);
  const sum = new Map<string, Reclassified>();
  for (const shard of config.SHARDS.list) {
    const pool = createPool(shardUrl(shard, config.WORKER_URL), { max: 1, name: 'reclassify' });
    for (const row of await explainErrors(() => reclassifyShard(pool, facts, dryRun)).finally(() => pool.end())) {
      const key = `${row.kind} ${row.was} ${row.becomes}`;
      const before = sum.get(key);
      sum.set(key, before ? { ...row, hits: before.hits + row.hits, older_rules: before.older_rules + row.older_rules } : row);
    }
  }
  return [...sum.values()];
}

async function factsOf(catalog: Pool, campaign: number): Promise<CampaignFacts> {
  const { rows } = await catalog.query<{ sent_at: Date | null; honeypots: number[] }>(
    `SELECT sent_at, ARRAY(SELECT id FROM catalog.link WHERE campaign_id = c.id AND kind = 'honeypot') AS honeypots FROM catalog.campaign c WHERE id = $1`,
    [campaign],
  );
  const { sent_at, honeypots } = rows[0] as (typeof rows)[number];
  return { id: campaign, sentAt: sent_at?.getTime(), honeypots: new Set(honeypots.map(Number)) };
}
