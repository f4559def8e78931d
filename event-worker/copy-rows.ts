import type { Batch, DeadLetter, Event, Skipped } from '../core/event.ts';
import { RULES_VERSION, type Signal, type Verdict } from '../core/rules.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import type { GenerationRange } from './ledger.ts';
import { OTHER, outsideKey, type OutsideKind, type OutsideValue, type OutsideValues } from './outside-values.ts';
import { resolveSlug, type SlugTarget } from './resolve-slug.ts';
import { type ReducedAgent, reduceUserAgent } from './user-agent.ts';
import { signalsOf, verdictOf } from './verdict.ts';

// Turns a batch into the rows that are inserted into the database of the shard.

/**
 * The rows of one batch. They do not refer to the events of the batch: otherwise the events would stay in memory until Postgres has
 * committed.
 */
export interface BatchRows extends GenerationRange {
  /** COPY lines of the events, with the columns EVENT_COLUMNS. */
  readonly events: Buffer;
  /** COPY lines of the marks of the same events, with the columns MARK_COLUMNS. */
  readonly marks: Buffer;
  /** The offsets of the events, in the order of the lines. */
  readonly offs: readonly number[];
  readonly agents: readonly ReducedAgent[];
  readonly dead: readonly DeadLetter[];
  readonly skipped: Skipped;
  /** How many hits have `(other)` in the place of their own value, by reason. */
  readonly folded: Readonly<Record<FoldReason, number>>;
}

/** Why a value is replaced: its list is full, or no client can have had this version at the time of the hit. */
export const FOLD_REASONS = ['referrer', 'user-agent', 'version'] as const satisfies readonly (OutsideKind | 'version')[];
export type FoldReason = (typeof FOLD_REASONS)[number];

export const EVENT_COLUMNS =
  'at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country, net, referrer, signals';

export const MARK_COLUMNS = 'at, recipient_id, link_id, campaign_id, kind, verdict';

/**
 * Verifies the slugs of a batch, computes the verdicts of its events and formats the lines for COPY. An event with a forged slug is counted
 * as skipped. Throws if the catalog or the shard is needed and does not answer, or if SLUG_KEYS lacks a key.
 */
export async function buildRows(batch: Batch, deps: { slugs: SlugCodec; catalog: Catalog; outside: OutsideValues }): Promise<BatchRows> {
  const { gen, from, to, size, events, dead } = batch;
  const targets = events.map((event) => resolveSlug(event, deps.slugs));
  // The catalog lists a key before the key signs its first slug. So if all listed keys are known here, an unverified slug is forged.
  if (targets.includes(undefined)) await deps.catalog.assertAllKeys();
  const campaigns = await deps.catalog.campaignsOf(new Set(targets.flatMap((target) => target?.link ?? [])));
  const campaignOf = (target: SlugTarget): number => campaigns.get(target.link) ?? 0;
  const { hosts, agents: reduced, folded } = await withoutRefused(events, targets, campaignOf, deps.outside);
  const lines: string[] = [];
  const marks: string[] = [];
  const offs: number[] = [];
  const agents = new Set<ReducedAgent>();
  for (const [i, event] of events.entries()) {
    const target = targets[i];
    if (!target) continue;
    const agent = reduced[i] as ReducedAgent;
    agents.add(agent);
    const campaign = campaignOf(target);
    const signals = signalsOf(event, agent.signals[event.kind]);
    const verdict = verdictOf(signals);
    const at = timestamp(event.t);
    lines.push(copyLine(gen, at, event, target, campaign, agent, hosts[i] ?? null, verdict, signals));
    marks.push(`${at}\t${target.recipient}\t${target.link}\t${campaign}\t${event.kind}\t${verdict}\n`);
    offs.push(event.off);
  }
  const forged = events.length - offs.length;
  const skipped = forged === 0 ? batch.skipped : { ...batch.skipped, forged };
  return {
    gen,
    from,
    to,
    size,
    events: Buffer.from(lines.join('')),
    marks: Buffer.from(marks.join('')),
    offs,
    agents: [...agents],
    dead,
    skipped,
    folded,
  };
}

