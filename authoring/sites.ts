import { ClickledgerError } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';

// The authors' own sites, whose visits and goals are counted.

export interface Site {
  id: number;
  host: string;
  created_at: Date;
}

/**
 * Parses a host name that a user typed: in lower case, without scheme, path and port, with international names as ASCII. Throws
 * `bad-input`.
 */
export function parseHost(text: string): string {
  const typed = text
    .trim()
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/\.?\/?$/, '');
  const host = /^[^\s/?#@:\\]+$/.test(typed) && URL.canParse(`https://${typed}`) ? new URL(`https://${typed}`).hostname : '';
  // The URL standard reads `1234` as an IPv4 address.
  const isSame = host === typed || /[^\x00-\x7f]/.test(typed);
  if (!isSame || !/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(host))
    throw new ClickledgerError('bad-input', `'${text}' is not a host name. Write it as in shop.example, without a path.`);
  return host;
}

/** Finds a site by its host name, or adds it. Throws `bad-input` for an invalid name. */
export async function ensureSite(db: Pool | PoolClient, host: string): Promise<{ id: number; host: string; created: boolean }> {
  const name = parseHost(host);
  const added = await db.query<{ id: number | null }>('SELECT catalog.add_site($1) AS id', [name]);
  const id = added.rows[0]?.id ?? null;
  if (id !== null) return { id, host: name, created: true };
  const found = await db.query<{ id: number }>('SELECT id FROM catalog.site WHERE host = $1', [name]);
  return { id: (found.rows[0] as { id: number }).id, host: name, created: false };
}

/** Returns all sites, ordered by host name. */
export async function listSites(db: Pool | PoolClient): Promise<Site[]> {
  return (await db.query<Site>('SELECT id, host, created_at FROM catalog.site ORDER BY host')).rows;
}
