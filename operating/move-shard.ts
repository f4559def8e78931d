import type { Config } from '../core/config.ts';
import { readEnvFile, writeEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { parseShards, shardUrl } from '../core/shards.ts';
import type { LimitOptions } from '../sql/limit-roles.ts';
import { prepareShard } from '../sql/migrate.ts';
import { copyShard, countShardRows } from './copy-shard.ts';
import { migrate, type MIGRATION_SETTINGS, roleUrlsOf } from './migrate.ts';

type Settings = Config<(typeof MIGRATION_SETTINGS)[number]>;

/** The move of a shard from one database to another. `from` and `to` are database URLs without credentials. */
export interface ShardMove {
  name: string;
  from: string;
  to: string;
  /** The value of SHARDS after the move. */
  shards: string;
}

/**
 * Plans a move. Throws `bad-input` if the shard is already in the database `to`, and `bad-settings` if the shard does not exist or `to` is
 * invalid.
 */
export function planMove(config: Settings, name: string, to: string): ShardMove {
  const { url: from } = config.SHARDS.named(name);
  if (to === from) throw new ClickledgerError('bad-input', `shard ${name} is already in this database: give another one with --to`);
  const shards = config.SHARDS.list.map((each) => `${each.name}=${each.from}=${each.name === name ? to : each.url}`).join(',');
  parseShards(shards);
  return { name, from, to, shards };
}

/** Counts the rows of the shard that is to be moved, by table. */
export function countRows(config: Settings, { name }: ShardMove): ReturnType<typeof countShardRows> {
  return countShardRows(shardUrl(config.SHARDS.named(name), config.CATALOG_URL));
}

/**
 * Copies the shard in one snapshot while all parts run. Then changes the views of the catalog, so that they read the copy. The copy lacks
 * the events that workers commit to the old database after the snapshot. Agents publish these events again from the logs. Returns the
 * number of copied rows by table. `onTable` is called before each table. `limits` has the same meaning as for `migrate`.
 */
export async function moveShard(
  config: Settings,
  move: ShardMove,
  onTable: (table: string) => void,
  limits: LimitOptions = {},
): ReturnType<typeof copyShard> {
  const shards = parseShards(move.shards);
  const target = shards.named(move.name);
  await prepareShard(target, shards, config.CATALOG_URL, roleUrlsOf(config), limits);
  const copied = await copyShard(
    shardUrl(config.SHARDS.named(move.name), config.CATALOG_URL),
    shardUrl(target, config.CATALOG_URL),
    onTable,
  );
  // Changes the views of the catalog. From now on, reports read the new database.
  await migrate({ ...config, SHARDS: shards });
  return copied;
}

/** Writes the new SHARDS to the settings file of `dataDir`. Returns false, and writes nothing, if the file has no SHARDS. */
export async function saveShardsSetting(dataDir: string, move: ShardMove): Promise<boolean> {
  const settings = await readEnvFile(dataDir);
  if (settings['SHARDS'] === undefined) return false;
  await writeEnvFile(dataDir, { ...settings, SHARDS: move.shards });
  return true;
}
