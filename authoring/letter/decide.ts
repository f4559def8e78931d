import { LRUCache } from 'lru-cache';
import { isOfHosts } from '../../core/hosts.ts';
import { MAX_TARGET_BYTES } from '../../core/target.ts';
import type { FoundLink } from './html-links.ts';
import { namesUnsubscribing } from './merge-tag-fields.ts';
import { tagInAddress } from './merge-tags.ts';
import { type Purpose, purposeOfAddress, purposeOfWords } from './wording.ts';

// Decides for each link whether it is tracked, and gives the reason if it is not. A tracked link must redirect to exactly the URL in the
// letter. If this is not certain, the link is kept, which means that it is not changed.

export const KEEP_REASONS = [
  'empty',
  'anchor',
  'not-http',
  'relative',
  'malformed',
  'too-long',
  'merge-tag',
  'already-tracked',
  'no-track',
  'excluded-domain',
  'unsubscribe',
  'preferences',
  'view-in-browser',
  'report-abuse',
] as const;
export type KeepReason = (typeof KEEP_REASONS)[number];

export interface TrackingRules {
  /** All base URLs, without a slash at their end. Links to `/u/…`, `/r/…` and `/o/…` under one of them are already tracked. */
  baseUrls: readonly string[];
  /** Links to these domains and their subdomains are kept. */
  exclude: readonly string[];
  /** True if unsubscribe, preference and view-in-browser links are tracked, too. */
  trackUnsubscribe: boolean;
  /** The letter's `<base href>`. */
  base?: string | undefined;
  /** The `utm_…` parameters that are added. Their names are without the prefix `utm_`. */
  utm: Readonly<Record<string, string>>;
}

export type Decision = { track: true; target: string } | { track: false; reason: KeepReason };

export type Decide = (link: FoundLink, rules: TrackingRules) => Decision;

/**
 * Returns a function that decides as `decide` does and keeps its last decisions, for letters that come again and again with the same links.
 * All calls must have the same rules, except `base`.
 */
export function createDecisions(max: number): Decide {
  const known = new LRUCache<string, Decision>({ max });
  return (link, rules) => {
    const key = [link.address, link.noTrack, rules.base, link.words, link.context].join('\0');
    let decision = known.get(key);
    if (decision === undefined) {
      decision = decide(link, rules);
      known.set(key, decision);
    }
    return decision;
  };
}

/** Decides whether a link is tracked. Returns the target, or the reason to keep the link. */
export function decide(link: FoundLink, rules: TrackingRules): Decision {
  const keep = (reason: KeepReason): Decision => ({ track: false, reason });
  const { address } = link;
  if (address === '') return keep('empty');
  const tag = tagInAddress(address);
  // `##unsubscribe##` is a merge tag, and `#{{x}}` is an anchor.
  if (address.startsWith('#') && tag?.from !== 0) return keep('anchor');
  if (tag) return keep(namesUnsubscribing(tag.inside) ? 'unsubscribe' : 'merge-tag');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') return keep('not-http');
  const absolute = scheme === undefined ? resolve(address, rules.base) : withSlashes(address, rules.base);
  if (absolute === undefined) return keep('relative');
  // Clients replace a space with %20. Other characters that a response header cannot contain would also have to be replaced, but this would
  // change the target. So a link with such characters is kept.
  const target = absolute.replaceAll(' ', '%20');
  if (!isTarget(target)) return keep('malformed');
  const withParameters = withUtm(target, rules.utm);
  if (Buffer.byteLength(withParameters) > MAX_TARGET_BYTES) return keep('too-long');
  const url = new URL(target);
  if (rules.baseUrls.some((baseUrl) => isTrackedUrl(url, baseUrl))) return keep('already-tracked');
  if (link.noTrack) return keep('no-track');
  if (isExcluded(url.hostname, rules.exclude)) return keep('excluded-domain');
  const purpose: Purpose | undefined = rules.trackUnsubscribe
    ? undefined
    : (purposeOfWords(link.words, link.context, url.hostname) ?? purposeOfAddress(url));
  return purpose ? keep(purpose) : { track: true, target: withParameters };
}

/** Returns true for a URL that can be a redirect target as it is: http or https, with a host, without spaces and control characters. */
export function isTarget(target: string): boolean {
  return (
    /^https?:\/\/[^/\\]/i.test(target) && !/[\x00-\x20\x7f-\x9f]/.test(target) && URL.canParse(target) && new URL(target).hostname !== ''
  );
}

/**
 * Returns a URL as clients read it (WHATWG URL, 4.4). They read `https:shop.example`, `https:/shop.example` and `https:\\shop.example` as
 * `https://shop.example`, and a backslash in the path as a slash. All other bytes stay the same.
 */
function withSlashes(address: string, base: string | undefined): string {
  // With a <base> of the same scheme, an address with fewer than two slashes is relative.
  const isRelative =
    !/^https?:[/\\]{2}/i.test(address) && base?.toLowerCase().startsWith(/^https?:/i.exec(address)?.[0].toLowerCase() ?? '');
  const resolved = isRelative ? resolve(address, base) : undefined;
  return (
    resolved ??
    address.replace(/^(https?:)[/\\]*([^?#]*)/i, (_, scheme: string, path: string) => `${scheme}//${path.replaceAll('\\', '/')}`)
  );
}

function isTrackedUrl(url: URL, baseUrl: string): boolean {
  const base = new URL(baseUrl);
  const path = base.pathname.replace(/\/$/, '');
  return url.origin === base.origin && ['u', 'r', 'o'].some((kind) => url.pathname.startsWith(`${path}/${kind}/`));
}

function resolve(address: string, base: string | undefined): string | undefined {
  if (base === undefined || !isTarget(base.replaceAll(' ', '%20')) || !URL.canParse(address, base)) return undefined;
  return new URL(address, base).href;
}

function isExcluded(hostname: string, domains: readonly string[]): boolean {
  const inAscii = (domain: string): string =>
    URL.canParse(`http://${domain}`) ? new URL(`http://${domain}`).hostname : domain.toLowerCase();
  return isOfHosts(hostname, domains.map(inAscii));
}

/** Adds the `utm_…` parameters that the URL does not have yet. The existing bytes of the URL do not change. */
export function withUtm(target: string, utm: Readonly<Record<string, string>>): string {
  const present = new URL(target).searchParams;
  const added = Object.entries(utm)
    .filter(([name]) => !present.has(`utm_${name}`))
    .map(([name, value]) => `utm_${name}=${encodeURIComponent(value)}`)
    .join('&');
  if (added === '') return target;
  const hash = target.indexOf('#');
  const [address, fragment] = hash < 0 ? [target, ''] : [target.slice(0, hash), target.slice(hash)];
  const separator = address.includes('?') ? (/^[^?]*\?$|&$/.test(address) ? '' : '&') : '?';
  return `${address}${separator}${added}${fragment}`;
}
