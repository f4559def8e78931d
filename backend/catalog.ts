import type { Pool } from '../core/postgres.ts';
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
}

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

/** Reads the routes and aliases that changed since transaction `since`. With `since` 0, reads all routes and aliases. */
export async function readChanges(pool: Pool, since: bigint): Promise<Changes> {
  // The start of the next poll is read first. So a row that is committed between the statements is read by this poll and again by the next
  // poll.
  const horizon = await pool.query<{ xmin: string }>('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin');
  const routes = await pool.query<Route>(`SELECT ${ROUTE_COLUMNS} FROM ${ROUTE_TABLES} WHERE l.changed >= $1::text::xid8`, [
    since.toString(),
  ]);
  const aliases = await pool.query<{ name: string; link: number }>(
    'SELECT name, link_id AS link FROM catalog.alias WHERE changed >= $1::text::xid8',
    [since.toString()],
  );
  return { routes: routes.rows, aliases: aliases.rows, nextSince: BigInt(horizon.rows[0]?.xmin ?? '0') };
}

/** Reads the route of one link. Resolves with undefined if the link does not exist or has no target. */
export async function readRoute(pool: Pool, link: number): Promise<Route | undefined> {
  const found = await pool.query<Route>(`SELECT ${ROUTE_COLUMNS} FROM ${ROUTE_TABLES} WHERE l.id = $1`, [link]);
  return found.rows[0];
}
