import type { EventKind } from './filter.ts';

/** One event as shard.read_events returns it. The fields are those of `analytics.events`, and for visits and goals those in `site`. */
export interface FeedEvent {
  gen: string;
  off: number;
  kind: EventKind;
  /** Epoch milliseconds. */
  at: number;
  campaign_id: number | null;
  link_id: number | null;
  link_version: number | null;
  recipient_id: number | null;
  visitor: string | null;
  country: string | null;
  net: string | null;
  referrer: string | null;
  client: string | null;
  client_version: string | null;
  system: string | null;
  device: string | null;
  verdict: string | null;
  /** Separated by commas. */
  signals: string | null;
  rules: number | null;
  request_id: string;
  site: Readonly<Record<string, unknown>> | null;
}

/** A hit that was ready before, and has got another verdict since then. It was delivered, or passes the filter only now. */
export interface VerdictChange {
  /** Epoch microseconds, which JavaScript numbers hold until the year 2255. */
  readonly changedAt: number;
  readonly was: string;
  readonly becomes: string;
}

/** What is delivered: an event, or a change of its verdict. `event` has all present fields. */
export interface Item {
  readonly event: FeedEvent;
  readonly change?: VerdictChange | undefined;
}

/** The identity of an event. It never changes, even if the shard is restored and the event is read from the log again. */
export const identityOf = ({ gen, off }: Pick<FeedEvent, 'gen' | 'off'>): string => `${gen}:${off}`;

/** The identity of an item. The same event may change its verdict several times. */
export const itemId = ({ event, change }: Item): string =>
  change === undefined ? identityOf(event) : `${identityOf(event)}:${change.changedAt}`;

/** Mail address and external id of a recipient. */
export interface Address {
  readonly email: string | null;
  readonly external_id: string | null;
}

/**
 * Returns an item as receivers get it, an object for JSON. `addresses` has the addresses of recipients; undefined if the subscription does not
 * ask for them.
 */
export function toJson(item: Item, shard: string, addresses?: ReadonlyMap<number, Address>): Record<string, unknown> {
  const { event, change } = item;
  const { gen, off, kind, at, signals, site, recipient_id, ...rest } = event;
  const isHit = kind === 'click' || kind === 'open';
  const address = recipient_id === null ? undefined : addresses?.get(recipient_id);
  return {
    id: itemId(item),
    type: change === undefined ? kind : 'verdict.changed',
    ...(change === undefined ? {} : { event_id: identityOf(event), kind, was: change.was, changed_at: withMicroseconds(change.changedAt) }),
    at: new Date(at).toISOString(),
    recipient_id,
    ...(addresses === undefined ? {} : { email: address?.email ?? null, external_id: address?.external_id ?? null }),
    ...(kind === 'unsubscribe' ? { campaign_id: rest.campaign_id, link_id: rest.link_id, request_id: rest.request_id } : rest),
    ...(isHit || site !== null ? { signals: signals === null || signals === '' ? [] : signals.split(',') } : {}),
    ...(change === undefined ? {} : { verdict: change.becomes }),
    ...site,
    shard,
    gen,
    off,
  };
}

/** Formats epoch microseconds like `toISOString`. */
const withMicroseconds = (micros: number): string =>
  `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1)}${String(micros % 1000).padStart(3, '0')}Z`;
