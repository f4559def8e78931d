import { hash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { libpqHosts, parseDatabaseUrl } from '../core/database-url.ts';
import { ClickledgerError, codeOf, messageOf } from '../core/errors.ts';
import { type Shard, type ShardMap, shardUrl } from '../core/shards.ts';
import type { SlugKey } from '../core/slug.ts';
import { connect } from './connect.ts';
import { locked } from './locked.ts';
import { administratorNeeded, connectToServer, databaseUrl, prepareDatabase } from './owner-rights.ts';
import { closeOtherDatabases, limitAnalyst, type LimitOptions, restoreFunctions, revokeFunctions } from './limit-roles.ts';
import { syncRecipients } from './sync-recipients.ts';

// Brings the catalog and every shard to the version of this code: first the roles and databases, then the numbered migrations, then the
// rows that depend on the settings. Every step is idempotent. It runs in a transaction that waits for the same step of another run.

export const ROLES = ['backend', 'worker', 'author', 'analyst', 'forwarder'] as const;
export type Role = (typeof ROLES)[number];
export type RoleUrls = Record<Role, string>;

// SQLSTATEs.
const LOCK_NOT_AVAILABLE = '55P03';
const PROHIBITED_STATEMENT = '2F003';

interface Migration {
  number: number;
  name: string;
  sql: string;
  /** The SHA-256 hash of the SQL. An applied migration must not change. */
  hash: string;
}

/** The migrations that a run has applied, in order. */
export type Applied = { database: string; name: string }[];

/**
 * Migrates the catalog and all shards. `ownerUrl` is the URL of the catalog with the credentials of its owner. These credentials must also
 * be valid on the servers of all shards. Throws `wrong-database` or `database-too-new` if a database does not fit. Throws `bad-settings` if
 * a URL in `roleUrls` has another role. If the owner lacks rights, throws `needs-administrator` before it changes a database.
 */
export async function migrate(
  options: { ownerUrl: string; roleUrls: RoleUrls; shards: ShardMap; keys: readonly SlugKey[] } & LimitOptions,
): Promise<Applied> {
  const { ownerUrl, roleUrls, shards, keys } = options;
  const applied: Applied = [];
  await prepareServers(ownerUrl, shards, shards.list, roleUrls, options);
  const catalog = await connect(ownerUrl);
  try {
    applied.push(...(await applyAll(catalog, 'catalog', 'catalog')));
    await locked(catalog, async () => {
      await grantConnect(catalog, ROLES);
      await grantTemporary(catalog);
      await revokeFunctions(catalog, true, options);
      await recordShards(catalog, shards);
      for (const { fingerprint } of keys)
        await catalog.query('INSERT INTO catalog.signing_key (fingerprint) VALUES ($1) ON CONFLICT DO NOTHING', [fingerprint]);
    });
    for (const shard of shards.list) {
      applied.push(...(await migrateShard(shard, shards, ownerUrl, options)));
      await locked(catalog, () => attach(catalog, shard, roleUrls.analyst));
      await assertPasswordAsked(catalog, shard);
    }
    await syncRecipients(catalog, shards, ownerUrl);
  } finally {
    await catalog.end();
  }
  return applied;
}

/**
 * Prepares the servers for pg_upgrade: undoes the limits of functions in the catalog and in all shards. `ownerUrl` is as for `migrate`, which
 * sets these limits again.
 */
export async function prepareUpgrade({
  ownerUrl,
  shards,
  ...options
}: { ownerUrl: string; shards: ShardMap } & LimitOptions): Promise<void> {
  for (const url of [ownerUrl, ...shards.list.map((shard) => shardUrl(shard, ownerUrl))]) {
    const client = await connect(url);
    try {
      await locked(client, () => restoreFunctions(client, options));
    } finally {
      await client.end();
    }
  }
}

/** Creates and migrates the database of one shard, without the catalog. */
export async function prepareShard(
  shard: Shard,
  shards: ShardMap,
  ownerUrl: string,
  roleUrls: RoleUrls,
  options: LimitOptions = {},
): Promise<Applied> {
  await prepareServers(ownerUrl, shards, [shard], roleUrls, options);
  return migrateShard(shard, shards, ownerUrl, options);
}

async function migrateShard(shard: Shard, shards: ShardMap, ownerUrl: string, options: LimitOptions): Promise<Applied> {
  const client = await connect(shardUrl(shard, ownerUrl));
  try {
    const applied = await applyAll(client, 'shard', `shard ${shard.name}`);
    await locked(client, async () => {
      await grantConnect(client, ['worker', 'author', 'analyst', 'forwarder']);
      await revokeFunctions(client, false, options);
      await client.query('INSERT INTO shard.identity (name, shards) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        shard.name,
        shards.fingerprint,
      ]);
    });
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
        // The partition of a new month cannot be attached while a query reads all events. The workers try again later.
        if (codeOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      });
    return applied;
  } finally {
    await client.end();
  }
}

