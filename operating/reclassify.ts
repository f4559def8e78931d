import type { Config } from '../core/config.ts';
import { createPool, explainErrors } from '../core/postgres.ts';
import { RULES_ROW, rulesParameters } from '../core/rules.ts';
import { shardUrl } from '../core/shards.ts';

export const RECLASSIFY_SETTINGS = ['WORKER_URL', 'SHARDS'] as const;

/**
 * The number of hits of one kind whose old verdict is `was` and whose new verdict is `becomes`. Both verdicts may be the same.
 * `older_rules` is the number of these hits that were first judged by an older version of the rules.
 */
export interface Reclassified {
  kind: string;
  was: string;
  becomes: string;
  hits: number;
  older_rules: number;
}

/** Judges all hits of a campaign again by the current rules, one shard after the other. With `dryRun` nothing is changed. */
export async function reclassify(
  config: Config<(typeof RECLASSIFY_SETTINGS)[number]>,
  campaign: number,
  dryRun: boolean,
): Promise<Reclassified[]> {
  const sum = new Map<string, Reclassified>();
  for (const shard of config.SHARDS.list) {
    for (const row of await reclassifyShard(shardUrl(shard, config.WORKER_URL), campaign, dryRun)) {
      const key = `${row.kind} ${row.was} ${row.becomes}`;
      const before = sum.get(key);
      sum.set(key, before ? { ...row, hits: before.hits + row.hits, older_rules: before.older_rules + row.older_rules } : row);
    }
  }
  return [...sum.values()];
}

async function reclassifyShard(url: string, campaign: number, dryRun: boolean): Promise<Reclassified[]> {
  const pool = createPool(url, { max: 1, name: 'reclassify' });
  const { rows } = await explainErrors(() =>
    pool.query<Reclassified>(`SELECT * FROM shard.reclassify(${RULES_ROW}, $12, $13)`, [...rulesParameters(), campaign, dryRun]),
  ).finally(() => pool.end());
  return rows;
}
