import type { Batch, DeadLetter, Event, Skipped } from '../core/event.ts';
import { RULES_VERSION, type Signal, type Verdict } from '../core/rules.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import type { GenerationRange } from './ledger.ts';
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
}

export const EVENT_COLUMNS =
  'at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country, net, referrer, signals';

export const MARK_COLUMNS = 'at, recipient_id, link_id, campaign_id, kind, verdict';

/**
 * Verifies the slugs of a batch, computes the verdicts of its events and formats the lines for COPY. An event with a forged slug is counted
 * as skipped. Throws if the catalog is needed and does not answer, or if SLUG_KEYS lacks a key.
 */
export async function buildRows(batch: Batch, deps: { slugs: SlugCodec; catalog: Catalog }): Promise<BatchRows> {
  const { gen, from, to, size, events, dead } = batch;
  const targets = events.map((event) => resolveSlug(event, deps.slugs));
  // The catalog lists a key before the key signs its first slug. So if all listed keys are known here, an unverified slug is forged.
  if (targets.includes(undefined)) await deps.catalog.assertAllKeys();
  const campaigns = await deps.catalog.campaignsOf(new Set(targets.flatMap((target) => target?.link ?? [])));
  const lines: string[] = [];
  const marks: string[] = [];
  const offs: number[] = [];
  const agents = new Set<ReducedAgent>();
  for (const [i, event] of events.entries()) {
    const target = targets[i];
    if (!target) continue;
    const agent = reduceUserAgent(event.ua);
    agents.add(agent);
    const campaign = campaigns.get(target.link) ?? 0;
    const signals = signalsOf(event, agent.signals[event.kind]);
    const verdict = verdictOf(signals);
    const at = timestamp(event.t);
    lines.push(copyLine(gen, at, event, target, campaign, agent, verdict, signals));
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
  };
}

function copyLine(
  gen: string,
  at: string,
  event: Event,
  target: SlugTarget,
  campaign: number,
  agent: ReducedAgent,
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
    copyText(hostOf(event.ref)),
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