/**
 * Creates the databases of the catalog and of the shards in `list` if they do not exist, and the roles with the passwords in their URLs. If
 * the owner lacks rights for this, throws `needs-administrator` with all statements that an administrator has to run.
 */
async function prepareServers(
  ownerUrl: string,
  shards: ShardMap,
  list: readonly Shard[],
  roleUrls: RoleUrls,
  options: LimitOptions,
): Promise<void> {
  const roles = ROLES.map((role) => {
    const { username, password } = parseDatabaseUrl(roleUrls[role]).url;
    const name = `clickledger_${role}`;
    if (username !== name)
      throw new ClickledgerError(
        'bad-settings',
        `${role.toUpperCase()}_URL must connect as ${name}, not as '${username}': correct the user in the URL`,
      );
    return { name, password: decodeURIComponent(password) };
  });
  const names = roles.map(({ name }) => name);
  const tasks = await prepareDatabase(ownerUrl, names, true);
  // This check comes before the databases are created, so that a mistake in SHARDS does not create a database.
  if (tasks.length === 0) await compareShards(ownerUrl, shards);
  const urls = list.map((shard) => shardUrl(shard, ownerUrl));
  for (const url of urls) tasks.push(...(await prepareDatabase(url, names, false)));
  if (tasks.length > 0) throw administratorNeeded(tasks);
  const servers = new Map([ownerUrl, ...urls].map((url) => [databaseUrl(url, ''), url]));
  for (const url of servers.values()) await createRoles(url, roles, options);
}

/**
 * Creates the roles on a server, or changes their passwords. Roles belong to the whole server, so the lock is taken in the database
 * `postgres` of the server.
 */
async function createRoles(url: string, roles: readonly { name: string; password: string }[], options: LimitOptions): Promise<void> {
  const client = await connectToServer(url);
  try {
    await locked(client, async () => {
      for (const { name, password } of roles) {
        const found = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
        if (found.rowCount === 0) await client.query(`CREATE ROLE ${name} NOINHERIT`);
        await client.query(`ALTER ROLE ${name} LOGIN PASSWORD ${pg.escapeLiteral(password)}`);
      }
      // Without this setting, postgres_fdw would never compute an aggregate on the shards. With it, an aggregate is computed there if the
      // query groups by shard.
      await client.query('ALTER ROLE clickledger_analyst SET enable_partitionwise_aggregate = on');
      await limitAnalyst(client, options);
      if (options.dedicated) await closeOtherDatabases(client, options);
    });
  } finally {
    await client.end();
  }
}

