import { z } from 'zod';
import { ClickledgerError } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';
import { isAlias, type SlugCodec, type SlugKey } from '../core/slug.ts';

// What an author does to the catalog. Everything can be done twice: the second time it finds what the first one made.

type Database = Pool | PoolClient;

/** Longer ones do not fit the response headers that nginx accepts from a backend. */
const MAX_TARGET_BYTES = 8000;

/** Checks where a link shall lead; it is kept byte for byte as given. */
export function parseTarget(target: string): string {
  const refuse = (why: string) => new ClickledgerError('bad-input', `'${target.slice(0, 80)}' cannot be tracked: ${why}`);
  if (!/^https?:\/\//i.test(target)) throw refuse('a target begins with http:// or https://');
  if (/[\x00-\x20\x7f]/.test(target)) throw refuse('it contains a space or a control character; write it as %20 or the like');
  if (!URL.canParse(target) || new URL(target).hostname === '') throw refuse('it is no URL with a host');
  if (Buffer.byteLength(target) > MAX_TARGET_BYTES) throw refuse(`it is longer than ${MAX_TARGET_BYTES} bytes`);
  return target;
}

function parseEmail(text: string): string {
  const email = text.trim().toLowerCase();
  if (!z.email().safeParse(email).success) throw new ClickledgerError('bad-input', `'${text}' is no mail address`);
  return email;
}

export interface Campaign {
  id: number;
  name: string;
  created_at: Date;
  links: number;
}

/** Finds or makes a campaign by name. */
export async function ensureCampaign(db: Database, name: string, fallback: string | undefined): Promise<{ id: number; created: boolean }> {
  if (name.trim() === '') throw new ClickledgerError('bad-input', 'a campaign needs a name');
  const made = await db.query<{ id: number }>(
    'INSERT INTO catalog.campaign (name, fallback_url) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING id',
    [name, fallback ?? null],
  );
  if (made.rows[0]) return { id: made.rows[0].id, created: true };
  const found = await db.query<{ id: number; fallback_url: string | null }>(
    'SELECT id, fallback_url FROM catalog.campaign WHERE name = $1',
    [name],
  );
  const existing = found.rows[0] as { id: number; fallback_url: string | null };
  if (fallback !== undefined && existing.fallback_url !== fallback)
    await db.query('UPDATE catalog.campaign SET fallback_url = $2 WHERE id = $1', [existing.id, fallback]);
  return { id: existing.id, created: false };
}

/** A campaign by name or by number. */
export async function findCampaign(db: Database, nameOrId: string): Promise<{ id: number; name: string }> {
  const found = await db.query<{ id: number; name: string }>(
    'SELECT id, name FROM catalog.campaign WHERE name = $1 OR id::text = $1 ORDER BY (name = $1) DESC LIMIT 1',
    [nameOrId],
  );
  const campaign = found.rows[0];
  if (!campaign)
    throw new ClickledgerError(
      'not-found',
      `there is no campaign '${nameOrId}': make it with \`clickledger campaign create ${JSON.stringify(nameOrId)}\``,
    );
  return campaign;
}

export async function listCampaigns(db: Database): Promise<Campaign[]> {
  const found = await db.query<Campaign>(
    'SELECT c.id, c.name, c.created_at, (SELECT count(*) FROM catalog.link l WHERE l.campaign_id = c.id)::int AS links FROM catalog.campaign c ORDER BY c.id',
  );
  return found.rows;
}

/** Finds or makes the link of a campaign to a target, or its pixel. `label` tells two links to the same target apart. */
export async function ensureLink(
  db: Pool,
  campaign: number,
  link: { kind: 'url'; target: string; label?: string } | { kind: 'pixel' },
): Promise<number> {
  const original = link.kind === 'url' ? parseTarget(link.target) : '';
  const label = link.kind === 'url' ? (link.label ?? '') : '';
  const client = await db.connect();
  try {
    await client.query('BEGIN');
    const made = await client.query<{ id: number }>(
      'INSERT INTO catalog.link (campaign_id, kind, label, original) VALUES ($1, $2, $3, $4) ON CONFLICT (campaign_id, kind, label, md5(original)) DO NOTHING RETURNING id',
      [campaign, link.kind, label, original],
    );
    let id = made.rows[0]?.id;
    if (id !== undefined && link.kind === 'url')
      await client.query('INSERT INTO catalog.link_version (link_id, version, target) VALUES ($1, 1, $2)', [id, original]);
    if (id === undefined) {
      const found = await client.query<{ id: number }>(
        'SELECT id FROM catalog.link WHERE campaign_id = $1 AND kind = $2 AND label = $3 AND md5(original) = md5($4)',
        [campaign, link.kind, label, original],
      );
      id = (found.rows[0] as { id: number }).id;
    }
    await client.query('COMMIT');
    return id;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}

/** The number of a person, who becomes known by this. */
export async function ensureRecipient(db: Database, address: string): Promise<number> {
  const email = parseEmail(address);
  const made = await db.query<{ id: number }>(
    'INSERT INTO catalog.recipient (email) VALUES ($1) ON CONFLICT (email) DO NOTHING RETURNING id',
    [email],
  );
  if (made.rows[0]) return made.rows[0].id;
  const found = await db.query<{ id: number; opted_out_at: Date | null }>(
    'SELECT id, opted_out_at FROM catalog.recipient WHERE email = $1',
    [email],
  );
  const recipient = found.rows[0] as { id: number; opted_out_at: Date | null };
  if (recipient.opted_out_at) throw new ClickledgerError('conflict', `${email} has opted out of tracking: send the untracked address`);
  return recipient.id;
}

/** Names a link; a name that another link has is refused. */
export async function ensureAlias(db: Database, name: string, link: number): Promise<void> {
  if (!isAlias(name))
    throw new ClickledgerError(
      'bad-input',
      `'${name}' is no alias: letters, digits, '-' and '_', at least one of the last two, at most 64, beginning with a letter or digit`,
    );
  await db.query('INSERT INTO catalog.alias (name, link_id) VALUES ($1, $2) ON CONFLICT DO NOTHING', [name, link]);
  const owner = await db.query<{ link_id: number; campaign: string }>(
    'SELECT a.link_id, c.name AS campaign FROM catalog.alias a JOIN catalog.link l ON l.id = a.link_id JOIN catalog.campaign c ON c.id = l.campaign_id WHERE a.name = $1',
    [name],
  );
  const { link_id: taken, campaign } = owner.rows[0] as { link_id: number; campaign: string };
  if (taken !== link) throw new ClickledgerError('conflict', `the alias '${name}' belongs to another link, of campaign '${campaign}'`);
}

export interface LinkRow {
  id: number;
  kind: string;
  target: string | null;
  version: number;
  aliases: string[];
  created_at: Date;
}

export async function listLinks(db: Database, campaign: number): Promise<LinkRow[]> {
  const found = await db.query<LinkRow>(
    `SELECT l.id, l.kind, v.target, l.version, ARRAY(SELECT name FROM catalog.alias a WHERE a.link_id = l.id ORDER BY name) AS aliases, l.created_at
     FROM catalog.link l LEFT JOIN catalog.link_version v ON v.link_id = l.id AND v.version = l.version WHERE l.campaign_id = $1 ORDER BY l.id`,
    [campaign],
  );
  return found.rows;
}

/** A key must be listed before it signs: workers would call its slugs forged. */
export async function assertKeyListed(db: Database, key: SlugKey | undefined): Promise<void> {
  const listed = await db.query('SELECT FROM catalog.signing_key WHERE fingerprint = $1', [key?.fingerprint]);
  if (listed.rowCount === 0)
    throw new ClickledgerError('bad-settings', 'the first key of SLUG_KEYS is not listed in the catalog yet: run `clickledger migrate`');
}

/** The public addresses of slugs. */
export function urls(
  baseUrl: string,
  slugs: SlugCodec,
): { click(link: number, recipient: number): string; pixel(link: number, recipient: number): string; alias(name: string): string } {
  return {
    click: (link, recipient) => `${baseUrl}/u/${slugs.encode({ link, recipient })}`,
    pixel: (link, recipient) => `${baseUrl}/r/${slugs.encode({ link, recipient })}.gif`,
    alias: (name) => `${baseUrl}/u/${name}`,
  };
}
