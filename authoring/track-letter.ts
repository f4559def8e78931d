import { ClickledgerError } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';
import { isPrepared, type LetterPlan, planLetter, type PixelPlace } from './letter/plan.ts';
import { ensureLinks, type LinkSpec } from './links.ts';
import type { Urls } from './urls.ts';

// From a letter to one that is tracked: plan both parts, find or make their links in the catalog, and then give every person addresses
// of their own. A link that stands in a part several times is one link; the parts have links of their own.

export interface PrepareOptions {
  exclude: readonly string[];
  trackUnsubscribe: boolean;
  /** Parameters `utm_…` to add, without the prefix. */
  utm: Readonly<Record<string, string>>;
  pixel: PixelPlace;
}

/** The letter as it was given; at least one part. */
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
  /** How it is spelled where it stands first, and how clients read that. */
  spelled: string;
  address: string;
}

/** Decides about every link of both parts, without a database. */
export function planParts(parts: LetterParts, options: PrepareOptions & { baseUrl: string }): LetterPlans {
  if (!parts.html && !parts.text) throw new ClickledgerError('bad-input', 'there is no letter: give its HTML, its text, or both');
  return {
    html: parts.html && planLetter(parts.html, 'html', options),
    text: parts.text && planLetter(parts.text, 'text', options),
  };
}

/** Nothing is left to do in either part, because it has been done. */
export function arePrepared({ html, text }: LetterPlans): boolean {
  return isPrepared([html, text].filter((plan) => plan !== undefined));
}

/** A letter whose links are in the catalog. */
export interface TrackedLetter {
  plans: LetterPlans;
  links: readonly (LetterLink & { id: number })[];
  /** For each tracked place of a part, in its order: which of `links` it is. */
  places: { html: readonly number[]; text: readonly number[] };
  /** Whether it has a pixel. */
  hasPixel: boolean;
  /** The addresses of one recipient (0: shared), in the order of `links`, and that of the pixel. */
  addressesOf(recipient: number): { links: string[]; pixel: string | undefined };
}

/** Finds or makes the links of a planned letter. */
export async function trackLetter(
  deps: { pool: Pool; urls: Urls },
  campaign: number,
  plans: LetterPlans,
  expires?: Date,
): Promise<TrackedLetter> {
  const links: LetterLink[] = [];
  const places = { html: placesOf(plans.html, links), text: placesOf(plans.text, links) };
  const hasPixel = plans.html?.pixelAt !== undefined;
  const specs: LinkSpec[] = links.map(({ target, label }) => ({ kind: 'url', target, label }));
  const ids = await ensureLinks(deps.pool, campaign, hasPixel ? [...specs, { kind: 'pixel' }] : specs, expires);
  const pixel = hasPixel ? ids.at(-1) : undefined;
  return {
    plans,
    links: links.map((link, i) => ({ ...link, id: ids[i] as number })),
    places,
    hasPixel,
    addressesOf: (recipient) => ({
      links: links.map((_, i) => deps.urls.click(ids[i] as number, recipient)),
      pixel: pixel === undefined ? undefined : deps.urls.pixel(pixel, recipient),
    }),
  };
}

/** Adds a part's distinct links to `links`; gives where each of its places leads in there. */
function placesOf(plan: LetterPlan | undefined, links: LetterLink[]): number[] {
  const known = new Map<string, number>();
  return (plan?.tracked ?? []).map(({ target, label, from, to, address }) => {
    const key = `${label}\n${target}`;
    const index = known.get(key) ?? links.length;
    if (index === links.length) {
      known.set(key, index);
      links.push({ part: (plan as LetterPlan).kind, target, label, spelled: (plan as LetterPlan).text.slice(from, to), address });
    }
    return index;
  });
}
