import type { Config } from '../core/config.ts';
import { explainErrors } from '../core/postgres.ts';
import { migrate as migrateDatabases } from '../sql/migrate.ts';

export const MIGRATION_SETTINGS = ['CATALOG_URL', 'BACKEND_URL', 'WORKER_URL', 'AUTHOR_URL', 'ANALYST_URL', 'SHARDS', 'SLUG_KEYS'] as const;

type Settings = Config<(typeof MIGRATION_SETTINGS)[number]>;

/** The database URLs by role. Migrations create the roles with the names and passwords of these URLs. */
export function roleUrlsOf(config: Settings) {
  return { backend: config.BACKEND_URL, worker: config.WORKER_URL, author: config.AUTHOR_URL, analyst: config.ANALYST_URL };
}

/** Applies the missing migrations to the catalog and to all shards, and returns them. Throws a ClickledgerError. */
export function migrate(config: Settings): ReturnType<typeof migrateDatabases> {
  return explainErrors(() =>
    migrateDatabases({ ownerUrl: config.CATALOG_URL, roleUrls: roleUrlsOf(config), shards: config.SHARDS, keys: config.SLUG_KEYS }),
  );
}
