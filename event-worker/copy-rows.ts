import { type Batch, type DeadLetter, type Kind, KINDS, type Origin, type Skipped } from '../core/event.ts';
import { RULES_VERSION, type Verdict, VERDICTS } from '../core/rules.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import { type FoldReason, foldValues } from './fold-values.ts';
import { collectHits, type Hits } from './hits.ts';
import type { GenerationRange } from './ledger.ts';
import { resolveSlug } from './resolve-slug.ts';
import type { OutsideValues } from './outside-values.ts';
import type { ReducedAgent } from './user-agent.ts';
import { signalsOf, verdictOf } from './verdict.ts';

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
  readonly agents: readonly ReducedAgent[];
  readonly dead: readonly DeadLetter[];
  readonly skipped: Skipped;
  /** How many hits have `(other)` in the place of their own value, by reason. */
  readonly folded: Readonly<Record<FoldReason, number>>;
}

export const EVENT_COLUMNS =
  'at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country, net, referrer, signals';

/**
 * Verifies the slugs of a batch, computes the verdicts of its events and formats the lines for COPY. An event with a forged slug is counted
 * as skipped. Throws if the catalog or the shard is needed and does not answer, or if SLUG_KEYS lacks a key.
 */
export async function buildRows(batch: Batch, deps: { slugs: SlugCodec; catalog: Catalog; outside: OutsideValues }): Promise<BatchRows> {
  const { gen, from, to, size, events, dead } = batch;
  const targets = events.slug.map((slug, i) => resolveSlug(slug, events.link[i] ?? null, deps.slugs));
  // The catalog lists a key before the key signs its first slug. So if all listed keys are known here, an unverified slug is forged.
  if (targets.includes(undefined)) await deps.catalog.assertAllKeys();
  const links = new Set<number>();
  for (const target of targets) if (target) links.add(target.link);
  const campaignOf = await deps.catalog.campaignsOf(links);
  const campaigns = targets.map((target) => target && (campaignOf.get(target.link) ?? 0));
  const values = await foldValues(events, campaigns, deps.outside);
  const origins = events.origins.map(({ country, net }) => `${copyText(country)}\t${copyText(net)}`);

  // Numbers the combinations of what makes a profile. It is called for each hit, so it compares indexes instead of texts.
  const agentNumbers = new Map<ReducedAgent, number>();
  const referrerNumbers = new Map<string | null, number>();
  const profileKeyOf = (i: number, agent: ReducedAgent, referrer: string | null, kind: Kind, verdict: Verdict): number =>
    ((numberOf(agentNumbers, agent) * targets.length + numberOf(referrerNumbers, referrer)) * events.origins.length +
      (events.origin[i] as number)) *
      32 +
    VERDICTS.indexOf(verdict) * 2 +
    KINDS.indexOf(kind);

  let lines = '';
  const collector = collectHits(targets.length);
  const offs: number[] = [];
  const usedAgents = new Set<ReducedAgent>();
  for (let i = 0; i < targets.length; i++) {
    const [target, campaign] = [targets[i], campaigns[i]];
    if (!target || campaign === undefined) continue;
    const { recipient, link, version } = target;
    const agent = values.agent(i);
    const kind = events.kind[i] as Kind;
    const originIndex = events.origin[i] as number;
    const origin = events.origins[originIndex] as Origin;
    const purpose = events.purposes[events.purpose[i] as number] as string;
    const signals = signalsOf({ head: events.head[i] as boolean, purpose, net: origin.net }, agent.signals[kind]);
    const verdict = verdictOf(signals);
    const t = events.t[i] as number;
    const off = events.off[i];
    const referrer = values.referrer(i, campaign);
    lines +=
      `${timestamp(t)}\t${off}\t${gen}\t${events.rid[i]}\t${recipient}\t${link}\t${campaign}\t${events.visitor[i] ?? '\\N'}\t${agent.id}\t` +
      `${version ?? '\\N'}\t${RULES_VERSION}\t${kind}\t${verdict}\t${origins[originIndex]}\t` +
      `${copyText(referrer)}\t${signals.length === 0 ? '\\N' : `{${signals.join(',')}}`}\n`;
    const key = profileKeyOf(i, agent, referrer, kind, verdict);
    const profile =
      collector.profile(key) ?? collector.addProfile(key, { kind, verdict, agent, country: origin.country, net: origin.net, referrer });
    collector.add(campaign, t, recipient, link, profile);
    offs.push(Number(off));
    usedAgents.add(agent);
  }
  const forged = targets.length - offs.length;
  const skipped = forged === 0 ? batch.skipped : { ...batch.skipped, forged };
  const copied = { events: Buffer.from(lines), hits: collector.hits(), offs, agents: [...usedAgents] };
  return { gen, from, to, size, ...copied, dead, skipped, folded: values.folded };
}

/** The number of a key, from 0 in the order of their first use. */
function numberOf<K>(numbers: Map<K, number>, key: K): number {
  let number = numbers.get(key);
  if (number === undefined) {
    number = numbers.size;
    numbers.set(key, number);
  }
  return number;
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

/** Escapes a value for the text format of COPY. NUL characters are dropped, because Postgres does not allow them in a text. */
export function copyText(value: string | null): string {
  if (value === null) return '\\N';
  if (!/[\\\n\r\t\0]/.test(value)) return value;
  return value.replaceAll('\0', '').replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t');
}
