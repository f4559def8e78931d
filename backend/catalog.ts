import type { Pool, PoolClient } from '../core/postgres.ts';
import type { Route } from './routes.ts';

/** The rows that changed since an earlier poll, and the transaction id at which the next poll has to start. */
export interface Changes {
  routes: Route[];
  aliases: { name: string; link: number }[];
  /**
   * The id of the oldest transaction that was still running when this poll started. The next poll reads the rows that this and later
   * transactions write.
   */
  nextSince: bigint;
  /**
   * Identifies the run of the server that was read. Another server, for example a standby that was promoted, may use transaction ids again that
   * an earlier server has used.
   */
  server: string;
  /** How old the rows were when they were read, in milliseconds: 0 on a primary, and the delay of its copy on a standby. */
  copyAgeMs: number;
}

/** On a standby, the age of its copy is the age of the heartbeat that a worker writes on the primary. */
const HORIZON = `
  SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, pg_postmaster_start_time()::text AS server,
         CASE WHEN pg_is_in_recovery() THEN greatest(0, extract(epoch FROM clock_timestamp() - (SELECT at FROM catalog.heartbeat)) * 1000) ELSE 0 END::float8
           AS "copyAgeMs"`;

const ROUTE_COLUMNS = `
  l.id AS link, v.version, v.target,
  (extract(epoch FROM l.expires_at) * 1000)::float8 AS "expiresAt",
  (extract(epoch FROM l.disabled_at) * 1000)::float8 AS "disabledAt",
  c.fallback_url AS fallback, c.pass_query AS "passQuery", c.follow_hosts AS "followHosts"`;
// The join drops pixels, which have no version. It also drops a link whose version is not committed yet, because a route that was cached
// without its version would not be read again.
const ROUTE_TABLES = `
  catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id
  JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version`;

/**
 * Reads the routes and aliases that changed since transaction `since`. With `since` 0, reads all routes and aliases. All statements go to one
 * server, because a standby may lack rows of the transactions that the primary has ended.
 */
export async function readChanges(client: PoolClient, since: bigint): Promise<Changes> {
  // The start of the next poll is read first. So a row that is committed between the statements is read by this poll and again by the next
  // poll.
  const horizon = await client.query<{ xmin: string; server: string; copyAgeMs: number }>(HORIZON);
  const routes = await client.query<Route>(`SELECT ${ROUTE_COLUMNS} FROM ${ROUTE_TABLES} WHERE l.changed >= $1::text::xid8`, [
    since.toString(),
  ]);
  const aliases = await client.query<{ name: string; link: number }>(
    'SELECT name, link_id AS link FROM catalog.alias WHERE changed >= $1::text::xid8',
    [since.toString()],
  );
  const { xmin = '0', server = '', copyAgeMs = 0 } = horizon.rows[0] ?? {};
  return { routes: routes.rows, aliases: aliases.rows, nextSince: BigInt(xmin), server, copyAgeMs };
}

/**
 * Reads the route of one link. Resolves with undefined if the link does not exist or has no target. Throws if a standby has no row of the
 * link, because the primary may have it already.
 */
export async function readRoute(pool: Pool, link: number): Promise<Route | undefined> {
  const { rows } = await pool.query<Partial<Route> & { mayComeLater: boolean }>(
    `SELECT route.*, pg_is_in_recovery() AND NOT EXISTS (SELECT FROM catalog.link WHERE id = $1) AS "mayComeLater" FROM (VALUES (1)) AS one
     LEFT JOIN (SELECT ${ROUTE_COLUMNS} FROM ${ROUTE_TABLES} WHERE l.id = $1) AS route ON true`,
    [link],
  );
  const { mayComeLater, ...route } = rows[0] as Partial<Route> & { mayComeLater: boolean };
  // Without a route, all its columns are null.
  if (route.link) return route as Route;
  if (mayComeLater) throw new Error('the standby does not have this link yet');
  return undefined;
}
