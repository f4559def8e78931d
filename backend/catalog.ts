import type { Pool } from '../core/postgres.ts';
import type { Route } from './routes.ts';

/** Rows that changed since a look, and from where the next look has to begin. */
export interface Changes {
  routes: Route[];
  aliases: { name: string; link: number }[];
  /** The oldest transaction that had not ended when this look began: what it writes, the next look will see. */
  nextSince: bigint;
}

const ROUTE_COLUMNS = `
  l.id AS link, v.version, v.target,
  (extract(epoch FROM l.expires_at) * 1000)::float8 AS "expiresAt",
  (extract(epoch FROM l.disabled_at) * 1000)::float8 AS "disabledAt",
  c.fallback_url AS fallback`;
// A pixel has no version. A link whose version is not there yet must not be known without it: it would not be read again.
const ROUTE_TABLES = `
  catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id
  JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version`;

/** What changed since `since` (0: everything). */
export async function readChanges(pool: Pool, since: bigint): Promise<Changes> {
  // The horizon is read first: a row that commits between the statements is then read now and once more next time.
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

/** One link, or undefined where there is none that leads anywhere. */
export async function readLink(pool: Pool, link: number): Promise<Route | undefined> {
  const found = await pool.query<Route>(`SELECT ${ROUTE_COLUMNS} FROM ${ROUTE_TABLES} WHERE l.id = $1`, [link]);
  return found.rows[0];
}