/** Allows only these roles to connect to the database of `client`. */
async function grantConnect(client: pg.Client, roles: readonly Role[]): Promise<void> {
  const { rows } = await client.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  const database = rows[0]?.name;
  await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  await client.query('REVOKE ALL ON SCHEMA public FROM PUBLIC');
  await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${roles.map((role) => `clickledger_${role}`).join(', ')}`);
}

/** Allows authors to create temporary tables, because an import of recipients first copies the list into a temporary table. */
async function grantTemporary(catalog: pg.Client): Promise<void> {
  const { rows } = await catalog.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  await catalog.query(`GRANT TEMPORARY ON DATABASE ${rows[0]?.name} TO clickledger_author`);
}

/** Applies the missing migrations of a set, each in its own transaction. `database` is the name of the database in messages. */
async function applyAll(client: pg.Client, set: 'catalog' | 'shard', database: string): Promise<Applied> {
  const migrations = await readMigrations(set);
  const known = await locked(client, async () => {
    await client.query(
      'CREATE TABLE IF NOT EXISTS public.clickledger_migration (set text, number integer, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (set, number))',
    );
    await client.query('ALTER TABLE public.clickledger_migration ADD COLUMN IF NOT EXISTS hash text');
    const { rows } = await client.query<{ number: number; name: string }>(
      'SELECT number, name FROM public.clickledger_migration WHERE set = $1 ORDER BY number',
      [set],
    );
    return rows;
  });
  const newest = migrations.at(-1)?.number ?? 0;
  const ahead = known.find(({ number }) => number > newest);
  if (ahead)
    throw new ClickledgerError(
      'database-too-new',
      `the ${database} database has migration ${ahead.name}, which this version of clickledger does not have: update clickledger`,
    );
  const applied: Applied = [];
  for (const migration of migrations)
    if (await locked(client, () => applyOnce(client, set, migration, database))) applied.push({ database, name: migration.name });
  return applied;
}

/** Applies a migration unless it is already applied. Returns whether this call applied it. */
async function applyOnce(
  client: pg.Client,
  set: string,
  { number, name, sql, hash: ownHash }: Migration,
  database: string,
): Promise<boolean> {
  const { rows } = await client.query<{ hash: string | null }>(
    'SELECT hash FROM public.clickledger_migration WHERE set = $1 AND number = $2',
    [set, number],
  );
  // With another text of the migration, the schema may differ from the schema that this version expects.
  if (rows[0] && rows[0].hash !== ownHash)
    throw new ClickledgerError(
      'wrong-database',
      `the ${database} database was created with another text of migration ${name}, from before the first release: start with a new database`,
    );
  if (rows[0]) return false;
  try {
    await client.query(sql);
  } catch (error) {
    throw new ClickledgerError('server-failed', `migration ${set}/${name} failed: ${messageOf(error)}`, { cause: error });
  }
  await client.query('INSERT INTO public.clickledger_migration (set, number, name, hash) VALUES ($1, $2, $3, $4)', [
    set,
    number,
    name,
    ownHash,
  ]);
  return true;
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

/** Compares `shards` with the shard list in the catalog at `url`, if the catalog has one. Throws `wrong-database` if the lists differ. */
async function compareShards(url: string, shards: ShardMap): Promise<void> {
  const client = await connect(url);
  try {
    const { rows } = await client.query<{ exists: boolean }>(`SELECT to_regclass('catalog.shard') IS NOT NULL AS exists`);
    if (rows[0]?.exists === true) await assertSameShards(client, shards);
  } finally {
    await client.end();
  }
}

/** The first run stores the shard list in the catalog. Every later run compares it, and throws `wrong-database` if the lists differ. */
async function recordShards(catalog: pg.Client, shards: ShardMap): Promise<void> {
  if (await assertSameShards(catalog, shards)) return;
  // One statement inserts all rows, because an incomplete list would never match SHARDS again.
  await catalog.query('INSERT INTO catalog.shard (name, from_tag) SELECT * FROM unnest($1::text[], $2::text[])', [
    shards.list.map(({ name }) => name),
    shards.list.map(({ from }) => from),
  ]);
}

/** Returns whether the catalog has a shard list. Throws `wrong-database` if this list differs from `shards`. */
async function assertSameShards(catalog: pg.Client, shards: ShardMap): Promise<boolean> {
  const known = await catalog.query<{ name: string; from_tag: string }>('SELECT name, from_tag FROM catalog.shard ORDER BY from_tag');
  if (known.rowCount === 0) return false;
  const fixed = known.rows.map((row) => `${row.name}=${row.from_tag}`).join(',');
  const given = shards.list.map((shard) => `${shard.name}=${shard.from}`).join(',');
  if (fixed === given) return true;
  throw new ClickledgerError(
    'wrong-database',
    `SHARDS has ${given}, but this system was initialised with ${fixed}. Names and bounds cannot change: correct SHARDS`,
  );
}

/** Makes the foreign tables of a shard in the catalog refer to the database of the shard. */
async function attach(catalog: pg.Client, shard: Shard, analystUrl: string): Promise<void> {
  const { url } = parseDatabaseUrl(shard.url);
  const { host, port, target_session_attrs: sessionAttrs } = libpqHosts(shard.url);
  const analyst = parseDatabaseUrl(analystUrl).url;
  await catalog.query('SELECT fleet.attach($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
    shard.name,
    host,
    port,
    decodeURIComponent(url.pathname.slice(1)),
    analyst.username,
    decodeURIComponent(analyst.password),
    url.searchParams.get('sslmode'),
    url.searchParams.get('sslrootcert'),
    sessionAttrs,
  ]);
}

/**
 * Throws `bad-settings` if the server of a shard does not ask the catalog for a password. Unless the owner is a superuser, postgres_fdw
 * refuses such a connection, because the connection might use the identity of the server process instead of the owner's. Other failures are
 * ignored here. The reports show them.
 */
async function assertPasswordAsked(catalog: pg.Client, shard: Shard): Promise<void> {
  try {
    // The timeout is for a server that does not answer.
    await catalog.query(`BEGIN; SET LOCAL statement_timeout = '5s'; SELECT FROM fleet.ledger_${shard.name} LIMIT 1`);
  } catch (error) {
    if (codeOf(error) !== PROHIBITED_STATEMENT) return;
    throw new ClickledgerError(
      'bad-settings',
      `the server of shard ${shard.name} asks the catalog for no password, and Postgres refuses that to an owner who is not a superuser: set the method scram-sha-256 for clickledger_analyst in its pg_hba.conf, or in auth_type of pgbouncer, and run \`clickledger migrate\` again`,
      { cause: error },
    );
  } finally {
    await catalog.query('ROLLBACK');
  }
}
