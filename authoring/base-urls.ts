import type { Config } from '../core/config.ts';
import { ClickledgerError } from '../core/errors.ts';

// The base URLs of the settings. Every URL of a campaign begins with one of them. A slug does not depend on the base URL, so nginx answers it at
// all of them.

/** Returns the base URLs of the settings, each once. The first is the default. */
export function baseUrlsOf({ BASE_URL, BASE_URLS }: Config<'BASE_URL' | 'BASE_URLS'>): readonly string[] {
  return [BASE_URL, ...BASE_URLS].filter((url, i, all) => all.findIndex((other) => isSame(other, url)) === i);
}

/** Finds the base URL that a user names, and returns it as the settings have it. Throws `bad-input` if the settings do not have it. */
export function chooseBaseUrl(wanted: string, baseUrls: readonly string[]): string {
  const found = baseUrls.find((url) => isSame(url, wanted));
  if (found === undefined)
    throw new ClickledgerError(
      'bad-input',
      `'${wanted}' is not one of the base URLs: ${baseUrls.join(', ')}. An operator adds a base URL to the setting BASE_URLS.`,
    );
  return found;
}

/**
 * Returns the base URL with which new URLs of a campaign are made. Throws `bad-settings` if the campaign has a base URL that the settings do
 * not have any more.
 */
export function baseUrlOf(campaign: { name: string; baseUrl: string | null }, baseUrls: readonly string[]): string {
  const { name, baseUrl } = campaign;
  const found = baseUrl === null ? baseUrls[0] : baseUrls.find((url) => isSame(url, baseUrl));
  if (found === undefined)
    throw new ClickledgerError(
      'bad-settings',
      `campaign '${name}' has the base URL ${baseUrl}, which is not in the settings: add it to BASE_URLS, or choose another one with \`clickledger campaign edit ${JSON.stringify(name)} --base-url ${baseUrls[0]}\`.`,
    );
  return found;
}

/** Whether two texts are the same URL for clients. `https://T.example.org:443/` and `https://t.example.org` are. */
function isSame(one: string, other: string): boolean {
  const normalised = (text: string) => (URL.canParse(text) ? new URL(text).href.replace(/\/+$/, '') : undefined);
  return normalised(one) !== undefined && normalised(one) === normalised(other);
}
