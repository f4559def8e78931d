import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import type { SlugKey } from '../core/slug.ts';

/** A link or a site as the catalog stores it. No site has the number of a link. */
export interface CatalogLink {
  readonly campaign: number;
  /** `honeypot` is the hidden link of a letter (`prepare --honeypot`). A site has the campaign 0. */
  readonly kind: 'url' | 'pixel' | 'honeypot' | 'unsubscribe' | 'site';
}

/**
 * The functions with which a worker reads the catalog. If `linksOf` or `assertAllKeys` has to query the catalog, and the catalog does not
 * answer, the function throws. The worker then keeps the batches and tries again.
 */
export interface Catalog {
  /**
   * Returns a map by link id. The map contains all ids in `links` that the catalog has. These properties of a link never change, so they are
   * read once and then cached.
   */
  linksOf(links: ReadonlySet<number>): Promise<ReadonlyMap<number, CatalogLink>>;
  /**
   * Returns the time at which a campaign was sent, in epoch milliseconds. Undefined if the author has not recorded it. The time
   * comes from a cache, so that commits do not wait for the catalog. A change is seen after about REFRESH_MS.
   */
  sentAt(campaign: number): number | undefined;
  /**
   * Throws `bad-settings` if SLUG_KEYS lacks a key that the catalog lists. A slug that was signed with the missing key would look forged.
   * So no slug may be counted as forged while a key is missing.
   */
  assertAllKeys(): Promise<void>;
}

/** The times of sending are read again after this time. */
const REFRESH_MS = 5_000;

export function createCatalog(pool: Pool, keys: readonly SlugKey[]): Catalog {
  const known = new Map<number, CatalogLink>();
  /** The time of sending of each known campaign. */
  const sent = new Map<number, number | null>();
  let refreshedMs = performance.now();
  let isRefreshing = false;

  /** Reads the times again in the background. If the catalog does not answer, the known times stay. */
  function refresh(): void {
    if (isRefreshing || performance.now() - refreshedMs < REFRESH_MS) return;
    isRefreshing = true;
    pool
      .query<SentRow>(`SELECT id AS campaign, ${SENT_AT} FROM catalog.campaign WHERE id = ANY ($1::bigint[])`, [[...sent.keys()]])
      .then(
        ({ rows }) => remember(rows),
        () => undefined,
      )
      .finally(() => {
        refreshedMs = performance.now();
        isRefreshing = false;
      });
  }

  function remember(rows: readonly SentRow[]): void {
    for (const { campaign, sentAt } of rows) sent.set(campaign, sentAt);
  }

  return {
    async linksOf(links) {
      refresh();
      const uncached = [...links].filter((link) => !known.has(link));
      if (uncached.length > 0) {
        const found = await pool.query<SentRow & CatalogLink & { id: number }>(
          `SELECT l.id, l.campaign_id AS campaign, l.kind, ${SENT_AT}
           FROM catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id WHERE l.id = ANY ($1::bigint[])
           UNION ALL SELECT id, 0, 'site', NULL FROM catalog.site WHERE id = ANY ($1::bigint[])`,
          [uncached],
        );
        for (const { id, campaign, kind } of found.rows) known.set(id, { campaign, kind });
        remember(found.rows);
      }
      return known;
    },
    sentAt: (campaign) => sent.get(campaign) ?? undefined,
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

interface SentRow {
  campaign: number;
  /** Epoch milliseconds. */
  sentAt: number | null;
}

const SENT_AT = '(extract(epoch FROM sent_at) * 1000)::float8 AS "sentAt"';
