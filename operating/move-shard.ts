import type { Config } from '../core/config.ts';
import { readEnvFile, writeEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { parseShards, shardUrl } from '../core/shards.ts';
import { prepareShard } from '../sql/migrate.ts';
import { copyShard, countShard } from './copy-shard.ts';
import { migrate, type MIGRATION_SETTINGS, roleUrlsOf } from './migrate.ts';

type Settings = Config<(typeof MIGRATION_SETTINGS)[number]>;

/** Where a shard is and where it goes. Both URLs are without credentials. */
export interface ShardMove {
  name: string;
  from: string;
  to: string;
  /** The new value of SHARDS. */
  shards: string;
}

/** Throws `bad-input` where the shard is at `to` already, and what is wrong with `to`. */
export function planMove(config: Settings, name: string, to: string): ShardMove {
  const { url: from } = config.SHARDS.named(name);
  if (to === from) throw new ClickledgerError('bad-input', `shard ${name} lives there already`);
  const shards = config.SHARDS.list.map((each) => `${each.name}=${each.from}=${each.name === name ? to : each.url}`).join(',');
  parseShards(shards);
  return { name, from, to, shards };
}

/** How many rows the shard has, by table. */
export function countRows(config: Settings, { name }: ShardMove): ReturnType<typeof countShard> {
  return countShard(shardUrl(config.SHARDS.named(name), config.CATALOG_URL));
}

/**
 * Copies the shard in one snapshot while everything runs, and points the catalog's views at the copy. What workers commit to the old database
 * meanwhile is missing in the copy, and agents fill it from the logs. Returns the rows copied, by table.
 */
export async function moveShard(config: Settings, move: ShardMove, onTable: (table: string) => void): ReturnType<typeof copyShard> {
  const shards = parseShards(move.shards);
  const target = shards.named(move.name);
  await prepareShard(target, shards, config.CATALOG_URL, roleUrlsOf(config));
  const copied = await copyShard(
    shardUrl(config.SHARDS.named(move.name), config.CATALOG_URL),
    shardUrl(target, config.CATALOG_URL),
    onTable,
  );
  // From here on reports read the new one.
  await migrate({ ...config, SHARDS: shards });
  return copied;
}

/** Writes the new SHARDS into the settings of `dataDir`; false where they are not kept there. */
export async function saveMove(dataDir: string, move: ShardMove): Promise<boolean> {
  const settings = await readEnvFile(dataDir);
  if (settings['SHARDS'] === undefined) return false;
  await writeEnvFile(dataDir, { ...settings, SHARDS: move.shards });
  return true;
}
