import type { Config } from '../core/config.ts';
import { createPool, explainErrors } from '../core/postgres.ts';
import { shardUrl } from '../core/shards.ts';
import { type Reclassified, reclassifyShard } from '../event-worker/reclassify-shard.ts';

export const RECLASSIFY_SETTINGS = ['WORKER_URL', 'SHARDS'] as const;

/** Judges all hits of a campaign again by the current rules, one shard after the other. With `dryRun` nothing is changed. */
export async function reclassify(
  config: Config<(typeof RECLASSIFY_SETTINGS)[number]>,
  campaign: number,
  dryRun: boolean,
): Promise<Reclassified[]> {
  const sum = new Map<string, Reclassified>();
  for (const shard of config.SHARDS.list) {
    const pool = createPool(shardUrl(shard, config.WORKER_URL), { max: 1, name: 'reclassify' });
    for (const row of await explainErrors(() => reclassifyShard(pool, campaign, dryRun)).finally(() => pool.end())) {
      const key = `${row.kind} ${row.was} ${row.becomes}`;
      const before = sum.get(key);
      sum.set(key, before ? { ...row, hits: before.hits + row.hits, older_rules: before.older_rules + row.older_rules } : row);
    }
  }
  return [...sum.values()];
}
