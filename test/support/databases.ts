import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { evenShards, parseShards, type ShardMap, shardUrl } from '../../core/shards.ts';
import { parseSlugKeys, type SlugKey } from '../../core/slug.ts';
import { migrate, type RoleUrls } from '../../sql/migrate.ts';

/** A catalog and shards of a test's own, migrated, on the shared cluster. */
export interface Databases {
  ownerUrl: string;
  roleUrls: RoleUrls;
  shards: ShardMap;
  /** The text of SHARDS and SLUG_KEYS. */
  shardsText: string;
  keysText: string;
  keys: SlugKey[];
  /** As `connectionString` for the owner or a role on the catalog or a shard. */
  shardUrlAs(shard: string, role: keyof RoleUrls | 'owner'): string;
  /** Runs one statement as the owner, on the catalog or a shard. */
  query<Row extends pg.QueryResultRow>(where: string, sql: string, values?: unknown[]): Promise<Row[]>;
}

/** What a worker does with the events that it commits, for tests that put them there themselves. */
export const MARK_ALL =
  'INSERT INTO shard.mark (at, recipient_id, link_id, campaign_id, kind, verdict) SELECT at, recipient_id, link_id, campaign_id, kind, verdict FROM shard.event';

/** Databases that nothing has been done to: for tests of migrations. */
export function describeDatabases(shardCount = 1): Databases {
  const cluster = inject('clusterUrl');
  const name = `t_${randomBytes(6).toString('hex')}`;
  const host = new URL(cluster).host;
  const ownerUrl = `${cluster}/${name}`;
  const roleUrl = (role: string) => `postgres://clickledger_${role}:${role}@${host}/${name}`;
  const roleUrls: RoleUrls = {
    backend: roleUrl('backend'),
    worker: roleUrl('worker'),
    author: roleUrl('author'),
    analyst: roleUrl('analyst'),
  };
  const shardsText = evenShards(shardCount, (shard) => `postgres://${host}/${name}_${shard}`);
  const shards = parseShards(shardsText);
  const keysText = randomBytes(32).toString('hex');
  const shardUrlAs = (shard: string, role: keyof RoleUrls | 'owner') =>
    shardUrl(shards.named(shard), role === 'owner' ? ownerUrl : roleUrls[role]);
  return {
    ownerUrl,
    roleUrls,
    shards,
    shardsText,
    keysText,
    keys: parseSlugKeys(keysText),
    shardUrlAs,
    async query<Row extends pg.QueryResultRow>(where: string, sql: string, values: unknown[] = []) {
      const client = new pg.Client({ connectionString: where === 'catalog' ? ownerUrl : shardUrlAs(where, 'owner') });
      await client.connect();
      try {
        return (await client.query<Row>(sql, values)).rows;
      } finally {
        await client.end();
      }
    },
  };
}

export async function createDatabases(shardCount = 1): Promise<Databases> {
  const databases = describeDatabases(shardCount);
  await migrate(databases);
  return databases;
}
