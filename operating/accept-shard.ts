import type { Config } from '../core/config.ts';
import { shardUrl } from '../core/shards.ts';
import { connect } from '../sql/connect.ts';
import type { MIGRATION_SETTINGS } from './migrate.ts';

/**
 * Accepts the present database of a shard, although agents have seen a database with a higher epoch. When a worker next uses the database, its
 * epoch rises above all that agents have seen. See sql/shard/0017-epoch.sql. Throws `bad-settings` if the shard does not exist.
 */
export async function acceptShard(config: Config<(typeof MIGRATION_SETTINGS)[number]>, name: string): Promise<void> {
  const client = await connect(shardUrl(config.SHARDS.named(name), config.CATALOG_URL));
  try {
    await client.query('UPDATE shard.identity SET timeline = NULL');
  } finally {
    await client.end();
  }
}
