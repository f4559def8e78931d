import type { Config } from '../core/config.ts';
import { ClickledgerError, codeOf, messageOf } from '../core/errors.ts';
import { explainErrors } from '../core/postgres.ts';
import type { LimitOptions } from '../sql/limit-roles.ts';
import { migrate as migrateDatabases, prepareUpgrade as prepareDatabases } from '../sql/migrate.ts';

export const MIGRATION_SETTINGS = [
  'CATALOG_URL',
  'BACKEND_URL',
  'WORKER_URL',
  'AUTHOR_URL',
  'ANALYST_URL',
  'FORWARDER_URL',
  'SHARDS',
  'SLUG_KEYS',
] as const;

type Settings = Config<(typeof MIGRATION_SETTINGS)[number]>;

/** Returns the database URL of each role. Migrations create the roles with the names and passwords of these URLs. */
export function roleUrlsOf(config: Settings) {
  return {
    backend: config.BACKEND_URL,
    worker: config.WORKER_URL,
    author: config.AUTHOR_URL,
    analyst: config.ANALYST_URL,
    forwarder: config.FORWARDER_URL,
  };
}

/** Applies the missing migrations to the catalog and to all shards, and returns the applied migrations. Throws a ClickledgerError. */
export function migrate(config: Settings, limits: LimitOptions = {}): ReturnType<typeof migrateDatabases> {
  return explainErrors(() =>
    migrateDatabases({
      ownerUrl: config.CATALOG_URL,
      roleUrls: roleUrlsOf(config),
      shards: config.SHARDS,
      keys: config.SLUG_KEYS,
      ...limits,
    }).catch(explainOwner),
  );
}

/** Prepares the servers of the catalog and of all shards for pg_upgrade. Throws a ClickledgerError. */
export function prepareUpgrade(config: Pick<Settings, 'CATALOG_URL' | 'SHARDS'>, limits: LimitOptions = {}): Promise<void> {
  return explainErrors(() => prepareDatabases({ ownerUrl: config.CATALOG_URL, shards: config.SHARDS, ...limits }));
}

/**
 * Other missing rights of the owner are found before the migrations. So this error means that a table or a schema belongs to another role.
 */
function explainOwner(error: unknown): never {
  if (codeOf(error) !== '42501') throw error;
  throw new ClickledgerError(
    'bad-settings',
    `the owner in CATALOG_URL does not own everything in the databases (${messageOf(error)}): give the owner who created them in CATALOG_URL`,
    { cause: error },
  );
}
