import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import type { SlugKey } from '../core/slug.ts';

/**
 * The functions with which a worker reads the catalog. Both functions throw if they have to query the catalog and the catalog does not
 * answer. Then the worker keeps the batches and retries.
 */
export interface Catalog {
  /**
   * Returns a map from link id to campaign id. The map contains all ids in `links` that the catalog has. The campaign of a link never
   * changes, so it is read once and then cached.
   */
  campaignsOf(links: ReadonlySet<number>): Promise<ReadonlyMap<number, number>>;
  /**
   * Throws `bad-settings` if SLUG_KEYS lacks a key that the catalog lists. A slug that was signed with the missing key would look forged.
   * So no slug may be counted as forged while a key is missing.
   */
  assertAllKeys(): Promise<void>;
}

export function createCatalog(pool: Pool, keys: readonly SlugKey[]): Catalog {
  const campaigns = new Map<number, number>();
  return {
    async campaignsOf(links) {
      const uncached = [...links].filter((link) => !campaigns.has(link));
      if (uncached.length > 0) {
        const found = await pool.query<{ id: number; campaign: number }>(
          'SELECT id, campaign_id AS campaign FROM catalog.link WHERE id = ANY($1::bigint[])',
          [uncached],
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
          `SLUG_KEYS lacks the key with fingerprint ${missing[0]?.fingerprint}, so slugs that it signed cannot be verified. Add the key.`,
        );
      }
    },
  };
}
