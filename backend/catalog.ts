import type { Pool } from '../core/postgres.ts';
import type { Route } from './routes.ts';

/** The rows that changed since an earlier poll, and where the next poll has to start. */
export interface Changes {
  routes: Route[];
  aliases: { name: string; link: number }[];
  /** The oldest transaction that was still running when this poll started. The next poll sees what it writes. */
  nextSince: bigint;
}

const ROUTE_COLUMNS = `
  l.id AS link, v.version, v.target,
  (extract(epoch FROM l.expires_at) * 1000)::float8 AS "expiresAt",
  (extract(epoch FROM l.disabled_at) * 1000)::float8 AS "disabledAt",
  c.fallback_url AS fallback, c.pass_query AS "passQuery"`;
// The join drops pixels, which have no version. It also drops a link whose version is not committed yet: a route cached without its
// version would not be read again.
const ROUTE_TABLES = `
  catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id
  JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version`;

/** Reads the routes and aliases that changed since transaction `since`; 0 reads all of them. */
export async function readChanges(pool: Pool, since: bigint): Promise<Changes> {
  // The horizon is read first. A row that commits between the statements is then read by this poll and again by the next one.
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

/** Reads the route of one link; undefined if there is no such link, or if it has no target. */
export async function readRoute(pool: Pool, link: number): Promise<Route | undefined> {
  const found = await pool.query<Route>(`SELECT ${ROUTE_COLUMNS} FROM ${ROUTE_TABLES} WHERE l.id = $1`, [link]);
  return found.rows[0];
}
