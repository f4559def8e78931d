import type { Batch, DeadLetter, Event, Skipped } from '../core/event.ts';
import { RULES_VERSION, type Signal, type Verdict } from '../core/rules.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import type { Stretch } from './ledger.ts';
import { type Subject, subjectOf } from './resolve-slug.ts';
import { type ReducedAgent, reduceUserAgent } from './user-agent.ts';
import { signalsOf, verdictOf } from './verdict.ts';

/** What one batch becomes in the database. The events themselves are let go: V8 would carry them along until Postgres has answered. */
export interface BatchRows extends Stretch {
  /** Lines for COPY, in the order of COLUMNS; `offs` has the offset of each. */
  readonly events: Buffer;
  /** The same events for the judge, in the order of MARK_COLUMNS. */
  readonly marks: Buffer;
  readonly offs: readonly number[];
  readonly agents: readonly ReducedAgent[];
  readonly dead: readonly DeadLetter[];
  readonly skipped: Skipped;
}

export const COLUMNS =
  'at, off, gen, rid, recipient_id, link_id, campaign_id, visitor, agent_id, link_version, rules, kind, verdict, country, net, referrer, signals';

export const MARK_COLUMNS = 'at, recipient_id, link_id, campaign_id, kind, verdict';

/** Judges every slug and lays the events out for COPY. Throws while the catalog is needed and out of reach, or a key is missing. */
export async function layOut(batch: Batch, deps: { slugs: SlugCodec; catalog: Catalog }): Promise<BatchRows> {
  const { gen, from, to, size, events, dead } = batch;
  const subjects = events.map((event) => subjectOf(event, deps.slugs));
  // A key is listed before it signs, so whatever was signed with it came after it could be seen here.
  if (subjects.includes(undefined)) await deps.catalog.assertAllKeys();
  const campaigns = await deps.catalog.campaignsOf(new Set(subjects.flatMap((subject) => subject?.link ?? [])));
  const lines: string[] = [];
  const marks: string[] = [];
  const offs: number[] = [];
  const agents = new Set<ReducedAgent>();
  for (const [i, event] of events.entries()) {
    const subject = subjects[i];
    if (!subject) continue;
    const agent = reduceUserAgent(event.ua);
    agents.add(agent);
    const campaign = campaigns.get(subject.link) ?? 0;
    const signals = signalsOf(event, agent.signals[event.kind]);
    const verdict = verdictOf(signals);
    const at = timestamp(event.t);
    lines.push(copyLine(gen, at, event, subject, campaign, agent, verdict, signals));
    marks.push(`${at}\t${subject.recipient}\t${subject.link}\t${campaign}\t${event.kind}\t${verdict}\n`);
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
  subject: Subject,
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
    subject.recipient,
    subject.link,
    campaign,
    event.visitor ?? '\\N',
    agent.id,
    subject.version ?? '\\N',
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

// Events come in the order of time, so many in a row differ in nothing but the milliseconds.
let lastSecond = Number.NaN;
let lastSecondText = '';

/** What `toISOString` gives. */
function timestamp(t: number): string {
  const second = Math.floor(t / 1000);
  if (second !== lastSecond) {
    lastSecondText = new Date(second * 1000).toISOString().slice(0, -4);
    lastSecond = second;
  }
  return `${lastSecondText}${String(t - second * 1000).padStart(3, '0')}Z`;
}

/** The host name of a referrer, and nothing else of it. */
export function hostOf(referrer: string): string | null {
  const host = /^(?:https?|android-app):\/\/([a-z0-9.-]{1,253})(?::\d{1,5})?(?:[/?#]|$)/i.exec(referrer)?.[1];
  return host ? host.toLowerCase() : null;
}

/** A value in COPY's text format; NUL, which no text in Postgres may have, is dropped. */
export function copyText(value: string | null): string {
  if (value === null) return '\\N';
  if (!/[\\\n\r\t\0]/.test(value)) return value;
  return value.replaceAll('\0', '').replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t');
}
