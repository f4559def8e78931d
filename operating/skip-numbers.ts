import { type ShardMap, shardUrl } from '../core/shards.ts';
import { connect } from '../sql/connect.ts';

const TABLES = ['campaign', 'link', 'recipient'] as const;

/** The next number of a table of the catalog, before and after the skip. */
export interface Skipped {
  table: (typeof TABLES)[number];
  next_before: number;
  next: number;
}

/**
 * Skips `by` numbers of campaigns, links and recipients. The skip starts after the highest number in the catalog and in all shards. Run
 * this after the catalog was restored from a backup. The backup lacks the campaigns, links and recipients that were created later, but
 * letters with their numbers were sent. A number must not be used twice. `ownerUrl` is the URL of the catalog for its owner.
 */
export async function skipNumbers(ownerUrl: string, shards: ShardMap, by: number): Promise<Skipped[]> {
  const seen: Record<(typeof TABLES)[number], number> = { campaign: 0, link: 0, recipient: 0 };
  for (const shard of shards.list) {
    const client = await connect(shardUrl(shard, ownerUrl));
    try {
      // Counts and sets are kept longer than events.
      const { rows } = await client.query<Record<keyof typeof seen, string | null>>(
        `SELECT greatest((SELECT max(campaign_id) FROM shard.activity_now), (SELECT max(campaign_id) FROM shard.unsubscribe)) AS campaign,
                greatest((SELECT max(link_id) FROM shard.activity_now), (SELECT max(link_id) FROM shard.unsubscribe),
                         (SELECT max(greatest(site_id, link_id)) FROM shard.site_event)) AS link,
                greatest((SELECT max(recipient_id) FROM shard.delta_hit), (SELECT max(recipient_id) FROM shard.unsubscribe),
                         (SELECT max(recipient_id) FROM shard.site_event),
                         (SELECT max(recipient) FROM shard.people CROSS JOIN LATERAL shard.members(chunk, few, bits) AS recipient
                          WHERE facet = 'all' AND chunk = (SELECT max(chunk) FROM shard.people WHERE facet = 'all'))) AS recipient`,
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
