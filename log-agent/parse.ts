import type { DeadReason, Kind, SkipReason } from '../core/event.ts';
import { isAlias, SLUG, tagOf } from '../core/slug.ts';
import type { SiteFields } from '../core/site-event.ts';
import { LINE_STARTS } from './lines.ts';
import { parseSiteQuery } from './site-query.ts';

// Parses one line of the log. The agent may ship the same log again years later, and must find the same hits, skipped lines and dead letters
// in it. So what a line of a released version means must never change.

/** An event before enrichment: a hit, an unsubscribe or a site event. `ip` and the whole `ua` do not leave the agent. */
export interface Hit {
  rid: string;
  /** Epoch milliseconds. */
  t: number;
  kind: Kind;
  /** For a site event, the slug of the click that led to it, or `-`. */
  slug: string;
  /** The slug prefix that decides the shard. */
  tag: string;
  link: string | null;
  head: boolean;
  /** Whether the path has further characters after the slug. False for lines of version 1. */
  altered: boolean;
  ip: string;
  ua: string;
  ref: string;
  purpose: string;
  /** The fields of a site event; null for other events. */
  site: SiteFields | null;
}

/** The values of a line's fields. They have the names and the order of the fields in the line (nginx/tracking.conf.template). */
export interface LineFields {
  v: 1 | 2;
  rid: string;
  /** Epoch seconds. */
  t: number;
  m: string;
  u: string;
  s: number;
  ip: string;
  ua: string;
  ref: string;
  purpose: string;
  link: string;
  /** The query of a site event; empty for other requests. Version 1 has neither this field nor the following ones, so they are empty. */
  q: string;
  /** The host of the request. */
  h: string;
  /** Not empty if the path has further characters after the slug. */
  x: string;
}

export type Parsed = { hit: Hit } | { skip: SkipReason } | { dead: DeadReason };

/** The fields that version 2 added. */
const NOT_IN_V1 = { q: '', h: '', x: '' };
const RID = /^[0-9a-f]{32}$/;
const LINK = /^([1-9]\d{0,15})\.\d{1,9}$/;
const EARLIEST_S = Date.UTC(2000, 0) / 1000;
const LATEST_S = Date.UTC(2100, 0) / 1000;

/** Classifies a line that starts with the constant of the log format. Never throws. */
export function parseLine(text: string): Parsed {
  let line: Record<string, unknown>;
  try {
    line = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return { dead: 'not-json' };
  }
  const v = text.startsWith(LINE_STARTS[0]) ? 1 : 2;
  const { rid, t, m, u, s, ip, ua, ref, purpose, link } = line;
  const { q, h, x } = v === 1 ? NOT_IN_V1 : line;
  if (typeof rid !== 'string' || typeof t !== 'number' || typeof m !== 'string' || typeof u !== 'string') return { dead: 'bad-field' };
  if (typeof s !== 'number' || typeof ip !== 'string' || typeof ua !== 'string') return { dead: 'bad-field' };
  if (typeof ref !== 'string' || typeof purpose !== 'string' || typeof link !== 'string') return { dead: 'bad-field' };
  if (typeof q !== 'string' || typeof h !== 'string' || typeof x !== 'string') return { dead: 'bad-field' };
  if (!RID.test(rid)) return { dead: 'bad-field' };
  return classify({ v, rid, t, m, u, s, ip, ua, ref, purpose, link, q, h, x });
}

/** Classifies a line by the values of its fields. `rid` must have 32 hex digits. */
export function classify(fields: LineFields): Parsed {
  const { v, rid, t, m, u, s, ip, ua, ref, purpose, link, x } = fields;
  if (!(t >= EARLIEST_S && t < LATEST_S)) return { dead: 'bad-field' };
  if (v >= 2 && u.startsWith('/e/')) return classifySite(fields);
  const kind = kindOf(u, v);
  if (kind === undefined) return { skip: 'not-tracking' };
  if (s !== (kind === 'click' ? 302 : 200)) return { skip: 'not-served' };
  const slug = kind === 'open' && u.endsWith('.gif') ? u.slice(3, -4) : u.slice(3);
  const served = link === '' ? null : LINK.exec(link);
  const tag = shardTag(slug, kind, served?.[1]);
  if (tag === undefined) return { skip: 'malformed-slug' };
  return {
    hit: {
      rid,
      t: Math.round(t * 1000),
      kind,
      slug,
      tag,
      link: served ? link : null,
      head: m === 'HEAD',
      altered: x !== '',
      ip,
      ua,
      ref,
      purpose: purpose.trim(),
      site: null,
    },
  };
}

/** Classifies a request for `/e/<site>`. Version 1 has no such requests. */
function classifySite({ rid, t, m, u, s, ip, ua, purpose, q }: LineFields): Parsed {
  if (s !== 204) return { skip: 'not-served' };
  const site = u.slice(3);
  if (!SLUG.test(site)) return { skip: 'malformed-slug' };
  const query = parseSiteQuery(site, q);
  if (!query) return { skip: 'malformed-name' };
  const { kind, fields, click, referrer } = query;
  // The tag depends on the line alone. So a log that is shipped again years later has each site event on the same shard. The visitor number
  // does not decide it, because the salt of its day is deleted. All events of a tab are on one shard.
  const number = fields.session === undefined ? Number.parseInt(rid.slice(0, 12), 16) : Number.parseInt(fields.session, 36);
  const tag = click?.slice(0, 2) ?? tagOf({ link: number, recipient: 0 });
  return {
    hit: {
      rid,
      t: Math.round(t * 1000),
      kind,
      slug: click ?? '-',
      tag,
      link: null,
      head: m === 'HEAD',
      altered: false,
      ip,
      ua,
      ref: referrer,
      purpose: purpose.trim(),
      site: fields,
    },
  };
}

/** The kind of event that a path stands for, except for site events. Version 1 has no unsubscribes. nginx logs only requests that unsubscribe, not their page. */
function kindOf(path: string, v: 1 | 2): Kind | undefined {
  if (path.startsWith('/u/')) return 'click';
  if (path.startsWith('/r/')) return 'open';
  return v >= 2 && path.startsWith('/o/') ? 'unsubscribe' : undefined;
}

/** The shard tag of a slug or alias. An alias belongs to the shard of its link. Only the line of a served click contains the link. */
function shardTag(slug: string, kind: Kind, servedLink: string | undefined): string | undefined {
  if (SLUG.test(slug)) return slug.slice(0, 2);
  if (kind === 'click' && servedLink !== undefined && isAlias(slug)) return tagOf({ link: Number(servedLink), recipient: 0 });
  return undefined;
}
