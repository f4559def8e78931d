import { ClickledgerError } from '../core/errors.ts';
import { type Pool, type PoolClient, transaction } from '../core/postgres.ts';
import { isAlias } from '../core/slug.ts';
import type { Database } from './campaigns.ts';
import { parseTarget } from './target.ts';

// Creates, finds and changes the links of a campaign, its pixel, its hidden link, its link for unsubscribing and its aliases in the catalog.

/**
 * A link to find or to create. Links to the same target with different labels are different links. `position` is the place of the link in a
 * letter, counted from 1. A campaign has one pixel, one honeypot and one link for unsubscribing. A honeypot is a hidden link. It keeps the
 * target with which it was created.
 */
export type LinkSpec =
  | { kind: 'url'; target: string; label?: string; position?: number }
  | { kind: 'pixel' }
  | { kind: 'unsubscribe' }
  | { kind: 'honeypot'; target: string };

/** Finds or creates the link of a campaign to a target, its pixel or its honeypot. Returns its id. Throws as `ensureLinks` does. */
export async function ensureLink(pool: Pool, campaign: number, link: LinkSpec, expires?: Date): Promise<number> {
  const [id] = await ensureLinks(pool, campaign, [link], expires);
  return id as number;
}

/**
 * Finds or creates several links in one transaction, in the order of `links`. Returns their ids in this order. `expires` and the positions
 * are set on all links of kind url, even on existing links. Throws `bad-input` for an invalid target.
 */
export async function ensureLinks(pool: Pool, campaign: number, links: readonly LinkSpec[], expires?: Date): Promise<number[]> {
  const rows = links.map((link, index) => ({
    index,
    kind: link.kind,
    label: link.kind === 'url' ? (link.label ?? '') : '',
    original: link.kind === 'url' ? parseTarget(link.target) : '',
    position: link.kind === 'url' ? (link.position ?? null) : null,
    target: link.kind === 'url' || link.kind === 'honeypot' ? parseTarget(link.target) : null,
  }));
  const ids: number[] = [];
  await transaction(pool, async (client) => {
    // The ids of the links are in the order of the letter, because the signal even-steps compares them. Without the lock, two
    // transactions that create the same links in different orders could deadlock.
    await client.query('SELECT FROM catalog.campaign WHERE id = $1 FOR NO KEY UPDATE', [campaign]);
    for (const row of rows) ids[row.index] = await findOrCreate(client, campaign, row);
    const urls = rows.filter(({ kind }) => kind === 'url').map(({ index, position }) => ({ id: ids[index] as number, position }));
    await updateLinks(client, urls, expires ?? null);
  });
  return ids;
}

/** Sets the positions and the expiry of links. A value that is null does not change. The caller has locked the campaign. */
async function updateLinks(
  client: PoolClient,
  links: readonly { id: number; position: number | null }[],
  expires: Date | null,
): Promise<void> {
  const ids = links.map(({ id }) => id);
  await client.query(
    `UPDATE catalog.link l SET position = wanted.position FROM unnest($1::bigint[], $2::integer[]) AS wanted (id, position)
     WHERE l.id = wanted.id AND wanted.position IS NOT NULL AND wanted.position IS DISTINCT FROM l.position`,
    [ids, links.map(({ position }) => position)],
  );
  // Only links with another expiry are updated, because backends read every updated link again.
  if (expires !== null)
    await client.query('UPDATE catalog.link SET expires_at = $2 WHERE id = ANY ($1) AND expires_at IS DISTINCT FROM $2', [ids, expires]);
}

async function findOrCreate(
  client: PoolClient,
  campaign: number,
  {
    kind,
    label,
    original,
    position,
    target,
  }: { kind: string; label: string; original: string; position: number | null; target: string | null },
): Promise<number> {
  const inserted = await client.query<{ id: number }>(
    'INSERT INTO catalog.link (campaign_id, kind, label, original, position) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id',
    [campaign, kind, label, original, position],
  );
  const id = inserted.rows[0]?.id;
  if (id !== undefined) {
    if (target !== null) await client.query('INSERT INTO catalog.link_version (link_id, version, target) VALUES ($1, 1, $2)', [id, target]);
    return id;
  }
  const found = await client.query<{ id: number }>(
    'SELECT id FROM catalog.link WHERE campaign_id = $1 AND kind = $2 AND label = $3 AND md5(original) = md5($4)',
    [campaign, kind, label, original],
  );
  return (found.rows[0] as { id: number }).id;
}

/** Finds a link by its id or by one of its aliases. Throws `not-found` if there is no such link. */
export async function findLink(db: Database, idOrAlias: string): Promise<{ id: number; kind: string; campaign: string }> {
  const found = await db.query<{ id: number; kind: string; campaign: string }>(
    `SELECT l.id, l.kind, c.name AS campaign FROM catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id
     WHERE l.id::text = $1 OR l.id = (SELECT link_id FROM catalog.alias WHERE name = $1)`,
    [idOrAlias],
  );
  const link = found.rows[0];
  if (!link)
    throw new ClickledgerError(
      'not-found',
      `link '${idOrAlias}' does not exist. \`clickledger link list --campaign …\` lists the links of a campaign.`,
    );
  return link;
}

