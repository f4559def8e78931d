import { ClickledgerError } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';
import { parseHost } from './sites.ts';
import { parseTarget } from './target.ts';

// Reads and changes campaigns in the catalog. All changes are idempotent: a repeated call finds what the first call created.

export type Database = Pool | PoolClient;

export interface Campaign {
  id: number;
  name: string;
  /** The destination of its expired and disabled links. Null: they have none. */
  fallback: string | null;
  created_at: Date;
  sent_at: Date | null;
  closed_at: Date | null;
  /** True if the query of a tracked URL is added to its destination. */
  pass_query: boolean;
  /** The hosts to whose addresses the slug of a click is added; null: to none. */
  follow_hosts: string[] | null;
  /** The base URL with which new URLs of the campaign are made; null: the setting BASE_URL. */
  base_url: string | null;
  links: number;
}

/** Settings of a campaign. A setting that is not given does not change. */
export interface CampaignSettings {
  /** The destination of its expired and disabled links. Null: they have none. */
  fallbackUrl?: string | null | undefined;
  /** Whether the query of a tracked URL is added to its destination. */
  passQuery?: boolean | undefined;
  /** The hosts to whose addresses `cl=<slug>` is added, so that a visit can name its click. Null: to none. */
  followHosts?: readonly string[] | null | undefined;
  /** The base URL with which new URLs are made: one of `chooseBaseUrl`. Null: the setting BASE_URL. */
  baseUrl?: string | null | undefined;
}

/**
 * Finds a campaign by name, or creates it. The settings that are given are set, even if the campaign already exists. Throws `bad-input` for
 * an empty name, an invalid URL or an invalid host.
 */
export async function ensureCampaign(
  db: Database,
  name: string,
  settings: CampaignSettings = {},
): Promise<{ id: number; created: boolean }> {
  const parsed = parseSettings(settings);
  if (name.trim() === '') throw new ClickledgerError('bad-input', 'a campaign must have a name');
  const inserted = await db.query<{ id: number }>(
    'INSERT INTO catalog.campaign (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id',
    [name],
  );
  const found = inserted.rows[0] ?? (await db.query<{ id: number }>('SELECT id FROM catalog.campaign WHERE name = $1', [name])).rows[0];
  const { id } = found as { id: number };
  await writeSettings(db, id, parsed);
  return { id, created: inserted.rows[0] !== undefined };
}

/** Changes settings of a campaign. Throws `bad-input` for an invalid URL or host. */
export async function editCampaign(db: Database, campaign: number, changes: CampaignSettings): Promise<void> {
  await writeSettings(db, campaign, parseSettings(changes));
}

function parseSettings(settings: CampaignSettings): CampaignSettings {
  if (typeof settings.fallbackUrl === 'string') parseTarget(settings.fallbackUrl);
  return { ...settings, followHosts: settings.followHosts?.map(parseHost) ?? settings.followHosts };
}

async function writeSettings(
  db: Database,
  campaign: number,
  { fallbackUrl, passQuery, followHosts, baseUrl }: CampaignSettings,
): Promise<void> {
  if (fallbackUrl !== undefined)
    await db.query('UPDATE catalog.campaign SET fallback_url = $2 WHERE id = $1 AND fallback_url IS DISTINCT FROM $2', [
      campaign,
      fallbackUrl,
    ]);
  if (passQuery !== undefined)
    await db.query('UPDATE catalog.campaign SET pass_query = $2 WHERE id = $1 AND pass_query <> $2', [campaign, passQuery]);
  if (followHosts !== undefined)
    await db.query('UPDATE catalog.campaign SET follow_hosts = $2 WHERE id = $1 AND follow_hosts IS DISTINCT FROM $2', [
      campaign,
      followHosts,
    ]);
  if (baseUrl !== undefined)
    await db.query('UPDATE catalog.campaign SET base_url = $2 WHERE id = $1 AND base_url IS DISTINCT FROM $2', [campaign, baseUrl]);
}

/** A campaign that was found by its name or its id. */
export interface FoundCampaign {
  id: number;
  name: string;
  /** Null: the setting BASE_URL. `baseUrlOf` returns the base URL itself. */
  baseUrl: string | null;
}

/**
 * Finds a campaign by its name or its id. A string is tried as a name first, then as an id. A number is only an id. Throws `not-found` if
 * there is no such campaign.
 */
