import { copyText } from '../core/copy-text.ts';
import type { EventColumns, Origin } from '../core/event.ts';
import { RULES_VERSION, verdictOf } from '../core/rules.ts';
import { isSiteKind, type SiteFields } from '../core/site-event.ts';
import type { SlugCodec, SlugIds } from '../core/slug.ts';
import type { CatalogLink } from './catalog.ts';
import { hostOf } from './fold-values.ts';
import { type ReducedAgent, reduceUserAgent } from './user-agent.ts';
import { signalsOf } from './verdict.ts';

// Turns the site events of a batch into rows of shard.site_event.

export const SITE_COLUMNS =
  'at, off, gen, rid, kind, site_id, name, session, recipient_id, link_id, campaign_id, visitor, agent_id, rules, verdict, country, net, referrer, signals, page, value, currency, properties, dropped';

/** Stands in the column `slug` for a site event that names no click. */
export const NO_CLICK = '-';

/** A site event whose ids are known. */
export interface SiteTarget {
  readonly fields: SiteFields;
  /** The number of the site. Undefined if none of the keys signed its id. */
  readonly site: number | undefined;
}

/** Returns the site events of a batch by their index. */
export function siteTargets(events: EventColumns, slugs: SlugCodec): ReadonlyMap<number, SiteTarget> {
  const targets = new Map<number, SiteTarget>();
  if (events.sites.length === 0) return targets;
  const numbers = new Map<string, number | undefined>();
  for (const [i, kind] of events.kind.entries()) {
    if (!isSiteKind(kind)) continue;
    const fields = events.sites[targets.size] as SiteFields;
    if (!numbers.has(fields.site)) numbers.set(fields.site, siteOf(fields.site, slugs));
    targets.set(i, { fields, site: numbers.get(fields.site) });
  }
  return targets;
}

/** Returns the number of the site with this id. A site has a number that no link has, and no recipient. */
function siteOf(id: string, slugs: SlugCodec): number | undefined {
  const result = slugs.verify(id);
  return result.ok && result.ids.recipient === 0 ? result.ids.link : undefined;
}

/** The click that a site event names, with the link as the catalog has it. */
export interface NamedClick {
  readonly ids: SlugIds;
  readonly link: CatalogLink;
}

/**
 * Returns the COPY line of site event `i`, its reduced user agent, and whether it may give a click the signal `visited`. `time` is the text of
 * its time. `click` is undefined if the event names none. The version of the browser is not stored, because a rare version could identify a
 * person.
 */
export function siteLine(
  { events, i, gen, time }: { events: EventColumns; i: number; gen: string; time: string },
  { fields, site }: SiteTarget,
  click: NamedClick | undefined,
): { line: string; agent: ReducedAgent; isSign: boolean } {
  const { session, page, value, currency, properties } = fields;
  const whole = reduceUserAgent(events.agents[events.agent[i] as number] as string);
  const agent = whole.family ?? whole;
  const { country, net } = events.origins[events.origin[i] as number] as Origin;
  const purpose = events.purposes[events.purpose[i] as number] as string;
  // Only the script sends a number of the tab. An event without it comes from a server of the author, whose network and user agent say nothing.
  const signals = session === undefined ? [] : signalsOf({ kind: 'click', traits: 0, purpose, net }, agent.signals.click);
  const verdict = verdictOf(signals);
  const isDropped = events.slug[i] !== NO_CLICK && click === undefined;
  const columns = [
    time,
    events.off[i],
    gen,
    events.rid[i],
    events.kind[i],
    site,
    copyText(fields.name),
    session === undefined ? '\\N' : Number.parseInt(session, 36),
    click?.ids.recipient ?? 0,
    click?.ids.link ?? 0,
    click?.link.campaign ?? 0,
    events.visitor[i] ?? '\\N',
    agent.id,
    RULES_VERSION,
    verdict,
    copyText(country),
    copyText(net),
    copyText(hostOf(events.referrers[events.referrer[i] as number] as string)),
    signals.length === 0 ? '\\N' : `{${signals.join(',')}}`,
    copyText(page ?? null),
    value ?? '\\N',
    copyText(currency ?? null),
    copyText(properties === undefined ? null : JSON.stringify(properties)),
    fields.dropped + (isDropped ? 1 : 0),
  ];
  const isByScript = events.kind[i] === 'visit' && session !== undefined && (verdict === 'human' || verdict === 'unsure');
  return { line: `${columns.join('\t')}\n`, agent, isSign: isByScript && (click?.ids.recipient ?? 0) !== 0 };
}
