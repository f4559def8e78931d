import { hash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { ClickledgerError, codeOf, messageOf } from '../core/errors.ts';
import { type Shard, type ShardMap, shardUrl } from '../core/shards.ts';
import type { SlugKey } from '../core/slug.ts';
import { connect } from './connect.ts';
import { syncRecipients } from './sync-recipients.ts';

// Brings the catalog and every shard to the version of this code: roles, databases, numbered migrations, and then the rows that depend on
// the settings. Every step is idempotent. Two runs at the same time wait for each other.

export const ROLES = ['backend', 'worker', 'author', 'analyst'] as const;
export type Role = (typeof ROLES)[number];
export type RoleUrls = Record<Role, string>;

const LOCK = 4_718_221;
/** SQLSTATE. */
const LOCK_NOT_AVAILABLE = '55P03';

interface Migration {
  number: number;
  name: string;
  sql: string;
  /** The SHA-256 of its text. An applied migration never changes. */
  hash: string;
}

/** The migrations that a run has applied, in order. */
export type Applied = { database: string; name: string }[];

/**
 * Migrates the catalog and all shards. `ownerUrl` is the URL of the catalog as its owner, whose credentials must be valid on the servers of
 * all shards. Throws `wrong-database` or `database-too-new` if a database does not fit, and `bad-settings` for the URL of another role.
 */
export async function migrate(options: {
  ownerUrl: string;
  roleUrls: RoleUrls;
  shards: ShardMap;
  keys: readonly SlugKey[];
}): Promise<Applied> {
  const { ownerUrl, roleUrls, shards, keys } = options;
  const applied: Applied = [];
  await prepareServer(ownerUrl, roleUrls);
  const catalog = await connect(ownerUrl);
  try {
    // The lock is held until the connection ends, so it also covers the shards.
    await catalog.query('SELECT pg_advisory_lock($1)', [LOCK]);
    applied.push(...(await applyAll(catalog, 'catalog', 'catalog')));
    await grantConnect(catalog, ROLES);
    await grantTemporary(catalog);
    await recordShards(catalog, shards);
    for (const { fingerprint } of keys)
      await catalog.query('INSERT INTO catalog.signing_key (fingerprint) VALUES ($1) ON CONFLICT DO NOTHING', [fingerprint]);
    for (const shard of shards.list) {
      applied.push(...(await prepareShard(shard, shards, ownerUrl, roleUrls)));
      await attach(catalog, shard, roleUrls.analyst);
    }
    await syncRecipients(catalog, shards, ownerUrl);
  } finally {
    await catalog.end();
  }
  return applied;
}

/** Creates and migrates the database of one shard, without the catalog. */
export async function prepareShard(shard: Shard, shards: ShardMap, ownerUrl: string, roleUrls: RoleUrls): Promise<Applied> {
  const url = shardUrl(shard, ownerUrl);
  await prepareServer(url, roleUrls);
  const client = await connect(url);
  try {
    // This is another lock than the catalog's: a shard may be in the database of the catalog, where migrate() holds that lock.
    await client.query('SELECT pg_advisory_lock($1)', [LOCK + 1]);
    const applied = await applyAll(client, 'shard', `shard ${shard.name}`);
    await grantConnect(client, ['worker', 'author', 'analyst']);
    await client.query('INSERT INTO shard.identity (name, shards) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
      shard.name,
      shards.fingerprint,
    ]);
    const identity = await client.query<{ name: string; shards: string }>('SELECT name, shards FROM shard.identity');
    const { name, shards: list } = identity.rows[0] as { name: string; shards: string };
    if (name !== shard.name || list !== shards.fingerprint) {
      throw new ClickledgerError(
        'wrong-database',
        `the database of shard ${shard.name} was initialised as shard ${name} of another shard list. The names and bounds of SHARDS cannot change after that: correct SHARDS`,
      );
    }
    await client
      .query('SELECT shard.ensure_month(now() + make_interval(months => n)) FROM generate_series(0, 3) n')
      .catch((error: unknown) => {
        // A new month cannot be attached while a query reads all events. The workers try again later.
        if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      });
    return applied;
  } finally {
    await client.end();
  }
}

/**
 * Creates the database if it does not exist, and the roles with the passwords of their URLs. Databases and roles belong to the whole
 * server, so this connects to its database `postgres` and takes a lock there.
 */
async function prepareServer(url: string, roleUrls: RoleUrls): Promise<void> {
  const maintenance = new URL(url);
  const database = decodeURIComponent(maintenance.pathname.slice(1));
  maintenance.pathname = '/postgres';
  const client = await connect(maintenance.toString());
  try {
    // This is another lock than the catalog's: the catalog may be in the database `postgres`, where migrate() holds that lock.
    await client.query('SELECT pg_advisory_lock($1)', [LOCK + 2]);
    const databases = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
    if (databases.rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)} TEMPLATE template0 ENCODING 'UTF8'`);
    for (const role of ROLES) {
      const { username, password } = new URL(roleUrls[role]);
      const name = `clickledger_${role}`;
      if (username !== name)
        throw new ClickledgerError(
          'bad-settings',
          `${role.toUpperCase()}_URL must connect as ${name}, not as '${username}': correct the user in the URL`,
        );
      const roles = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
      if (roles.rowCount === 0) await client.query(`CREATE ROLE ${name} NOINHERIT`);
      await client.query(`ALTER ROLE ${name} LOGIN PASSWORD ${pg.escapeLiteral(decodeURIComponent(password))}`);
    }
    // Only then does postgres_fdw send an aggregate to the shards. It does so if the query groups by shard.
    await client.query('ALTER ROLE clickledger_analyst SET enable_partitionwise_aggregate = on');
  } finally {
    await client.end();
  }
}

/** Lets only the named roles connect to the database of `client`. */
async function grantConnect(client: pg.Client, roles: readonly Role[]): Promise<void> {
  const { rows } = await client.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  const database = rows[0]?.name;
  await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
  await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${roles.map((role) => `clickledger_${role}`).join(', ')}`);
}

