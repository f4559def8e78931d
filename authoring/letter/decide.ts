import type { FoundLink } from './html-links.ts';
import { type Purpose, purposeOfAddress, purposeOfWords } from './wording.ts';

// Which links are tracked, and why the others are not. A tracked link leads exactly where the letter says; what cannot be
// promised that, is kept.

/** Longer ones do not fit the response headers that nginx accepts from a backend. */
export const MAX_TARGET_BYTES = 8000;

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
] as const;
export type KeepReason = (typeof KEEP_REASONS)[number];

export interface TrackingRules {
  /** Our own address without a slash at its end: what leads there is tracked already. */
  baseUrl: string;
  /** Domains whose links are kept, with everything below them. */
  exclude: readonly string[];
  /** Track unsubscribe, preference and view-in-browser links like any other. */
  trackUnsubscribe: boolean;
  /** The letter's `<base href>`. */
  base?: string | undefined;
  /** Parameters `utm_…` to add, by name without the prefix. */
  utm: Readonly<Record<string, string>>;
}

export type Decision = { track: true; target: string } | { track: false; reason: KeepReason };

// The languages of the usual senders. An opening is enough where nothing else begins like that; `{%22` and `%%` may just be percent-encoding.
const MERGE_TAG =
  /(?:\{\{|\*\||%%=|%%(?=[^%\s]+%%)|\[\[|\$\{|\{%(?!\d|[A-F]{2}|[a-f]\d)|<%|%(?=(?:recipient[._]|unsubscribe|tag_unsubscribe|mailing_list_unsubscribe)[\w.]*%))([^}|\]>]*)/i;
const UNSUBSCRIBE_TAG = /unsub|opt_?out/i;

/** Whether a link is tracked, and where it then leads. */
export function decide(link: FoundLink, rules: TrackingRules): Decision {
  const keep = (reason: KeepReason): Decision => ({ track: false, reason });
  const { address } = link;
  if (address === '') return keep('empty');
  if (address.startsWith('#')) return keep('anchor');
  const tag = MERGE_TAG.exec(address);
  if (tag) return keep(UNSUBSCRIBE_TAG.test(tag[1] as string) ? 'unsubscribe' : 'merge-tag');
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') return keep('not-http');
  const absolute = scheme === undefined ? resolve(address, rules.base) : address;
  if (absolute === undefined) return keep('relative');
  // Clients write a space as %20; anything else that cannot stand in a header would lead elsewhere.
  const target = absolute.replaceAll(' ', '%20');
  if (!isTarget(target)) return keep('malformed');
  const withParameters = withUtm(target, rules.utm);
  if (Buffer.byteLength(withParameters) > MAX_TARGET_BYTES) return keep('too-long');
  const url = new URL(target);
  if (isOurs(url, rules.baseUrl)) return keep('already-tracked');
  if (link.noTrack) return keep('no-track');
  if (isExcluded(url.hostname, rules.exclude)) return keep('excluded-domain');
  const purpose: Purpose | undefined = rules.trackUnsubscribe
    ? undefined
    : (purposeOfWords(link.words, link.context) ?? purposeOfAddress(url));
  return purpose ? keep(purpose) : { track: true, target: withParameters };
}

/** Whether an address can be redirected to as it is: http or https, a host, nothing that a header cannot carry. */
export function isTarget(target: string): boolean {
  return /^https?:\/\//i.test(target) && !/[\x00-\x20\x7f-\x9f]/.test(target) && URL.canParse(target) && new URL(target).hostname !== '';
}

function isOurs(url: URL, baseUrl: string): boolean {
  const base = new URL(baseUrl);
  const path = base.pathname.replace(/\/$/, '');
  return url.origin === base.origin && (url.pathname.startsWith(`${path}/u/`) || url.pathname.startsWith(`${path}/r/`));
}

function resolve(address: string, base: string | undefined): string | undefined {
  if (base === undefined || !isTarget(base.replaceAll(' ', '%20')) || !URL.canParse(address, base)) return undefined;
  return new URL(address, base).href;
}

function isExcluded(hostname: string, domains: readonly string[]): boolean {
  const host = hostname.replace(/\.$/, '');
  return domains.some((domain) => {
    const ascii = URL.canParse(`http://${domain}`) ? new URL(`http://${domain}`).hostname : domain.toLowerCase();
    return host === ascii || host.endsWith(`.${ascii}`);
  });
}

/** Adds the parameters that the address does not have yet; every byte that was there stays. */
export function withUtm(target: string, utm: Readonly<Record<string, string>>): string {
  const present = new URL(target).searchParams;
  const added = Object.entries(utm)
    .filter(([name]) => !present.has(`utm_${name}`))
    .map(([name, value]) => `utm_${name}=${encodeURIComponent(value)}`)
    .join('&');
  if (added === '') return target;
  const hash = target.indexOf('#');
  const [address, fragment] = hash < 0 ? [target, ''] : [target.slice(0, hash), target.slice(hash)];
  const joint = address.includes('?') ? (/^[^?]*\?$|&$/.test(address) ? '' : '&') : '?';
  return `${address}${joint}${added}${fragment}`;
}
