import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { evenShards, parseShards, type ShardMap, shardUrl } from '../../core/shards.ts';
import { parseSlugKeys, type SlugKey } from '../../core/slug.ts';
import { migrate, type RoleUrls } from '../../sql/migrate.ts';
import { eventually } from './servers.ts';

/** A migrated catalog and its shards for one test file. They are on the Postgres cluster that all tests share. */
export interface Databases {
  ownerUrl: string;
  roleUrls: RoleUrls;
  shards: ShardMap;
  /** The values of SHARDS and SLUG_KEYS. */
  shardsText: string;
  keysText: string;
  keys: SlugKey[];
  /** The `connectionString` of the owner or a role for a shard. */
  shardUrlAs(shard: string, role: keyof RoleUrls | 'owner'): string;
  /** Runs one statement as the owner, on the catalog or a shard. */
  query<Row extends pg.QueryResultRow>(database: string, sql: string, values?: unknown[]): Promise<Row[]>;
  /** Begins a transaction as the owner, runs the statements in it, and leaves it open. The connection is closed after the test. */
  begin(database: string, ...statements: string[]): Promise<pg.Client>;
}

/**
 * Returns names and URLs of databases that do not exist yet, for tests of migrations. `cluster` is the URL of a server with the credentials
 * of the owner.
 */
export function describeDatabases(shardCount = 1, cluster = inject('clusterUrl')): Databases {
  const name = `t_${randomBytes(6).toString('hex')}`;
  const host = new URL(cluster).host;
  const ownerUrl = `${cluster}/${name}`;
  const roleUrl = (role: string) => `postgres://clickledger_${role}:${role}@${host}/${name}`;
  const roleUrls: RoleUrls = {
    backend: roleUrl('backend'),
    worker: roleUrl('worker'),
    author: roleUrl('author'),
    analyst: roleUrl('analyst'),
    forwarder: roleUrl('forwarder'),
  };
  const shardsText = evenShards(shardCount, (shard) => `postgres://${host}/${name}_${shard}`);
  const shards = parseShards(shardsText);
  const keysText = randomBytes(32).toString('hex');
  const ownerUrlOf = (database: string) => (database === 'catalog' ? ownerUrl : shardUrlAs(database, 'owner'));
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
    async query<Row extends pg.QueryResultRow>(database: string, sql: string, values: unknown[] = []) {
      const client = await poolOf(ownerUrlOf(database)).connect();
      try {
        return (await client.query<Row>(sql, values)).rows;
      } finally {
        // This deletes the settings and the temporary tables of the session, so that they do not change the next statement.
        const isReset = await client.query('DISCARD ALL').then(
          () => true,
          () => false,
        );
        client.release(!isReset);
      }
    },
    async begin(database, ...statements) {
      const client = new pg.Client({ connectionString: ownerUrlOf(database) });
      await client.connect();
      onTestFinished(() => client.end());
      for (const statement of ['BEGIN', ...statements]) await client.query(statement);
      return client;
    },
  };
}

const pools = new Map<string, pg.Pool>();

/**
 * Returns the pool for single statements to a database. It closes a connection that was not used for two seconds. A new connection for each
 * statement would cost Postgres some 50 ms of CPU time. Open connections do not keep the process from exiting.
 */
function poolOf(url: string): pg.Pool {
  let pool = pools.get(url);
  if (!pool) {
    pool = new pg.Pool({ connectionString: url, idleTimeoutMillis: 2_000, allowExitOnIdle: true });
    // A test may end the connection, or stop the server.
    pool.on('error', () => {});
    pools.set(url, pool);
  }
  return pool;
}

/** Waits until exactly `count` statements of workers wait for a lock on a shard. */
export function untilWorkersBlocked(databases: Databases, shard: string, count: number): Promise<void> {
  return eventually(`${count} workers wait for a lock`, async () => {
    const [row] = await databases.query<{ n: number }>(
      shard,
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND usename = 'clickledger_worker' AND wait_event_type = 'Lock'`,
    );
    return row?.n === count;
  });
}

export async function createDatabases(shardCount = 1): Promise<Databases> {
  const databases = describeDatabases(shardCount);
  await migrate(databases);
  return databases;
}