/** Lets authors create temporary tables: an import of recipients copies its list into one first. */
async function grantTemporary(catalog: pg.Client): Promise<void> {
  const { rows } = await catalog.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  await catalog.query(`GRANT TEMPORARY ON DATABASE ${rows[0]?.name} TO clickledger_author`);
}

/** Applies the missing migrations of a set, each in a transaction. `database` is its name in messages. */
async function applyAll(client: pg.Client, set: 'catalog' | 'shard', database: string): Promise<Applied> {
  const migrations = await readMigrations(set);
  await client.query(
    'CREATE TABLE IF NOT EXISTS public.clickledger_migration (set text, number integer, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (set, number))',
  );
  await client.query('ALTER TABLE public.clickledger_migration ADD COLUMN IF NOT EXISTS hash text');
  const { rows } = await client.query<{ number: number; name: string; hash: string | null }>(
    'SELECT number, name, hash FROM public.clickledger_migration WHERE set = $1 ORDER BY number',
    [set],
  );
  const newest = migrations.at(-1)?.number ?? 0;
  const ahead = rows.find(({ number }) => number > newest);
  if (ahead)
    throw new ClickledgerError(
      'database-too-new',
      `the ${database} database has migration ${ahead.name}, which this version of clickledger does not have: update clickledger`,
    );
  const applied: Applied = [];
  for (const { number, name, sql, hash: ownHash } of migrations) {
    const known = rows.find((row) => row.number === number);
    // The schema would differ from what this version expects.
    if (known && known.hash !== ownHash)
      throw new ClickledgerError(
        'wrong-database',
        `the ${database} database was created with another text of migration ${name}, from before the first release: start with a new database`,
      );
    if (known) continue;
    try {
      await client.query('BEGIN');
      await client.query(sql);
      await client.query('INSERT INTO public.clickledger_migration (set, number, name, hash) VALUES ($1, $2, $3, $4)', [
        set,
        number,
        name,
        ownHash,
      ]);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw new ClickledgerError('server-failed', `migration ${set}/${name} failed: ${messageOf(error)}`, { cause: error });
    }
    applied.push({ database, name });
  }
  return applied;
}

async function readMigrations(set: string): Promise<Migration[]> {
  const directory = fileURLToPath(new URL(`${set}/`, import.meta.url));
  const names = (await readdir(directory)).filter((name) => /^\d{4}-.+\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(`${directory}${name}`, 'utf8');
      return { number: Number(name.slice(0, 4)), name, sql, hash: hash('sha256', sql) };
    }),
  );
}

/** Records the shard list on the first run, and compares it on every later run. Throws `wrong-database` if it differs. */
async function recordShards(catalog: pg.Client, shards: ShardMap): Promise<void> {
  const known = await catalog.query<{ name: string; from_tag: string }>('SELECT name, from_tag FROM catalog.shard ORDER BY from_tag');
  if (known.rowCount === 0) {
    // One statement, because an incomplete list would never match again.
    await catalog.query('INSERT INTO catalog.shard (name, from_tag) SELECT * FROM unnest($1::text[], $2::text[])', [
      shards.list.map(({ name }) => name),
      shards.list.map(({ from }) => from),
    ]);
    return;
  }
  const fixed = known.rows.map((row) => `${row.name}=${row.from_tag}`).join(',');
  const given = shards.list.map((shard) => `${shard.name}=${shard.from}`).join(',');
  if (fixed !== given)
    throw new ClickledgerError(
      'wrong-database',
      `SHARDS has ${given}, but this system was initialised with ${fixed}. Names and bounds cannot change: correct SHARDS`,
    );
}

/** Points the foreign tables of a shard at its database. */
async function attach(catalog: pg.Client, shard: Shard, analystUrl: string): Promise<void> {
  const url = new URL(shard.url);
  const analyst = new URL(analystUrl);
  await catalog.query('SELECT fleet.attach($1, $2, $3, $4, $5, $6, $7, $8)', [
    shard.name,
    // The brackets of an IPv6 address belong to the URL, not to the address.
    url.hostname.replace(/^\[|\]$/g, ''),
    url.port || '5432',
    decodeURIComponent(url.pathname.slice(1)),
    analyst.username,
    decodeURIComponent(analyst.password),
    url.searchParams.get('sslmode'),
    url.searchParams.get('sslrootcert'),
  ]);
}
