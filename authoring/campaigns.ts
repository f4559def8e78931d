import { ClickledgerError } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';
import { parseTarget } from './target.ts';

// Reads and changes campaigns in the catalog. All changes are idempotent: a repeated call finds what the first call created.

export type Database = Pool | PoolClient;

export interface Campaign {
  id: number;
  name: string;
  created_at: Date;
  sent_at: Date | null;
  closed_at: Date | null;
  /** True if the query of a tracked URL is added to its destination. */
  pass_query: boolean;
  links: number;
}

/**
 * Finds a campaign by name, or creates it. `fallbackUrl` and `passQuery` are set if they are given, even if the campaign already exists.
 * Throws `bad-input` for an empty name or an invalid URL.
 */
export async function ensureCampaign(
  db: Database,
  name: string,
  fallbackUrl: string | undefined,
  passQuery?: boolean,
): Promise<{ id: number; created: boolean }> {
  const fallback = fallbackUrl === undefined ? undefined : parseTarget(fallbackUrl);
  if (name.trim() === '') throw new ClickledgerError('bad-input', 'a campaign must have a name');
  const inserted = await db.query<{ id: number }>(
    'INSERT INTO catalog.campaign (name, fallback_url, pass_query) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING RETURNING id',
    [name, fallback ?? null, passQuery ?? false],
  );
  if (inserted.rows[0]) return { id: inserted.rows[0].id, created: true };
  const found = await db.query<{ id: number }>('SELECT id FROM catalog.campaign WHERE name = $1', [name]);
  const { id } = found.rows[0] as { id: number };
  await editCampaign(db, id, { fallbackUrl: fallback, passQuery });
  return { id, created: false };
}

/**
 * Changes settings of a campaign. `fallbackUrl` is the destination of its expired and disabled links; null means that they have none.
 * `passQuery` says whether the query of a tracked URL is added to its destination. A setting that is not given does not change. Throws
 * `bad-input` for an invalid URL.
 */
export async function editCampaign(
  db: Database,
  campaign: number,
  changes: { fallbackUrl?: string | null | undefined; passQuery?: boolean | undefined },
): Promise<void> {
  const { fallbackUrl, passQuery } = changes;
  if (typeof fallbackUrl === 'string') parseTarget(fallbackUrl);
  if (fallbackUrl !== undefined)
    await db.query('UPDATE catalog.campaign SET fallback_url = $2 WHERE id = $1 AND fallback_url IS DISTINCT FROM $2', [
      campaign,
      fallbackUrl,
    ]);
  if (passQuery !== undefined)
    await db.query('UPDATE catalog.campaign SET pass_query = $2 WHERE id = $1 AND pass_query <> $2', [campaign, passQuery]);
}

/**
 * Finds a campaign by its name or its id. A string is tried as a name first, then as an id. A number is only an id. Throws `not-found` if
 * there is no such campaign.
 */
export async function findCampaign(db: Database, nameOrId: string | number): Promise<{ id: number; name: string; closed: boolean }> {
  const found = await db.query<{ id: number; name: string; closed: boolean }>(
    'SELECT id, name, closed_at IS NOT NULL AS closed FROM catalog.campaign WHERE name = $2 OR id::text = $1 ORDER BY (name = $2) DESC NULLS LAST LIMIT 1',
    [String(nameOrId), typeof nameOrId === 'number' ? null : nameOrId],
  );
  const campaign = found.rows[0];
  if (!campaign)
    throw new ClickledgerError(
      'not-found',
      `campaign '${nameOrId}' does not exist. Create it with \`clickledger campaign create ${JSON.stringify(String(nameOrId))}\`.`,
    );
  return campaign;
}

/** Finds a campaign for which links may be created. Throws `not-found` if it does not exist and `conflict` if it is closed. */
export async function findOpenCampaign(db: Database, nameOrId: string | number): Promise<{ id: number; name: string }> {
  const { id, name, closed } = await findCampaign(db, nameOrId);
  if (closed)
    throw new ClickledgerError(
      'conflict',
      `campaign '${name}' is closed. Reopen it with \`clickledger campaign reopen ${JSON.stringify(name)}\`.`,
    );
  return { id, name };
}

/** Sets the time at which the mail of a campaign was sent. Null means that it was not sent. */
export async function markSent(db: Database, campaign: number, at: Date | null): Promise<void> {
  await db.query('UPDATE catalog.campaign SET sent_at = $2 WHERE id = $1', [campaign, at]);
}

/** Closes or reopens a campaign. Closing a closed campaign keeps the time at which it was first closed. */
export async function setClosed(db: Database, campaign: number, closed: boolean): Promise<void> {
  await db.query('UPDATE catalog.campaign SET closed_at = CASE WHEN $2 THEN coalesce(closed_at, now()) END WHERE id = $1', [
    campaign,
    closed,
  ]);
}

/** Returns all campaigns with the number of their links, ordered by id. */
export async function listCampaigns(db: Database): Promise<Campaign[]> {
  const found = await db.query<Campaign>(
    'SELECT c.id, c.name, c.created_at, c.sent_at, c.closed_at, c.pass_query, (SELECT count(*) FROM catalog.link l WHERE l.campaign_id = c.id)::int AS links FROM catalog.campaign c ORDER BY c.id',
  );
  return found.rows;
}