export async function findCampaign(db: Database, nameOrId: string | number): Promise<FoundCampaign & { closed: boolean }> {
  const found = await db.query<FoundCampaign & { closed: boolean }>(
    'SELECT id, name, base_url AS "baseUrl", closed_at IS NOT NULL AS closed FROM catalog.campaign WHERE name = $2 OR id::text = $1 ORDER BY (name = $2) DESC NULLS LAST LIMIT 1',
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
export async function findOpenCampaign(db: Database, nameOrId: string | number): Promise<FoundCampaign> {
  const { closed, ...campaign } = await findCampaign(db, nameOrId);
  if (closed)
    throw new ClickledgerError(
      'conflict',
      `campaign '${campaign.name}' is closed. Reopen it with \`clickledger campaign reopen ${JSON.stringify(campaign.name)}\`.`,
    );
  return campaign;
}

/** Returns the campaign of a link that exists. */
export async function campaignOfLink(db: Database, link: number): Promise<FoundCampaign> {
  const found = await db.query<FoundCampaign>(
    'SELECT c.id, c.name, c.base_url AS "baseUrl" FROM catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id WHERE l.id = $1',
    [link],
  );
  return found.rows[0] as FoundCampaign;
}

/** Sets the time at which the mail of a campaign was sent. Null means that it was not sent. */
export async function markSent(db: Database, campaign: number, at: Date | null): Promise<void> {
  await db.query('UPDATE catalog.campaign SET sent_at = $2 WHERE id = $1', [campaign, at]);
}

/** Sets the time at which the mail of a campaign was sent, unless it is already set. */
export async function markFirstSent(db: Database, campaign: number, at: Date): Promise<boolean> {
  const { rowCount } = await db.query('UPDATE catalog.campaign SET sent_at = $2 WHERE id = $1 AND sent_at IS NULL', [campaign, at]);
  return rowCount === 1;
}

/** Returns the time at which the mail of a campaign was sent, or null. */
export async function sentAt(db: Database, campaign: number): Promise<Date | null> {
  const { rows } = await db.query<{ sent_at: Date | null }>('SELECT sent_at FROM catalog.campaign WHERE id = $1', [campaign]);
  return rows[0]?.sent_at ?? null;
}

/** Closes or reopens a campaign. Closing a closed campaign keeps the time at which it was first closed. */
export async function setClosed(db: Database, campaign: number, closed: boolean): Promise<void> {
  await db.query('UPDATE catalog.campaign SET closed_at = CASE WHEN $2 THEN coalesce(closed_at, now()) END WHERE id = $1', [
    campaign,
    closed,
  ]);
}

const SELECT_CAMPAIGNS = `
  SELECT c.id, c.name, c.fallback_url AS fallback, c.created_at, c.sent_at, c.closed_at, c.pass_query, c.follow_hosts, c.base_url,
         (SELECT count(*) FROM catalog.link l WHERE l.campaign_id = c.id)::int AS links
  FROM catalog.campaign c`;

/** Returns all campaigns with the number of their links, ordered by id. */
export async function listCampaigns(db: Database): Promise<Campaign[]> {
  return (await db.query<Campaign>(`${SELECT_CAMPAIGNS} ORDER BY c.id`)).rows;
}

/** Returns the first `limit` campaigns whose id is greater than `after`, ordered by id. With `name`, only the campaign with this name. */
export async function pageCampaigns(
  db: Database,
  { after, limit, name }: { after: number; limit: number; name?: string | undefined },
): Promise<Campaign[]> {
  const sql = `${SELECT_CAMPAIGNS} WHERE c.id > $1 AND ($3::text IS NULL OR c.name = $3) ORDER BY c.id LIMIT $2`;
  return (await db.query<Campaign>(sql, [after, limit, name ?? null])).rows;
}

/** Returns a campaign. Throws `not-found` if there is none with this id. */
export async function readCampaign(db: Database, id: number): Promise<Campaign> {
  const campaign = (await db.query<Campaign>(`${SELECT_CAMPAIGNS} WHERE c.id = $1`, [id])).rows[0];
  if (campaign === undefined) throw new ClickledgerError('not-found', `there is no campaign with the number ${id}`);
  return campaign;
}
