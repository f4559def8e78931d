import type { Batch, DeadLetter, HitKind, Origin, Skipped } from '../core/event.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog, CatalogLink } from './catalog.ts';
import { entryOf } from './entry-of.ts';
import { type FoldReason, foldValues } from './fold-values.ts';
import { HitCollector, type Hits } from './hits.ts';
import type { GenerationRange } from './ledger.ts';
import { resolveSlug, type SlugTarget } from './resolve-slug.ts';
import { NO_CLICK, siteLine, siteTargets } from './site-rows.ts';
import type { OutsideValues } from './outside-values.ts';
import type { Slab } from './slab.ts';
import type { ReducedAgent } from './user-agent.ts';
import { type Context, TAIL_COLUMNS, type Tails } from './tails.ts';
import { ALTERED, EARLY, HEAD, HONEYPOT, isEarly, OLD_BROWSER } from './verdict.ts';

// Turns a batch into the rows that are inserted into the database of the shard.

/**
 * The rows of one batch. They do not refer to the columns of the batch: otherwise these would stay in memory until Postgres has committed.
 */
export interface BatchRows extends GenerationRange {
  /** COPY lines of the events, with the columns EVENT_COLUMNS. */
  readonly events: Buffer;
  /** What the counts and sets need of the same events, in the order of the lines. */
  readonly hits: Hits;
  /** The offsets of the events, in the order of the lines. */
  readonly offs: readonly number[];
  readonly unsubscribes: readonly Unsubscribe[];
  /** COPY lines of the site events, with the columns SITE_COLUMNS. */
  readonly sites: Buffer;
  /** The offsets of the site events, in the order of the lines. */
  readonly siteOffs: readonly number[];
  /** Those of them that may give a click the signal `visited`. */
  readonly visits: readonly NewVisit[];
  readonly agents: readonly ReducedAgent[];
  readonly dead: readonly DeadLetter[];
  readonly skipped: Skipped;
  /** How many hits have `(other)` in the place of their own value, by reason. */
  readonly folded: Readonly<Record<FoldReason, number>>;
}

/** A row of shard.unsubscribe. */
export interface Unsubscribe {
  /** Epoch milliseconds. */
  readonly t: number;
  readonly off: number;
  readonly rid: string;
  readonly recipient: number;
  readonly link: number;
  readonly campaign: number;
}

/** A row of shard.new_visit. */
export interface NewVisit {
  /** Epoch milliseconds. */
  readonly t: number;
  readonly recipient: number;
  readonly campaign: number;
}

export const EVENT_COLUMNS = `at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, link_version, ${TAIL_COLUMNS}`;

export interface RowDependencies {
  readonly slugs: SlugCodec;
  readonly catalog: Catalog;
  readonly outside: OutsideValues;
  /** The same for all batches of a commit. */
  readonly tails: Tails;
  /** The memory of the rows. */
  readonly slab: Slab;
}

/** Stands for a link that the catalog does not have. */
const NO_LINK: CatalogLink = { campaign: 0, kind: 'url' };

/**
 * Verifies the slugs of a batch, computes the verdicts of its hits and formats their lines for COPY. An event with a forged slug is counted
 * as skipped, and so is an event whose link is of another kind, e.g. a visit whose site is a link. Throws if the catalog or the shard is
 * needed and does not answer, or if SLUG_KEYS lacks a key.
 */
