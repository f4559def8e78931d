import { ClickledgerError } from '../core/errors.ts';
import type { SlugCodec, SlugKey } from '../core/slug.ts';
import type { Database } from './campaigns.ts';

/** The public addresses of slugs. */
export interface Urls {
  click(link: number, recipient: number): string;
  pixel(link: number, recipient: number): string;
  alias(name: string): string;
}

export function createUrls(baseUrl: string, slugs: SlugCodec): Urls {
  return {
    click: (link, recipient) => `${baseUrl}/u/${slugs.encode({ link, recipient })}`,
    pixel: (link, recipient) => `${baseUrl}/r/${slugs.encode({ link, recipient })}.gif`,
    alias: (name) => `${baseUrl}/u/${name}`,
  };
}

/** A key must be listed before it signs: workers would call its slugs forged. */
export async function assertKeyListed(db: Database, key: SlugKey | undefined): Promise<void> {
  const listed = await db.query('SELECT FROM catalog.signing_key WHERE fingerprint = $1', [key?.fingerprint]);
  if (listed.rowCount === 0)
    throw new ClickledgerError('bad-settings', 'the first key of SLUG_KEYS is not listed in the catalog yet: run `clickledger migrate`');
}
