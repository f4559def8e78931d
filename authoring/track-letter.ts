import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import type { SlugKey } from '../core/slug.ts';
import type { Encoding } from './letter/encoding.ts';
import { isPrepared, type LetterPlan, planLetter, type PixelPlace } from './letter/plan.ts';
import { createSlugCodec } from '../core/slug.ts';
import { createUrls } from './urls.ts';
import { ensureLinks, type LinkSpec } from './links.ts';
import { type AddressPlan, type Addresses, createAddresses } from './letter-addresses.ts';

// Makes a tracked letter from a letter. Plans both parts, finds or creates their links in the catalog, and returns the URLs of each
// recipient. A link that occurs several times in one part is one link. The HTML part and the text part have separate links.

export interface PrepareOptions {
  /** Links to these domains and their subdomains are kept. */
  exclude: readonly string[];
  /** True if unsubscribe, preference and view-in-browser links are tracked, too. */
  trackUnsubscribe: boolean;
  /** The `utm_…` parameters that are added. Their names are without the prefix `utm_`. */
  utm: Readonly<Record<string, string>>;
  pixel: PixelPlace;
  /** True if the HTML part gets a link that no person sees. Hits on it are signs of a machine. */
  honeypot?: boolean;
  /** The encoding of both parts. By default it is detected. */
  charset?: Encoding | undefined;
  /** True if clickledger made the HTML part, in UTF-8. Then `charset` is only for the text part. */
  isConverted?: boolean;
}

/** The original letter. It has at least one part. */
export interface LetterParts {
  html?: Uint8Array | undefined;
  text?: Uint8Array | undefined;
}

export interface LetterPlans {
  html: LetterPlan | undefined;
  text: LetterPlan | undefined;
}

/** A distinct link of the letter. */
export interface LetterLink {
  part: 'html' | 'text';
  target: string;
  label: string;
  /** The URL as it is spelled at its first occurrence. */
  spelled: string;
  /** The URL as clients read it. */
  address: string;
}

/** Plans both parts of a letter. This needs no database. Throws `bad-input` if there is no part. */
export function planParts(parts: LetterParts, options: PrepareOptions & { baseUrls: readonly string[] }): LetterPlans {
  if (!parts.html && !parts.text) throw new ClickledgerError('bad-input', 'the letter has no part. Give its HTML, its text, or both.');
  const html = parts.html && planLetter(parts.html, 'html', options.isConverted ? { ...options, charset: 'utf-8' } : options);
  // A text part that declares no encoding is probably in the encoding of the HTML part.
  const fallback = html?.isDeclared && !options.isConverted ? html.encoding : undefined;
  return { html, text: parts.text && planLetter(parts.text, 'text', { ...options, fallback }) };
}

/** Returns true if an earlier run prepared the letter and no link is left to track. */
export function arePrepared({ html, text }: LetterPlans): boolean {
  return isPrepared([html, text].filter((plan) => plan !== undefined));
}

/** A letter whose links are in the catalog. */
export interface TrackedLetter {
  plans: LetterPlans;
  links: readonly (LetterLink & { id: number })[];
  /** For each tracked place of a part, in the order of the part, the index of its link in `links`. */
  places: { html: readonly number[]; text: readonly number[] };
  /** True if a pixel is inserted into the letter. */
  hasPixel: boolean;
  /** The hidden link, by its index in `links` of `addressesOf`. Undefined if the letter has none. */
  honeypot: { index: number } | undefined;
  /** What `addressesOf` depends on. */
  addressPlan: AddressPlan;
  /**
   * Returns the URLs of one recipient. Its `links` has the URLs of the links, in their order, and then the URL of the hidden link, if the
   * letter has one. Recipient 0 gets the shared URLs.
   */
  addressesOf: (recipient: number) => Addresses;
  /**
   * Returns the URL at which a recipient unsubscribes. Recipients who opted out of tracking get one, too. Undefined if the letter has no
   * `{{unsubscribe}}`.
   */
  unsubscribeOf: ((recipient: number) => string) | undefined;
}

/** Finds or creates the links of a planned letter in the catalog. `expires` is set on all of them except the pixel and the hidden link. */
export async function trackLetter(
  deps: { pool: Pool; baseUrl: string; keys: readonly SlugKey[] },
  campaign: number,
  plans: LetterPlans,
  expires?: Date,
): Promise<TrackedLetter> {
  const links: LetterLink[] = [];
  const places = { html: placesOf(plans.html, links), text: placesOf(plans.text, links) };
  const hasPixel = plans.html?.pixelAt !== undefined;
  const specs: LinkSpec[] = links.map(({ target, label }, i) => ({ kind: 'url', target, label, position: i + 1 }));
  // The hidden link redirects to the target of the first link.
  const target = plans.html?.honeypotAt === undefined ? undefined : links[0]?.target;
  const honeypot = target === undefined ? undefined : { index: links.length };
  if (target !== undefined) specs.push({ kind: 'honeypot', target });
  const clicked = specs.length;
  if (hasPixel) specs.push({ kind: 'pixel' });
  const hasUnsubscribe = [plans.html, plans.text].some((plan) => plan?.hasUnsubscribe);
  if (hasUnsubscribe) specs.push({ kind: 'unsubscribe' });
  const ids = await ensureLinks(deps.pool, campaign, specs, expires);
  const { baseUrl, keys } = deps;
  const addressPlan = { baseUrl, keys, links: ids.slice(0, clicked), pixel: hasPixel ? ids[clicked] : undefined };
  const urls = createUrls(baseUrl, createSlugCodec(keys));
  return {
    plans,
    links: links.map((link, i) => ({ ...link, id: ids[i] as number })),
    places,
    hasPixel,
    honeypot,
    addressPlan,
    addressesOf: createAddresses(addressPlan),
    unsubscribeOf: hasUnsubscribe ? (recipient) => urls.unsubscribe(ids.at(-1) as number, recipient) : undefined,
  };
}

/** Adds the distinct links of a part to `links`. Returns the index in `links` for each tracked place of the part. */
export function placesOf(plan: LetterPlan | undefined, links: LetterLink[]): number[] {
  const indexes = new Map<string, number>();
  return (plan?.tracked ?? []).map(({ target, label, from, to, address }) => {
    const key = `${label}\n${target}`;
    const index = indexes.get(key) ?? links.length;
    if (index === links.length) {
      indexes.set(key, index);
      links.push({ part: (plan as LetterPlan).kind, target, label, spelled: (plan as LetterPlan).text.slice(from, to), address });
    }
    return index;
  });
}
