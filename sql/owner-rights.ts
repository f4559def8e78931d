import pg from 'pg';
import { changeDatabaseUrl, libpqHosts, parseDatabaseUrl } from '../core/database-url.ts';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { connect } from './connect.ts';
import { locked } from './locked.ts';

// Finds out which rights are missing if the owner is not a superuser, and which statements grant these rights. All servers and databases
// are checked before any table is created, so that an administrator has to run the statements only once.

/** A statement for an administrator, and the URL of the database in which it has to run. */
export interface Task {
  url: string;
  statement: string;
}

interface Owner {
  /** The name of the role as an identifier in SQL. */
  name: string;
  isSuperuser: boolean;
  mayCreateDatabases: boolean;
  mayCreateRoles: boolean;
  version: number;
}

// SQLSTATEs. If two sessions create the same database at the same time, the second session gets unique_violation (23505).
const INSUFFICIENT_PRIVILEGE = '42501';
const EXISTS_ALREADY = ['42P04', '23505'];
/** pgbouncer uses only this code, whatever the reason is. */
const POOLER_FAILURE = '08P01';

/** Since this version, a role with CREATEROLE may change only the roles that it created or for which it has the admin option. */
const VERSION_WITH_ADMIN_OPTION = 160_000;

async function readOwner(client: pg.Client): Promise<Owner> {
  const { rows } = await client.query<Owner>(
    `SELECT quote_ident(rolname) AS name, rolsuper AS "isSuperuser", rolcreatedb AS "mayCreateDatabases", rolcreaterole AS "mayCreateRoles",
            current_setting('server_version_num')::int AS version
     FROM pg_roles WHERE rolname = current_user`,
  );
  return rows[0] as Owner;
}

/**
 * Creates the database of `url` if it does not exist and the owner may create it. Returns the statements that grant the missing rights for
 * this database and for these roles. In the catalog, also tries to create the extension postgres_fdw, because some managed servers allow an
 * owner to do this.
 */
export async function prepareDatabase(url: string, roles: readonly string[], isCatalog: boolean): Promise<Task[]> {
  const maintenance = databaseUrl(url, 'postgres');
  const client = await connectToServer(url).catch((error: unknown) => {
    if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    return undefined;
  });
  if (client === undefined) {
    const name = pg.escapeIdentifier(decodeURIComponent(parseDatabaseUrl(url).url.username));
    return [{ url: maintenance, statement: `GRANT CONNECT ON DATABASE postgres TO ${name};` }];
  }
  try {
    const owner = await readOwner(client);
    const name = databaseName(url);
    const statements = owner.isSuperuser ? [] : await missingForRoles(client, owner, roles);
    const found = await client.query<{ owned: boolean }>(
      `SELECT pg_has_role(datdba, 'USAGE') AS owned FROM pg_database WHERE datname = $1`,
      [name],
    );
    const identifier = pg.escapeIdentifier(name);
    const isMissing = found.rowCount === 0;
    if (isMissing && (owner.isSuperuser || owner.mayCreateDatabases)) await createDatabase(client, identifier);
    else if (isMissing) statements.push(`CREATE DATABASE ${identifier} OWNER ${owner.name} TEMPLATE template0 ENCODING 'UTF8';`);
    else if (found.rows[0]?.owned === false) statements.push(`ALTER DATABASE ${identifier} OWNER TO ${owner.name};`);
    if (owner.isSuperuser) return [];
    const isUnusable = isMissing && !owner.mayCreateDatabases;
    const inside = isUnusable ? [OWN_SCHEMA, ...(isCatalog ? createWrapper(owner) : [])] : await missingInDatabase(url, owner, isCatalog);
    return [...statements.map((statement) => ({ url: maintenance, statement })), ...inside.map((statement) => ({ url, statement }))];
  } finally {
    await client.end();
  }
}

/**
 * Connects to the database `postgres` on the server of `url`, for work on objects of the whole server, such as roles. If the owner may not
 * connect to `postgres`, connects to the database of `url`, if this database exists.
 */
export async function connectToServer(url: string): Promise<pg.Client> {
  return connect(databaseUrl(url, 'postgres')).catch(async (error: unknown) => {
    if (![INSUFFICIENT_PRIVILEGE, POOLER_FAILURE].includes(codeOf(error) ?? '')) throw error;
    return connect(url).catch(() => {
      throw error;
    });
  });
}

