import { resolve } from 'node:path';
import { parseConfig } from '../core/config.ts';
import { readEnvFile } from '../core/env-file.ts';
import { ClickledgerError } from '../core/errors.ts';
import { createPool, explainErrors } from '../core/postgres.ts';
import { createSlugCodec } from '../core/slug.ts';
import { baseUrlOf, baseUrlsOf, chooseBaseUrl } from './base-urls.ts';
import { ensureCampaign, findOpenCampaign } from './campaigns.ts';
import { ensureAlias, ensureLink } from './links.ts';
import { type LetterOptions, type PreparedLetter, prepareLetter } from './prepare-letter.ts';
import { ensureRecipient } from './recipients.ts';
import { assertKeyListed, createUrls } from './urls.ts';

// The library interface: `import { createTracker } from "clickledger"`. It has the functions of the commands `url`, `pixel` and `prepare`
// for programs that send mail themselves.

export { ClickledgerError };
export type { PersonalLetter, PreparedLetter, TrackerPerson } from './prepare-letter.ts';

export interface TrackerOptions {
  /** The data directory, whose file `env` has the settings. The default is CLICKLEDGER_DATA, or `.clickledger` in the working directory. */
  data?: string;
  /**
   * Settings by name (BASE_URL, BASE_URLS, AUTHOR_URL, SLUG_KEYS). They take precedence over the environment, which takes precedence over the
   * directory.
   */
  settings?: Readonly<Record<string, string>>;
}

export interface TrackerPrepareOptions extends LetterOptions {
  /** The name or the id of the campaign. */
  campaign: string | number;
}

export interface Tracker {
  /**
   * Returns the id of the campaign with this name. Creates the campaign if it does not exist. The given options are set, even if the
   * campaign already exists. `baseUrl` is BASE_URL or one of BASE_URLS; null means BASE_URL. New URLs of the campaign begin with it.
   */
  campaign(
    name: string,
    options?: { fallback?: string; passQuery?: boolean; followHosts?: readonly string[] | null; baseUrl?: string | null },
  ): Promise<number>;
  /**
   * Returns the tracked URL of a target. The URL is for one person if `to` has a mail address. Otherwise it is shared by all. `alias` is
   * only for a shared URL.
   */
  url(target: string, options: { campaign: string | number; to?: string; label?: string; alias?: string; expires?: Date }): Promise<string>;
  /** Returns the URL of a campaign's pixel. The URL is for one person if `to` has a mail address. Otherwise it is shared by all. */
  pixel(options: { campaign: string | number; to?: string }): Promise<string>;
  /** Tracks the links of a letter. The functions of the result return the letter of each person. */
  prepare(options: TrackerPrepareOptions): Promise<PreparedLetter>;
  /** Closes the connections to the database. */
  close(): Promise<void>;
}

/**
 * Connects to the catalog as the author. All functions of the tracker are idempotent. Errors are ClickledgerErrors with a `code`, for
 * example `bad-settings` if a setting is missing or the signing key is not listed in the catalog.
 */
export async function createTracker(options: TrackerOptions = {}): Promise<Tracker> {
  const data = resolve(options.data ?? process.env['CLICKLEDGER_DATA'] ?? '.clickledger');
  const config = parseConfig(['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS'], {
    ...(await readEnvFile(data)),
    ...process.env,
    ...options.settings,
  });
  const baseUrls = baseUrlsOf(config);
  const slugs = createSlugCodec(config.SLUG_KEYS);
  const pool = createPool(config.AUTHOR_URL, { max: 4, name: 'tracker' });

  try {
    await explainErrors(() => assertKeyListed(pool, config.SLUG_KEYS[0]));
  } catch (error) {
    await pool.end();
    throw error;
  }
  let closing: Promise<void> | undefined;
  const openCampaign = async (nameOrId: string | number) => {
    const campaign = await findOpenCampaign(pool, nameOrId);
    return { id: campaign.id, baseUrl: baseUrlOf(campaign, baseUrls) };
  };
  const recipientId = async (to: string | undefined) => (to === undefined ? 0 : ensureRecipient(pool, to));

  return {
    campaign: (name, { fallback, passQuery, followHosts, baseUrl: wanted } = {}) =>
      explainErrors(async () => {
        const baseUrl = typeof wanted === 'string' ? chooseBaseUrl(wanted, baseUrls) : wanted;
        return (await ensureCampaign(pool, name, { fallbackUrl: fallback, passQuery, followHosts, baseUrl })).id;
      }),
    url: (target, { campaign, to, label, alias, expires }) =>
      explainErrors(async () => {
        if (to !== undefined && alias !== undefined)
          throw new ClickledgerError('bad-input', 'a URL with an alias is shared by all. Leave out `alias` or `to`.');
        const spec = { kind: 'url' as const, target, ...(label === undefined ? {} : { label }) };
        const { id, baseUrl } = await openCampaign(campaign);
        const link = await ensureLink(pool, id, spec, expires);
        const urls = createUrls(baseUrl, slugs);
        if (alias === undefined) return urls.click(link, await recipientId(to));
        await ensureAlias(pool, alias, link);
        return urls.alias(alias);
      }),
    pixel: ({ campaign, to }) =>
      explainErrors(async () => {
        const { id, baseUrl } = await openCampaign(campaign);
        return createUrls(baseUrl, slugs).pixel(await ensureLink(pool, id, { kind: 'pixel' }), await recipientId(to));
      }),
    prepare: (letter) =>
      explainErrors(async () => {
        const { id, baseUrl } = await openCampaign(letter.campaign);
        return (await prepareLetter({ pool, baseUrl, baseUrls, keys: config.SLUG_KEYS }, id, letter)).prepared;
      }),
    close: () => (closing ??= pool.end()),
  };
}
