// Restorations of databases from a backup, for property tests: the tables are copied within the database, and put back later.

/** The tables of a shard that a restoration concerns. */
export const SHARD_TABLES = [
  'ledger',
  'user_agent',
  'dead_letter',
  'skipped',
  'activity_15m',
  'people',
  'hit_count',
  'delta',
  'unsubscribe',
  'verdict_change',
  'event',
].map((name) => `shard.${name}`);

const copyOf = (table: string): string => `backup.${table.replace('.', '_')}`;

/** The SQL that copies tables into the schema `backup`. */
export const keepCopy = (tables: readonly string[]): string =>
  `DROP SCHEMA IF EXISTS backup CASCADE; CREATE SCHEMA backup; ${tables.map((table) => `CREATE TABLE ${copyOf(table)} AS SELECT * FROM ${table};`).join('')}`;

/** The SQL that puts the copies back, in one transaction. `last` is run at its end. */
export const putBack = (tables: readonly string[], last = ''): string =>
  `BEGIN; TRUNCATE ${tables.join(', ')}; ${tables.map((table) => `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM ${copyOf(table)};`).join('')} ${last} COMMIT`;

/** The SQL that puts a shard back. Ids are given again after a restoration. */
export const PUT_SHARD_BACK = putBack(
  SHARD_TABLES,
  `SELECT setval('shard.verdict_change_id_seq', coalesce((SELECT max(id) FROM shard.verdict_change), 0) + 1, false),
          setval('shard.delta_id_seq', coalesce((SELECT max(id) FROM shard.delta), 0) + 1, false);`,
);
