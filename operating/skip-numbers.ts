import { type ShardMap, shardUrl } from '../core/shards.ts';
import { connect } from '../sql/connect.ts';

const TABLES = ['campaign', 'link', 'recipient'] as const;

/** The next number of a table of the catalog, before and after. */
export interface Skipped {
  table: (typeof TABLES)[number];
  next_before: number;
  next: number;
}

/**
 * After the catalog was put back from a backup: campaigns, links and recipients that were made since are not in it, yet their numbers are in
 * letters that were sent, and must not be given a second time. Skips `by` numbers beyond the highest that the catalog or any shard knows.
 * `ownerUrl` is the catalog's.
 */
export async function skipNumbers(ownerUrl: string, shards: ShardMap, by: number): Promise<Skipped[]> {
  const seen: Record<(typeof TABLES)[number], number> = { campaign: 0, link: 0, recipient: 0 };
  for (const shard of shards.list) {
    const client = await connect(shardUrl(shard, ownerUrl));
    try {
      // Rollups reach back further than events, and do not have what waits.
      const { rows } = await client.query<Record<keyof typeof seen, string | null>>(
        `SELECT greatest((SELECT max(campaign_id) FROM shard.activity_15m), (SELECT max(campaign_id) FROM shard.engagement), (SELECT max(campaign_id) FROM shard.mark)) AS campaign,
                greatest((SELECT max(link_id) FROM shard.activity_15m), (SELECT max(link_id) FROM shard.clicked_link), (SELECT max(link_id) FROM shard.mark)) AS link,
                greatest((SELECT max(recipient_id) FROM shard.engagement), (SELECT max(recipient_id) FROM shard.mark)) AS recipient`,
      );
      for (const table of TABLES) seen[table] = Math.max(seen[table], Number(rows[0]?.[table] ?? 0));
    } finally {
      await client.end();
    }
  }
  const catalog = await connect(ownerUrl);
  try {
    const skipped: Skipped[] = [];
    for (const table of TABLES) {
      const sequence = `catalog.${table}_id_seq`;
      const { rows } = await catalog.query<{ before: string; next: string }>(
        `WITH known AS (SELECT last_value + is_called::int AS before FROM ${sequence})
         SELECT before, setval('${sequence}', greatest(before - 1, $1, (SELECT max(id) FROM catalog.${table})) + $2) + 1 AS next FROM known`,
        [seen[table], by],
      );
      skipped.push({ table, next_before: Number(rows[0]?.before), next: Number(rows[0]?.next) });
    }
    return skipped;
  } finally {
    await catalog.end();
  }
}
