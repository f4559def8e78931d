import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import type { SlugKey } from '../core/slug.ts';

/** What a worker has to know of the catalog. Both may throw while it is out of reach: then the batches wait. */
export interface Catalog {
  /** The campaign of every link; 0 where the catalog has no such link. Campaigns of links never change, so they are asked for once. */
  campaignsOf(links: ReadonlySet<number>): Promise<ReadonlyMap<number, number>>;
  /** Throws unless we have every key that may have signed a slug: without one, nothing may be called forged. */
  assertAllKeys(): Promise<void>;
}

export function createCatalog(pool: Pool, keys: readonly SlugKey[]): Catalog {
  const campaigns = new Map<number, number>();
  return {
    async campaignsOf(links) {
      const unknown = [...links].filter((link) => !campaigns.has(link));
      if (unknown.length > 0) {
        const found = await pool.query<{ id: number; campaign: number }>(
          'SELECT id, campaign_id AS campaign FROM catalog.link WHERE id = ANY($1::bigint[])',
          [unknown],
        );
        for (const { id, campaign } of found.rows) campaigns.set(id, campaign);
      }
      return campaigns;
    },
    async assertAllKeys() {
      const listed = await pool.query<{ fingerprint: string }>('SELECT fingerprint FROM catalog.signing_key');
      const missing = listed.rows.filter(({ fingerprint }) => !keys.some((key) => key.fingerprint === fingerprint));
      if (missing.length > 0) {
        throw new ClickledgerError(
          'bad-settings',
          `SLUG_KEYS lacks the key with fingerprint ${missing[0]?.fingerprint}: slugs that it signed cannot be judged`,
        );
      }
    },
  };
}
