import type { FeedEvent, VerdictChange } from '../feed/event.ts';
import { type Column, decimalOf, int64Of, timestampOf, uuidOf, type Value } from './columns.ts';

// The tables of an export that grow with the log. A file of them has the rows of one shard and one UTC day of hits.

export const LOG_TABLES = ['events', 'unsubscribes', 'visits', 'goals', 'verdict_changes'] as const;
export type LogTable = (typeof LOG_TABLES)[number];

/** The tables of the catalog, which have one file each. */
export const CATALOG_TABLES = ['campaigns', 'links', 'sites', 'recipients'] as const;
export type CatalogTable = (typeof CATALOG_TABLES)[number];

const PLACE: readonly Column[] = [
  { name: 'gen', type: 'uuid' },
  { name: 'off', type: 'int64' },
];
const REQUEST: readonly Column[] = [{ name: 'request_id', type: 'uuid', isUnique: true }, ...PLACE];
const AT: Column = { name: 'at', type: 'timestamp', hasBounds: true };
const CAMPAIGN: Column = { name: 'campaign_id', type: 'int64', hasBounds: true };
const LINK: Column = { name: 'link_id', type: 'int64' };
const RECIPIENT: Column = { name: 'recipient_id', type: 'int64' };
const VISITOR: Column = { name: 'visitor', type: 'int64' };
const text = (name: string): Column => ({ name, type: 'text' });
const JUDGED: readonly Column[] = [text('verdict'), { name: 'signals', type: 'texts' }, { name: 'rules', type: 'int32' }];
const SITE: readonly Column[] = [
  RECIPIENT,
  LINK,
  CAMPAIGN,
  text('country'),
  text('net'),
  text('client'),
  text('system'),
  text('device'),
  ...JUDGED,
  { name: 'properties', type: 'json' },
  { name: 'dropped', type: 'int32' },
  ...REQUEST,
];
const SITE_ID: Column = { name: 'site_id', type: 'int64' };
const SESSION: Column = { name: 'session', type: 'int64' };

/** The columns, in their order. The views of `analytics` have the same, and the column shard, which an export has in the path of the file. */
export const COLUMNS_OF: Readonly<Record<LogTable, readonly Column[]>> = {
  events: [
    AT,
    text('kind'),
    CAMPAIGN,
    LINK,
    { name: 'link_version', type: 'int32' },
    RECIPIENT,
    VISITOR,
    text('country'),
    text('net'),
    text('referrer'),
    text('client'),
    text('client_version'),
    text('system'),
    text('device'),
    ...JUDGED,
    ...REQUEST,
  ],
  unsubscribes: [AT, CAMPAIGN, LINK, RECIPIENT, ...REQUEST],
  visits: [AT, SITE_ID, text('page'), text('referrer'), SESSION, VISITOR, ...SITE],
  goals: [
    AT,
    SITE_ID,
    text('name'),
    { name: 'value', type: 'decimal' },
    text('currency'),
    text('page'),
    text('referrer'),
    SESSION,
    VISITOR,
    ...SITE,
  ],
  verdict_changes: [...PLACE, { name: 'changed_at', type: 'timestamp' }, text('was'), ...JUDGED],
};

const NO_SIGNALS: readonly string[] = [];
const signalsOf = (text: string | null): readonly string[] => (text === null || text === '' ? NO_SIGNALS : text.split(','));

/** The bytes of a generation. Successive rows have the same generation, and share one object. */
let lastGen: { text: string; bytes: Uint8Array } = { text: '', bytes: new Uint8Array() };
function genOf(text: string): Uint8Array {
  if (lastGen.text !== text) lastGen = { text, bytes: uuidOf(text) };
  return lastGen.bytes;
}

/** The table of an event, and its row. */
export function rowOf(e: FeedEvent): { table: LogTable; row: Value[] } {
  const place: Value[] = [uuidOf(e.request_id), genOf(e.gen), BigInt(e.off)];
  const at = timestampOf(e.at);
  const judged: Value[] = [e.verdict, signalsOf(e.signals), e.rules];
  const [campaign, link, recipient] = [int64Of(e.campaign_id), int64Of(e.link_id), int64Of(e.recipient_id)];
  switch (e.kind) {
    case 'click':
    case 'open': {
      const { kind, link_version, country, net, referrer, client, client_version, system, device } = e;
      return {
        table: 'events',
        row: [
          at,
          kind,
          campaign,
          link,
          link_version,
          recipient,
          int64Of(e.visitor),
          country,
          net,
          referrer,
          client,
          client_version,
          system,
          device,
          ...judged,
          ...place,
        ],
      };
    }
    case 'unsubscribe':
      return { table: 'unsubscribes', row: [at, campaign, link, recipient, ...place] };
    case 'visit':
    case 'goal': {
      const site = e.site as Readonly<Record<string, Value>>;
      const siteId = int64Of(site['site_id'] as number);
      const session = int64Of(site['session'] as string | null);
      const { page = null, name = null, currency = null, properties = null, dropped = null } = site;
      const amount = decimalOf(site['value'] as number | null);
      const own = e.kind === 'visit' ? [siteId, page] : [siteId, name, amount, currency, page];
      const { country, net, client, system, device } = e;
      const rest = [recipient, link, campaign, country, net, client, system, device, ...judged, properties, dropped, ...place];
      return { table: e.kind === 'visit' ? 'visits' : 'goals', row: [at, ...own, e.referrer, session, int64Of(e.visitor), ...rest] };
    }
  }
}

/** The row of verdict_changes. The signals and rules are those of the event now. */
export function changeRowOf(event: FeedEvent, { changedAt, was, becomes }: VerdictChange): Value[] {
  return [genOf(event.gen), BigInt(event.off), BigInt(changedAt), was, becomes, signalsOf(event.signals), event.rules];
}
