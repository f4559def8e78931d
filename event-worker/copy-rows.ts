import { type Batch, type DeadLetter, type Kind, KINDS, type Origin, type Skipped } from '../core/event.ts';
import { RULES_VERSION } from '../core/rules.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import { type FoldReason, foldValues } from './fold-values.ts';
import { HitCollector, type Hits, type Profiles } from './hits.ts';
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
  'at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, link_version, agent_id, rules, kind, verdict, country, net, referrer, signals';

export interface RowDependencies {
  readonly slugs: SlugCodec;
  readonly catalog: Catalog;
  readonly outside: OutsideValues;
  /** Collects the profiles of all batches of a commit. */
  readonly profiles: Profiles;
}

/**
 * Verifies the slugs of a batch, computes the verdicts of its events and formats the lines for COPY. An event with a forged slug is counted
 * as skipped. Throws if the catalog or the shard is needed and does not answer, or if SLUG_KEYS lacks a key.
 */
export async function buildRows(batch: Batch, deps: RowDependencies): Promise<BatchRows> {
  const { gen, from, to, size, events, dead } = batch;
  const targets = events.slug.map((slug, i) => resolveSlug(slug, events.link[i] ?? null, deps.slugs));
  // The catalog lists a key before the key signs its first slug. So if all listed keys are known here, an unverified slug is forged.
  if (targets.includes(undefined)) await deps.catalog.assertAllKeys();
  const links = new Set<number>();
  for (const target of targets) if (target) links.add(target.link);
  const campaignOf = await deps.catalog.campaignsOf(links);
  const campaigns = targets.map((target) => target && (campaignOf.get(target.link) ?? 0));
  const values = await foldValues(events, campaigns, deps.outside);
  const tailOf = tails(batch, deps.profiles);

  let lines = '';
  const collector = new HitCollector(targets.length);
  const offs: number[] = [];
  const usedAgents = new Set<ReducedAgent>();
  for (let i = 0; i < targets.length; i++) {
    const [target, campaign] = [targets[i], campaigns[i]];
    if (!target || campaign === undefined) continue;
    const { recipient, link, version } = target;
    const agent = values.agent(i);
    const { text, profile } = tailOf(i, agent, values.referrer(i, campaign));
    const t = events.t[i] as number;
    const off = events.off[i];
    lines += `${timestamp(t)}\t${off}\t${gen}\t${events.rid[i]}\t${recipient}\t${link}\t${campaign}\t${events.visitor[i] ?? '\\N'}\t${version ?? '\\N'}${text}`;
    collector.add(campaign, t, recipient, link, profile);
    offs.push(Number(off));
    usedAgents.add(agent);
  }
  const forged = targets.length - offs.length;
  const skipped = forged === 0 ? batch.skipped : { ...batch.skipped, forged };
  const copied = { events: Buffer.from(lines), hits: collector.hits(deps.profiles.list), offs, agents: [...usedAgents] };
  return { gen, from, to, size, ...copied, dead, skipped, folded: values.folded };
}

/** The end of a COPY line, from the column agent_id, and the profile of the hit. */
interface Tail {
  readonly text: string;
  readonly profile: number;
}

/** Returns a function that computes the tail of event `i`. Many events have the same tail, so each one is computed once. */
function tails({ events }: Batch, profiles: Profiles): (i: number, agent: ReducedAgent, referrer: string | null) => Tail {
  const known = new Map<number, Tail>();
  const agents = new Map<ReducedAgent, number>();
  const referrers = new Map<string | null, number>();
  return (i, agent, referrer) => {
    const kind = events.kind[i] as Kind;
    const head = events.head[i] as boolean;
    const originIndex = events.origin[i] as number;
    const purposeIndex = events.purpose[i] as number;
    // Indexes instead of texts, because this runs for each event.
    let key = numberOf(agents, agent) * events.t.length + numberOf(referrers, referrer);
    key = (key * events.origins.length + originIndex) * events.purposes.length + purposeIndex;
    key = key * 4 + (head ? 2 : 0) + KINDS.indexOf(kind);
    let tail = known.get(key);
    if (tail) return tail;
    const { country, net } = events.origins[originIndex] as Origin;
    const signals = signalsOf({ head, purpose: events.purposes[purposeIndex] as string, net }, agent.signals[kind]);
    const verdict = verdictOf(signals);
    const columns = [agent.id, RULES_VERSION, kind, verdict, copyText(country), copyText(net), copyText(referrer)];
    tail = {
      text: `\t${columns.join('\t')}\t${signals.length === 0 ? '\\N' : `{${signals.join(',')}}`}\n`,
      profile: profiles.numberOf({ kind, verdict, agent, country, net, referrer }),
    };
    known.set(key, tail);
    return tail;
  };
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