/** Finds a link of a letter. Throws `not-found` if there is no such link and `bad-input` for any other link. */
export async function findUrlLink(db: Database, idOrAlias: string): Promise<number> {
  const link = await findLink(db, idOrAlias);
  if (link.kind === 'honeypot')
    throw new ClickledgerError('bad-input', `link ${link.id} is the hidden link of '${link.campaign}', which does not change`);
  if (link.kind === 'unsubscribe')
    throw new ClickledgerError('bad-input', `link ${link.id} is the link of '${link.campaign}' for unsubscribing, which has no target`);
  if (link.kind !== 'url')
    throw new ClickledgerError('bad-input', `link ${link.id} is the pixel of '${link.campaign}', and a pixel has no target`);
  return link.id;
}

/**
 * Changes the target of a link. The link keeps its id and gets a new version. Each click is stored with the version that was current at its
 * time. Returns the current version, and `changed: false` if the link already had this target. Throws `bad-input` for an invalid target.
 */
export async function retarget(pool: Pool, link: number, target: string): Promise<{ version: number; changed: boolean }> {
  const checked = parseTarget(target);
  return transaction(pool, async (client) => {
    const { rows } = await client.query<{ version: number }>('SELECT version FROM catalog.link WHERE id = $1 FOR UPDATE', [link]);
    const version = rows[0]?.version as number;
    const current = await client.query<{ target: string }>('SELECT target FROM catalog.link_version WHERE link_id = $1 AND version = $2', [
      link,
      version,
    ]);
    if (current.rows[0]?.target === checked) return { version, changed: false };
    // Both statements are in one transaction, because a backend must never read a version without its target.
    await client.query('INSERT INTO catalog.link_version (link_id, version, target) VALUES ($1, $2, $3)', [link, version + 1, checked]);
    await client.query('UPDATE catalog.link SET version = $2 WHERE id = $1', [link, version + 1]);
    return { version: version + 1, changed: true };
  });
}

/** Sets the time from which a link leads to the fallback of its campaign. Null means that the link does not expire. */
export async function setExpiry(db: Database, link: number, at: Date | null): Promise<void> {
  await db.query('UPDATE catalog.link SET expires_at = $2 WHERE id = $1 AND expires_at IS DISTINCT FROM $2', [link, at]);
}

/** Disables a link, so that it leads to the fallback of its campaign, or enables it again. */
export async function setDisabled(db: Database, link: number, disabled: boolean): Promise<void> {
  await db.query('UPDATE catalog.link SET disabled_at = CASE WHEN $2 THEN now() END WHERE id = $1 AND (disabled_at IS NULL) = $2', [
    link,
    disabled,
  ]);
}

/**
 * Gives a link an alias. Does nothing if the link already has this alias. Throws `bad-input` for an invalid alias and `conflict` if another
 * link has this alias.
 */
export async function ensureAlias(db: Database, name: string, link: number): Promise<void> {
  if (!isAlias(name))
    throw new ClickledgerError(
      'bad-input',
      `'${name}' is not an alias. An alias has up to 64 letters, digits, '-' and '_', at least one '-' or '_', and begins with a letter or digit.`,
    );
  await db.query('INSERT INTO catalog.alias (name, link_id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [name, link]);
  const owner = await db.query<{ link_id: number; campaign: string }>(
    'SELECT a.link_id, c.name AS campaign FROM catalog.alias a JOIN catalog.link l ON l.id = a.link_id JOIN catalog.campaign c ON c.id = l.campaign_id WHERE a.name = $1',
    [name],
  );
  const { link_id: ownerId, campaign } = owner.rows[0] as { link_id: number; campaign: string };
  if (ownerId !== link) throw new ClickledgerError('conflict', `alias '${name}' belongs to another link, of campaign '${campaign}'`);
}

export interface LinkRow {
  id: number;
  kind: string;
  /** The place of the link, counted from 1, in the letter that was prepared last with it. Null if the link is in no letter. */
  position: number | null;
  label: string;
  /** Null for a pixel, and for a link for unsubscribing. */
  target: string | null;
  version: number;
  aliases: string[];
  created_at: Date;
  expires_at: Date | null;
  disabled_at: Date | null;
}

const SELECT_LINKS = `
  SELECT l.id, l.kind, l.position, l.label, v.target, l.version, ARRAY(SELECT name FROM catalog.alias a WHERE a.link_id = l.id ORDER BY name) AS aliases,
         l.created_at, l.expires_at, l.disabled_at
  FROM catalog.link l LEFT JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version`;

/** Returns all links of a campaign with their current target, in the order of the letter. Links that are in no letter come last. */
export async function listLinks(db: Database, campaign: number): Promise<LinkRow[]> {
  return (await db.query<LinkRow>(`${SELECT_LINKS} WHERE l.campaign_id = $1 ORDER BY l.position, l.id`, [campaign])).rows;
}

/** Returns a link. Throws `not-found` if there is none with this id. */
export async function readLink(db: Database, id: number): Promise<LinkRow> {
  const link = (await db.query<LinkRow>(`${SELECT_LINKS} WHERE l.id = $1`, [id])).rows[0];
  if (link === undefined) throw new ClickledgerError('not-found', `there is no link with the number ${id}`);
  return link;
}
