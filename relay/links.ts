import { LRUCache } from 'lru-cache';
import { ensureLinks, type LinkSpec } from '../authoring/links.ts';
import type { Pool } from '../core/postgres.ts';

// The ids of the links of campaigns. The relay meets the same links in each message of a campaign, so it keeps their ids in memory.

export interface CampaignLinks {
  /**
   * Returns the ids of links, in their order. Creates those that do not exist, up to a limit for each campaign. The id is undefined for a link
   * above the limit. Links of kind url count.
   */
  idsOf(campaign: number, specs: readonly LinkSpec[]): Promise<(number | undefined)[]>;
}

const REMEMBERED = 100_000;

const keyOf = (campaign: number, spec: LinkSpec): string =>
  spec.kind === 'url' ? `${campaign}\n${spec.label ?? ''}\n${spec.target}` : `${campaign}\n${spec.kind}`;

export function createCampaignLinks(pool: Pool, maxLinks: number): CampaignLinks {
  const known = new LRUCache<string, number>({ max: REMEMBERED });
  /** For each campaign, the last request for links that are not in memory. Requests of one campaign run one after the other. */
  const running = new Map<number, Promise<unknown>>();

  const missingOf = (campaign: number, specs: readonly LinkSpec[]): LinkSpec[] =>
    specs.filter((spec) => known.get(keyOf(campaign, spec)) === undefined);

  async function create(campaign: number, specs: readonly LinkSpec[]): Promise<void> {
    const missing = missingOf(campaign, specs);
    if (missing.length === 0) return;
    const allowed = await withinLimit(pool, campaign, missing, maxLinks);
    const ids = await ensureLinks(pool, campaign, allowed);
    for (const [i, spec] of allowed.entries()) known.set(keyOf(campaign, spec), ids[i] as number);
  }

  return {
    async idsOf(campaign, specs) {
      if (missingOf(campaign, specs).length > 0) {
        const before = running.get(campaign) ?? Promise.resolve();
        const request = before.catch(() => {}).then(() => create(campaign, specs));
        running.set(campaign, request);
        try {
          await request;
        } finally {
          if (running.get(campaign) === request) running.delete(campaign);
        }
      }
      return specs.map((spec) => known.get(keyOf(campaign, spec)));
    },
  };
}

/** Returns the links that exist or may be created. */
async function withinLimit(pool: Pool, campaign: number, specs: readonly LinkSpec[], maxLinks: number): Promise<LinkSpec[]> {
  const urls = specs.filter((spec) => spec.kind === 'url');
  const { rows } = await pool.query<{ links: number; existing: number[] }>(
    `SELECT (SELECT count(*)::int FROM catalog.link WHERE campaign_id = $1 AND kind = 'url') AS links,
            ARRAY(SELECT n::int FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS wanted (label, original, n)
                  WHERE EXISTS (SELECT FROM catalog.link l WHERE l.campaign_id = $1 AND l.kind = 'url' AND l.label = wanted.label
                                AND md5(l.original) = md5(wanted.original))) AS existing`,
    [campaign, urls.map(({ label }) => label ?? ''), urls.map(({ target }) => target)],
  );
  const { links, existing } = rows[0] as { links: number; existing: number[] };
  const exists = new Set(existing.map((n) => urls[n - 1]));
  let free = maxLinks - links;
  return specs.filter((spec) => spec.kind !== 'url' || exists.has(spec) || free-- > 0);
}
