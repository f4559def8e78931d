import type { Config } from '../core/config.ts';
import { shardUrl } from '../core/shards.ts';
import { connect } from '../sql/connect.ts';
import type { MIGRATION_SETTINGS } from './migrate.ts';

/**
 * Makes the present database of a shard the right one, although agents have seen a later one: its epoch rises above theirs when a worker uses
 * it next. See sql/shard/0017-epoch.sql. Throws `bad-settings` if the shard does not exist.
 */
export async function acceptShard(config: Config<(typeof MIGRATION_SETTINGS)[number]>, name: string): Promise<void> {
  const client = await connect(shardUrl(config.SHARDS.named(name), config.CATALOG_URL));
  try {
    await client.query('UPDATE shard.identity SET timeline = NULL');
  } finally {
    await client.end();
  }
}
