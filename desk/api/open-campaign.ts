import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { type Campaign, readCampaign } from '../../authoring/campaigns.ts';
import { createUrls, type Urls } from '../../authoring/urls.ts';
import { ClickledgerError } from '../../core/errors.ts';
import { createSlugCodec } from '../../core/slug.ts';
import type { ApiDeps } from './route.ts';

/**
 * Returns a campaign to which something is added. Throws `not-found` if there is no such campaign, and `conflict` if it is closed.
 */
export async function openCampaign({ author }: ApiDeps, id: number): Promise<Campaign> {
  const campaign = await readCampaign(author, id);
  if (campaign.closed_at !== null)
    throw new ClickledgerError('conflict', `campaign ${id} is closed: reopen it with PATCH and {"closed": false}`);
  return campaign;
}

/** Returns the base URL of the URLs of a campaign. */
export const baseUrlIn = ({ config }: ApiDeps, { name, base_url: baseUrl }: Pick<Campaign, 'name' | 'base_url'>): string =>
  baseUrlOf({ name, baseUrl }, baseUrlsOf(config));

/** Returns what makes the URLs of a campaign. */
export const urlsOf = (deps: ApiDeps, campaign: Pick<Campaign, 'name' | 'base_url'>): Urls =>
  createUrls(baseUrlIn(deps, campaign), createSlugCodec(deps.config.SLUG_KEYS));