/**
 * Returns the host of the referrer and the reduced user agent of each event that has a target, by its index, with `(other)` for what is not
 * admitted. The verdict does not depend on it.
 */
async function withoutRefused(
  events: readonly Event[],
  targets: readonly (SlugTarget | undefined)[],
  campaignOf: (target: SlugTarget) => number,
  outside: OutsideValues,
): Promise<{ hosts: (string | null)[]; agents: ReducedAgent[]; folded: Record<FoldReason, number> }> {
  const hosts: (string | null)[] = [];
  const agents: ReducedAgent[] = [];
  const folded: Record<FoldReason, number> = { referrer: 0, 'user-agent': 0, version: 0 };
  const referrers = new Map<string, OutsideValue>();
  const versions = new Map<string, OutsideValue>();
  for (const [i, event] of events.entries()) {
    const target = targets[i];
    if (!target) continue;
    const host = hostOf(event.ref);
    hosts[i] = host;
    if (host !== null) add(referrers, campaignOf(target), host, event);
    const agent = reduceUserAgent(event.ua);
    const isPlausible = event.t >= agent.plausibleFromMs;
    agents[i] = isPlausible ? agent : (agent.family ?? agent);
    if (!isPlausible) folded.version++;
    else if (agent.family) add(versions, 0, agent.id, event);
  }
  const [refusedReferrers, refusedVersions] = await Promise.all([
    outside.refused('referrer', referrers),
    outside.refused('user-agent', versions),
  ]);
  if (refusedReferrers.size === 0 && refusedVersions.size === 0) return { hosts, agents, folded };
  for (const [i, target] of targets.entries()) {
    const [host, agent] = [hosts[i], agents[i]];
    if (target && typeof host === 'string' && refusedReferrers.has(outsideKey(campaignOf(target), host))) {
      hosts[i] = OTHER;
      folded.referrer++;
    }
    if (agent?.family && refusedVersions.has(outsideKey(0, agent.id))) {
      agents[i] = agent.family;
      folded['user-agent']++;
    }
  }
  return { hosts, agents, folded };
}

function add(values: Map<string, OutsideValue>, scope: number, text: string, { t }: Event): void {
  const key = outsideKey(scope, text);
  if (!values.has(key)) values.set(key, { scope, text, day: dayOf(t) });
}

const LAST_DAY = '9999-12-31';

/** The UTC day. The agent accepts no time after 2100, but a message may have any, and the column for the day may not. */
function dayOf(t: number): string {
  return t < Date.UTC(9999, 11, 31) ? timestamp(t).slice(0, 10) : LAST_DAY;
}

function copyLine(
  gen: string,
  at: string,
  event: Event,
  target: SlugTarget,
  campaign: number,
  agent: ReducedAgent,
  referrer: string | null,
  verdict: Verdict,
  signals: readonly Signal[],
): string {
  const fields = [
    at,
    event.off,
    gen,
    event.rid,
    target.recipient,
    target.link,
    campaign,
    event.visitor ?? '\\N',
    agent.id,
    target.version ?? '\\N',
    RULES_VERSION,
    event.kind,
    verdict,
    copyText(event.country),
    copyText(event.net),
    copyText(referrer),
    signals.length === 0 ? '\\N' : `{${signals.join(',')}}`,
  ];
  return `${fields.join('\t')}\n`;
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

/** The host name of a referrer in lower case, or null. Nothing else of the referrer is stored, because it may hold personal data. */
export function hostOf(referrer: string): string | null {
  const host = /^(?:https?|android-app):\/\/([a-z0-9.-]{1,253})(?::\d{1,5})?(?:[/?#]|$)/i.exec(referrer)?.[1];
  return host ? host.toLowerCase() : null;
}

/** Escapes a value for the text format of COPY. NUL characters are dropped, because Postgres does not allow them in a text. */
export function copyText(value: string | null): string {
  if (value === null) return '\\N';
  if (!/[\\\n\r\t\0]/.test(value)) return value;
  return value.replaceAll('\0', '').replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t');
}