export async function buildRows(batch: Batch, deps: RowDependencies): Promise<BatchRows> {
  const { gen, from, to, size, events, dead } = batch;
  const sites = siteTargets(events, deps.slugs);
  const targets = events.slug.map((slug, i) => (slug === NO_CLICK ? undefined : resolveSlug(slug, events.link[i] ?? null, deps.slugs)));
  // The catalog lists a key before the key signs its first slug. So if all listed keys are known here, an unverified slug is forged.
  const isUnverified =
    targets.some((target, i) => !target && events.slug[i] !== NO_CLICK) || [...sites.values()].some(({ site }) => site === undefined);
  if (isUnverified) await deps.catalog.assertAllKeys();
  const ids = new Set<number>();
  for (const target of targets) if (target) ids.add(target.link);
  for (const { site } of sites.values()) if (site !== undefined) ids.add(site);
  const known = await deps.catalog.linksOf(ids);
  /** The link of each event. Undefined if the event does not count. */
  const links = targets.map((target, i): CatalogLink | undefined => {
    if (sites.has(i)) return undefined;
    const link = target && known.get(target.link);
    if (link && events.kind[i] === 'unsubscribe' && link.kind !== 'unsubscribe') return undefined;
    if (link?.kind === 'site') return undefined;
    return target && (link ?? NO_LINK);
  });
  // The user agent and the referrer of an unsubscribe are not stored. Those of a site event are not limited, because no counts have them.
  const campaigns = links.map((link, i) => (events.kind[i] === 'unsubscribe' ? undefined : link?.campaign));
  const values = await foldValues(events, campaigns, deps.outside);
  const { purposes, origins } = events;
  const contexts = new Map<number, Context>();
  const contextAt = (i: number): Context => {
    const [origin, purpose] = [events.origin[i] as number, events.purpose[i] as number];
    return entryOf(contexts, origin * purposes.length + purpose, () =>
      deps.tails.contextOf(origins[origin] as Origin, purposes[purpose] as string),
    );
  };

  let lines = '';
  const collector = new HitCollector(targets.length, deps.slab);
  const offs: number[] = [];
  const usedAgents = new Set<ReducedAgent>();
  const unsubscribes: Unsubscribe[] = [];
  let siteLines = '';
  const siteOffs: number[] = [];
  const visits: NewVisit[] = [];
  for (let i = 0; i < targets.length; i++) {
    const [target, found] = [targets[i], links[i]];
    const site = sites.get(i);
    if (site) {
      // An id with the number of a link is not counted. An id with an unknown number is, because a restored catalog may lack the site.
      if (site.site === undefined || (known.get(site.site)?.kind ?? 'site') !== 'site') continue;
      const link = target && (known.get(target.link) ?? NO_LINK);
      const click = link?.kind === 'url' ? { ids: target as SlugTarget, link } : undefined;
      const made = siteLine({ events, i, gen, time: timestamp(events.t[i] as number) }, site, click);
      siteLines += made.line;
      siteOffs.push(Number(events.off[i]));
      if (made.isSign && click) visits.push({ t: events.t[i] as number, recipient: click.ids.recipient, campaign: click.link.campaign });
      usedAgents.add(made.agent);
      continue;
    }
    if (!target || !found) continue;
    const { recipient, link, version } = target;
    const { campaign } = found;
    const t = events.t[i] as number;
    if (events.kind[i] === 'unsubscribe') {
      unsubscribes.push({ t, off: Number(events.off[i]), rid: events.rid[i] as string, recipient, link, campaign });
      continue;
    }
    const agent = values.agent(i);
    const referrer = values.referrer(i, campaign);
    const traits =
      (events.head[i] ? HEAD : 0) |
      (events.altered[i] ? ALTERED : 0) |
      (found.kind === 'honeypot' ? HONEYPOT : 0) |
      (isEarly(t, deps.catalog.sentAt(campaign)) ? EARLY : 0) |
      (t >= agent.oldFromMs ? OLD_BROWSER : 0);
    const { text, profile } = deps.tails.of(agent, referrer, events.kind[i] as HitKind, traits, contextAt(i));
    const off = events.off[i];
    lines += `${timestamp(t)}\t${off}\t${gen}\t${events.rid[i]}\t${recipient}\t${link}\t${campaign}\t${events.visitor[i] ?? '\\N'}\t${version ?? '\\N'}${text}`;
    collector.add(campaign, t, recipient, link, profile);
    offs.push(Number(off));
    usedAgents.add(agent);
  }
  const forged = targets.length - offs.length - unsubscribes.length - siteOffs.length;
  const skipped = forged === 0 ? batch.skipped : { ...batch.skipped, forged };
  const copied = { events: deps.slab.text(lines), hits: collector.hits(deps.tails.profiles), offs, agents: [...usedAgents] };
  return {
    gen,
    from,
    to,
    size,
    ...copied,
    unsubscribes,
    sites: Buffer.from(siteLines),
    siteOffs,
    visits,
    dead,
    skipped,
    folded: values.folded,
  };
}

// Events are ordered by time, so many successive events have the same second. The text of the last second is therefore cached.
let lastSecond = Number.NaN;
let lastSecondText = '';

/** Formats epoch milliseconds like `toISOString`. */
function timestamp(t: number): string {
  const second = Math.floor(t / 1000);
  if (second !== lastSecond) {
    lastSecondText = new Date(second * 1000).toISOString().slice(0, -4);
    lastSecond = second;
  }
  return `${lastSecondText}${String(t - second * 1000).padStart(3, '0')}Z`;
}
