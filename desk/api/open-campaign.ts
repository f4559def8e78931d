import { baseUrlOf, baseUrlsOf } from '../../authoring/base-urls.ts';
import { type Campaign, readCampaign } from '../../authoring/campaigns.ts';
import { createUrls, type Urls } from '../../authoring/urls.ts';
import { ClickledgerError, codeOf } from '../../core/errors.ts';
import { createSlugCodec } from '../../core/slug.ts';
import type { ApiDeps } from './route.ts';
import { assertSigns } from '../../authoring/signing-key.ts';

/**
 * Returns a campaign to which something is added. Throws `not-found` if there is no such campaign, and `conflict` if it is closed.
 */
export async function openCampaign({ author }: ApiDeps, id: number): Promise<Campaign> {
  const campaign = await readCampaign(author, id);
  if (campaign.closed_at !== null)
    throw new ClickledgerError('conflict', `campaign ${id} is closed: reopen it with PATCH and {"closed": false}`);
  return campaign;
}

/** Returns the base URL of the URLs of a campaign. Throws `conflict` if the settings do not have it any more. */
export function baseUrlIn({ config }: ApiDeps, { id, name, base_url: baseUrl }: Pick<Campaign, 'id' | 'name' | 'base_url'>): string {
  try {
    return baseUrlOf({ name, baseUrl }, baseUrlsOf(config));
  } catch (error) {
    if (codeOf(error) !== 'bad-settings') throw error;
    throw new ClickledgerError(
      'conflict',
      `campaign ${id} has the base URL ${baseUrl}, which is not in the settings any more: choose another one with PATCH and {"base_url": …}`,
      { cause: error },
    );
  }
}

/** Returns what makes the URLs of a campaign. */
export async function urlsOf(deps: ApiDeps, campaign: Pick<Campaign, 'id' | 'name' | 'base_url'>): Promise<Urls> {
  await assertSigns(deps.author, deps.config.SLUG_KEYS);
  return createUrls(baseUrlIn(deps, campaign), createSlugCodec(deps.config.SLUG_KEYS));
}