async function createDatabase(client: pg.Client, identifier: string): Promise<void> {
  try {
    await client.query(`CREATE DATABASE ${identifier} TEMPLATE template0 ENCODING 'UTF8'`);
  } catch (error) {
    // Another run has created the database in the meantime. CREATE DATABASE cannot run in a transaction, so the lock of `locked` cannot
    // protect it.
    if (!EXISTS_ALREADY.includes(codeOf(error) ?? '')) throw error;
  }
}

async function missingForRoles(client: pg.Client, owner: Owner, roles: readonly string[]): Promise<string[]> {
  const statements = owner.mayCreateRoles ? [] : [`ALTER ROLE ${owner.name} CREATEROLE;`];
  if (owner.version < VERSION_WITH_ADMIN_OPTION) return statements;
  const others = await client.query<{ name: string }>(
    `SELECT quote_ident(rolname) AS name FROM pg_roles WHERE rolname = ANY ($1) AND NOT pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')`,
    [roles],
  );
  return [...statements, ...others.rows.map(({ name }) => `GRANT ${name} TO ${owner.name} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;`)];
}

async function missingInDatabase(url: string, owner: Owner, isCatalog: boolean): Promise<string[]> {
  const client = await connect(url).catch((error: unknown) => {
    // The database belongs to another role, and the owner may not connect to it.
    if (codeOf(error) === INSUFFICIENT_PRIVILEGE) return undefined;
    throw error;
  });
  if (client === undefined) return [OWN_SCHEMA, ...(isCatalog ? createWrapper(owner) : [])];
  try {
    const schema = await client.query(
      `SELECT FROM pg_namespace
       WHERE nspname = 'public' AND nspowner <> (SELECT oid FROM pg_roles WHERE rolname = 'pg_database_owner') AND NOT pg_has_role(nspowner, 'USAGE')`,
    );
    return [...(schema.rowCount === 0 ? [] : [OWN_SCHEMA]), ...(isCatalog ? await missingForWrapper(client, owner) : [])];
  } finally {
    await client.end();
  }
}

async function missingForWrapper(client: pg.Client, owner: Owner): Promise<string[]> {
  try {
    await locked(client, () => client.query('CREATE EXTENSION IF NOT EXISTS postgres_fdw'));
  } catch (error) {
    if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    return createWrapper(owner);
  }
  const { rows } = await client.query<{ usable: boolean }>(`SELECT has_foreign_data_wrapper_privilege('postgres_fdw', 'USAGE') AS usable`);
  return rows[0]?.usable === true ? [] : [useWrapper(owner)];
}

/**
 * With this statement, the owner of the database also owns the schema. In databases that were created with Postgres 14 or older, the schema
 * has another owner.
 */
const OWN_SCHEMA = 'ALTER SCHEMA public OWNER TO pg_database_owner;';
const useWrapper = (owner: Owner): string => `GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO ${owner.name};`;
const createWrapper = (owner: Owner): string[] => ['CREATE EXTENSION IF NOT EXISTS postgres_fdw;', useWrapper(owner)];

/** Returns the error that contains the statements as a script for psql. */
export function administratorNeeded(tasks: readonly Task[]): ClickledgerError {
  const lines: string[] = [];
  const seen = new Set<string>();
  let at: string | undefined;
  for (const { url, statement } of tasks) {
    if (seen.has(`${url} ${statement}`)) continue;
    seen.add(`${url} ${statement}`);
    if (at !== url) lines.push(connectCommand(url));
    at = url;
    lines.push(statement);
  }
  return new ClickledgerError(
    'needs-administrator',
    `the owner in CATALOG_URL lacks rights that only an administrator of Postgres can give. As an administrator, run this once with psql, and then \`clickledger migrate\` again:\n\n${lines.join('\n')}`,
  );
}

/** Returns the command of psql that connects to a database and keeps the user and the other settings of the previous connection. */
function connectCommand(url: string): string {
  const values = { dbname: databaseName(url), ...libpqHosts(url) };
  const text = Object.entries(values).map(([name, value]) => `${name}='${value.replace(/['\\]/g, '\\$&')}'`);
  return `\\connect -reuse-previous=on "${text.join(' ').replaceAll('"', '""')}"`;
}

/** Returns the name of the database in a URL. */
const databaseName = (url: string): string => decodeURIComponent(parseDatabaseUrl(url).url.pathname.slice(1));

/** Returns the URL of another database on the same server. */
export function databaseUrl(url: string, database: string): string {
  return changeDatabaseUrl(url, (other) => void (other.pathname = `/${encodeURIComponent(database)}`));
}
