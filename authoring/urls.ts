import { ClickledgerError } from '../core/errors.ts';
import type { SlugCodec, SlugKey } from '../core/slug.ts';
import type { Database } from './campaigns.ts';

// Builds the public URLs of links, pixels, pages for unsubscribing and sites.

/** Recipient 0 means a shared link. */
export interface Urls {
  /** Returns the URL that redirects to the target of a link. */
  click(link: number, recipient: number): string;
  /** Returns the URL of the image that counts an open. */
  pixel(link: number, recipient: number): string;
  /** Returns the URL at which a recipient unsubscribes. */
  unsubscribe(link: number, recipient: number): string;
  /** Returns the shared URL of a link by its alias. */
  alias(name: string): string;
  /** Returns the URL to which a site sends its visits and goals. */
  site(site: number): string;
  /** Returns the URL of the script that a site includes. */
  script(): string;
}

export function createUrls(baseUrl: string, slugs: SlugCodec): Urls {
  return {
    click: (link, recipient) => `${baseUrl}/u/${slugs.encode({ link, recipient })}`,
    pixel: (link, recipient) => `${baseUrl}/r/${slugs.encode({ link, recipient })}.gif`,
    unsubscribe: (link, recipient) => `${baseUrl}/o/${slugs.encode({ link, recipient })}`,
    alias: (name) => `${baseUrl}/u/${name}`,
    site: (site) => `${baseUrl}/e/${slugs.encode({ link: site, recipient: 0 })}`,
    script: () => `${baseUrl}/t.js`,
  };
}

/**
 * Throws `bad-settings` unless the signing key is listed in the catalog. A key must be listed before it signs slugs, because a worker only
 * checks that it has all listed keys. The worker treats a slug as forged if the slug is not signed with one of the worker's keys.
 */
export async function assertKeyListed(db: Database, key: SlugKey | undefined): Promise<void> {
  const listed = await db.query('SELECT FROM catalog.signing_key WHERE fingerprint = $1', [key?.fingerprint]);
  if (listed.rowCount === 0)
    throw new ClickledgerError('bad-settings', 'the first key of SLUG_KEYS is not listed in the catalog. Run `clickledger migrate`.');
}
