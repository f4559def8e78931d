import type pg from 'pg';
import { isRevoked, restorationSql, revocationSql } from './functions.ts';

// Limits for rights that Postgres gives to every role: functions that write, connections, temporary files, and other databases. Only a
// superuser can set some of these limits. If the owner is not a superuser, `onMissing` gets the SQL for an administrator, and the migration
// continues without these limits.

export interface LimitOptions {
  /** Whether the servers have only databases of clickledger. Then the roles of clickledger may not connect to any other database. */
  dedicated?: boolean;
  onMissing?: (limit: MissingLimit) => void;
}

/** A limit that only a superuser can set. */
export interface MissingLimit {
  /** Describes what a role can do without the limit. */
  what: string;
  /** The database in which the SQL must be run. For a limit of a role, it can be any database of the same server. */
  database: string;
  sql: string;
}

/** Returns texts for the operator: one text for each missing limit, with the databases that lack the limit. */
export function explainMissing(limits: readonly MissingLimit[]): string[] {
  const kinds = Map.groupBy(limits, ({ what, sql }) => `${what}\n${sql}`);
  return Array.from(kinds.values(), (same) => {
    const { what, sql } = same[0] as MissingLimit;
    const databases = new Set(same.map(({ database }) => database));
    return `${what}. A superuser can change that, once, in ${[...databases].join(', ')}:\n${sql}`;
  });
}

/**
 * The maximum size of the temporary files of one Postgres process that runs queries of the analyst, e.g. for sorting. A query that needs
 * more space fails.
 */
const TEMP_FILE_LIMIT = '10GB';

/**
 * Sets the limits of the analyst that the analyst cannot change. A limit that an administrator has set is not changed. The watchdog of the
 * workers limits the time of a query, because every role may change its own `statement_timeout`.
 */
export async function limitAnalyst(client: pg.Client, { onMissing }: LimitOptions): Promise<void> {
  interface Limits {
    connections: number;
    half: number;
    hasTemp: boolean;
    isSuperuser: boolean;
    mayEndQueries: boolean;
    mayJoin: boolean;
    join: string;
  }
  const { rows } = await client.query<Limits>(
    `SELECT analyst.rolconnlimit AS connections, greatest(10, current_setting('max_connections')::int / 2) AS half,
            EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setrole = analyst.oid AND c LIKE 'temp_file_limit=%') AS "hasTemp",
            owner.rolsuper AS "isSuperuser", pg_has_role(owner.oid, analyst.oid, 'USAGE') AS "mayEndQueries",
            CASE WHEN version >= 160000 THEN pg_has_role(owner.oid, analyst.oid, 'MEMBER WITH ADMIN OPTION') ELSE owner.rolcreaterole END AS "mayJoin",
            'GRANT clickledger_analyst TO ' || quote_ident(owner.rolname) || CASE WHEN version >= 160000 THEN ' WITH INHERIT TRUE' ELSE '' END AS join
     FROM pg_roles analyst, pg_roles owner, (SELECT current_setting('server_version_num')::int AS version) AS server
     WHERE analyst.rolname = 'clickledger_analyst' AND owner.rolname = current_user`,
  );
  const { connections, half, hasTemp, isSuperuser, mayEndQueries, mayJoin, join } = rows[0] as Limits;
  // The other half of the connections is for the parts of clickledger. Analysts must not prevent the parts from connecting.
  if (connections === -1) await client.query(`ALTER ROLE clickledger_analyst CONNECTION LIMIT ${half}`);
  const lacks = (what: string, sql: string): void => onMissing?.({ what, database: placeOf(client), sql: `${sql};` });
  const limitTemp = `ALTER ROLE clickledger_analyst SET temp_file_limit = '${TEMP_FILE_LIMIT}'`;
  if (!hasTemp && isSuperuser) await client.query(limitTemp);
  if (!hasTemp && !isSuperuser) lacks('the analyst may fill the disk of Postgres with temporary files', limitTemp);
  // Only a member of the role of the analyst can see and end the queries of this role. The functions of the watchdog run as the owner, so
  // the owner must be a member.
  if (!mayEndQueries && mayJoin) await client.query(join);
  if (!mayEndQueries && !mayJoin) lacks('the workers cannot end queries of the analyst that take too long', join);
}

/**
 * Revokes the right of PUBLIC to connect to the databases that every server has. Owners, superusers and roles with an explicit grant can
 * still connect.
 */
export async function closeOtherDatabases(client: pg.Client, { onMissing }: LimitOptions): Promise<void> {
  const { rows } = await client.query<{ name: string; owned: boolean }>(
    `SELECT datname AS name, pg_has_role(datdba, 'USAGE') AS owned FROM pg_database
     WHERE datname IN ('postgres', 'template1') AND has_database_privilege('public', oid, 'CONNECT') ORDER BY datname`,
  );
  for (const { name, owned } of rows) {
    const sql = `REVOKE CONNECT, TEMPORARY ON DATABASE ${name} FROM PUBLIC`;
    if (owned) await client.query(sql);
    else onMissing?.({ what: 'every role may connect to databases of others, and write there', database: placeOf(client), sql: `${sql};` });
  }
}

/** Revokes the functions of Postgres with which every role could write to this database. */
export async function revokeFunctions(client: pg.Client, isCatalog: boolean, { onMissing }: LimitOptions): Promise<void> {
  if (await isRevoked(client)) return;
  const { owner, isSuperuser } = await currentUser(client);
  const sql = revocationSql(owner, isCatalog);
  if (isSuperuser) await client.query(sql);
  else onMissing?.({ what: 'every role may write with functions of Postgres such as lo_create', database: placeOf(client), sql });
}

/** Undoes `revokeFunctions` in this database. This is needed before pg_upgrade. */
export async function restoreFunctions(client: pg.Client, { onMissing }: LimitOptions): Promise<void> {
  const { owner, isSuperuser } = await currentUser(client);
  const sql = restorationSql(owner);
  if (isSuperuser) await client.query(sql);
  else onMissing?.({ what: 'pg_upgrade fails if the new version lacks a function that was revoked', database: placeOf(client), sql });
}

/** Returns the role of this session, as an SQL identifier, and whether it is a superuser. */
async function currentUser(client: pg.Client): Promise<{ owner: string; isSuperuser: boolean }> {
  const { rows } = await client.query<{ owner: string; isSuperuser: boolean }>(
    `SELECT quote_ident(current_user) AS owner, rolsuper AS "isSuperuser" FROM pg_roles WHERE rolname = current_user`,
  );
  return rows[0] ?? { owner: '', isSuperuser: false };
}

const placeOf = ({ host, port, database }: pg.Client): string => `${database} (${host}:${port})`;
