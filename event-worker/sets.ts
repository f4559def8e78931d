import type { Kind, Origin } from '../core/event.ts';
import type { Verdict } from '../core/rules.ts';
import type { ReducedAgent } from './user-agent.ts';

// Turns the hits of a commit into rows for the counts and sets of recipients; sql/shard/0008-sets.sql explains them. The function shard.facts
// has the same facets for single events.

/** The hits of a batch by column, as the counts and sets need them. The values at one index are one hit. */
export interface Hits {
  /** Epoch milliseconds. */
  readonly t: number[];
  readonly recipient: number[];
  readonly link: number[];
  readonly campaign: number[];
  readonly kind: Kind[];
  readonly verdict: Verdict[];
  readonly agent: ReducedAgent[];
  readonly origin: Origin[];
  readonly referrer: (string | null)[];
}

export const noHits = (): Hits => ({ t: [], recipient: [], link: [], campaign: [], kind: [], verdict: [], agent: [], origin: [], referrer: [] });

/** The hits whose index `isKept` accepts. */
export function keepHits(hits: Hits, isKept: (i: number) => boolean): Hits {
  const columns = Object.entries(hits).map(([name, column]) => [name, (column as unknown[]).filter((_, i) => isKept(i))]);
  return Object.fromEntries(columns) as Hits;
}

/** The number of successive recipient ids in one row of shard.people. */
export const CHUNK = 15_000;
// A shorter list is cheaper to send and to add than bits.
const MOST_LISTED = 64;
const QUARTER_SECONDS = 900;

/** Rows by column, in the order of the parameters of shard.add_people and shard.add_activity, and sorted by primary key. */
export interface CountRows {
  people: unknown[][];
  activity: unknown[][];
  /** The campaigns, recipients and times of the clicks whose verdict may change. */
  undecided: [number[], number[], Date[]];
}

/** Recipients of one value of a facet in one chunk, by position; a position may occur several times. */
interface Part {
  hits: number;
  humanHits: number;
  readonly people: number[];
  readonly humans: number[];
}

/** One value of a facet. */
class Value {
  readonly facet: string;
  readonly value: string;
  readonly link: number;
  readonly parts = new Map<number, Part>();

  constructor(facet: string, value: string | null, link = 0) {
    this.facet = facet;
    this.value = (value ?? '').replaceAll('\0', '');
    this.link = link;
  }

  /** Adds a hit. Recipient 0 stands for a shared link: the hit is counted without a recipient. */
  add(recipient: number, isHuman: boolean): void {
    const chunk = Math.floor(recipient / CHUNK);
    let part = this.parts.get(chunk);
    if (!part) {
      part = { hits: 0, humanHits: 0, people: [], humans: [] };
      this.parts.set(chunk, part);
    }
    part.hits++;
    if (isHuman) part.humanHits++;
    if (recipient === 0) return;
    const position = recipient - chunk * CHUNK;
    part.people.push(position);
    if (isHuman) part.humans.push(position);
  }
}

/** The values of all facets for the hits of one kind in one campaign. */
class Counts {
  readonly campaign: number;
  readonly kind: Kind;
  readonly hits = new Map<string, { quarter: number; link: number; verdict: Verdict; hits: number }>();
  readonly #values = new Map<string, Value>();
  readonly #all = this.#valueOf('all', '');
  // What hits have in common is looked up once, by the object that they share.
  readonly #agents = new Map<ReducedAgent, readonly Value[]>();
  readonly #origins = new Map<Origin, readonly Value[]>();
  readonly #referrers = new Map<string | null, Value>();
  readonly #links = new Map<number, Value>();

  constructor(campaign: number, kind: Kind) {
    this.campaign = campaign;
    this.kind = kind;
  }

  get values(): Iterable<Value> {
    return this.#values.values();
  }

  add(hits: Hits, i: number, isTest: boolean): void {
    if (isTest) return;
    const recipient = hits.recipient[i] as number;
    const link = hits.link[i] as number;
    const verdict = hits.verdict[i] as Verdict;
    const origin = hits.origin[i] as Origin;
    const isHuman = verdict === 'human';
    const quarter = Math.floor((hits.t[i] as number) / 1000 / QUARTER_SECONDS) * QUARTER_SECONDS;
    const key = `${quarter} ${link} ${verdict}`;
    const known = this.hits.get(key);
    if (known) known.hits++;
    else this.hits.set(key, { quarter, link, verdict, hits: 1 });
    this.#all.add(recipient, isHuman);
    for (const value of this.#ofAgent(hits.agent[i] as ReducedAgent)) value.add(recipient, isHuman);
    for (const value of this.#ofOrigin(origin)) value.add(recipient, isHuman);
    this.#ofReferrer(hits.referrer[i] ?? null).add(recipient, isHuman);
    if (this.kind === 'click') {
      this.#ofLink(link).add(recipient, isHuman);
      this.#valueOf('quarter', String(quarter), link).add(recipient, isHuman);
    }
    if (isHuman) return;
    this.#valueOf('verdict', verdict).add(recipient, false);
    this.#valueOf('machine', `${verdict} ${origin.net ?? ''}`).add(recipient, false);
  }

  #valueOf(facet: string, text: string | null, link = 0): Value {
    const key = `${facet}\n${link}\n${text ?? ''}`;
    let value = this.#values.get(key);
    if (!value) {
      value = new Value(facet, text, link);
      this.#values.set(key, value);
    }
    return value;
  }

  #ofAgent(agent: ReducedAgent): readonly Value[] {
    let values = this.#agents.get(agent);
    if (!values) {
      values = [this.#valueOf('client', agent.client), this.#valueOf('system', agent.system), this.#valueOf('device', agent.device)];
      this.#agents.set(agent, values);
    }
    return values;
  }

  #ofOrigin(origin: Origin): readonly Value[] {
    let values = this.#origins.get(origin);
    if (!values) {
      values = [this.#valueOf('country', origin.country), this.#valueOf('network', origin.net)];
      this.#origins.set(origin, values);
    }
    return values;
  }

  #ofReferrer(referrer: string | null): Value {
    let value = this.#referrers.get(referrer);
    if (!value) {
      value = this.#valueOf('referrer', referrer);
      this.#referrers.set(referrer, value);
    }
    return value;
  }

  #ofLink(link: number): Value {
    let value = this.#links.get(link);
    if (!value) {
      value = this.#valueOf('link', '', link);
      this.#links.set(link, value);
    }
    return value;
  }
}

/** Counts the hits of all batches, without those of the test recipients `tests`. */
export function countHits(batches: readonly Hits[], tests: ReadonlySet<number>): CountRows {
  const counts = new Map<string, Counts>();
  const undecided: CountRows['undecided'] = [[], [], []];
  for (const hits of batches) {
    let last: Counts | undefined;
    for (const [i, campaign] of hits.campaign.entries()) {
      const kind = hits.kind[i] as Kind;
      if (last?.campaign !== campaign || last.kind !== kind) {
        const key = `${campaign} ${kind}`;
        last = counts.get(key) ?? new Counts(campaign, kind);
        counts.set(key, last);
      }
      const recipient = hits.recipient[i] as number;
      last.add(hits, i, tests.has(recipient));
      if (kind !== 'click' || recipient === 0) continue;
      undecided[0].push(campaign);
      undecided[1].push(recipient);
      undecided[2].push(new Date(hits.t[i] as number));
    }
  }
  return { people: peopleRows([...counts.values()]), activity: activityRows([...counts.values()]), undecided };
}

function activityRows(counts: readonly Counts[]): unknown[][] {
  const rows = counts.flatMap(({ campaign, kind, hits }) => Array.from(hits.values(), (row) => ({ campaign, kind, ...row })));
  rows.sort(
    (a, b) =>
      a.campaign - b.campaign || a.quarter - b.quarter || a.link - b.link || compare(a.kind, b.kind) || compare(a.verdict, b.verdict),
  );
  return [
    rows.map(({ campaign }) => campaign),
    rows.map(({ quarter }) => quarter),
    rows.map(({ link }) => link),
    rows.map(({ kind }) => kind),
    rows.map(({ verdict }) => verdict),
    rows.map(({ hits }) => hits),
  ];
}

function peopleRows(counts: readonly Counts[]): unknown[][] {
  const rows = counts.flatMap(({ campaign, kind, values }) =>
    Array.from(values, ({ facet, value, link, parts }) =>
      Array.from(parts, ([chunk, part]) => ({ campaign, facet, value, link, kind, chunk, part })),
    ).flat(),
  );
  rows.sort(
    (a, b) =>
      a.campaign - b.campaign ||
      compare(a.facet, b.facet) ||
      compare(a.value, b.value) ||
      a.link - b.link ||
      compare(a.kind, b.kind) ||
      a.chunk - b.chunk,
  );
  return [
    rows.map(({ campaign }) => campaign),
    rows.map(({ facet }) => facet),
    rows.map(({ value }) => value),
    rows.map(({ link }) => link),
    rows.map(({ kind }) => kind),
    rows.map(({ chunk }) => chunk),
    rows.map(({ part }) => part.hits),
    rows.map(({ part }) => part.humanHits),
    rows.map(({ part }) => setText(part.people)),
    rows.map(({ part }) => setText(part.humans)),
  ];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The set as shard.add_people takes it: a list of different positions, or bits in hexadecimal. */
function setText(positions: readonly number[]): string {
  if (positions.length <= MOST_LISTED) return `{${positions.length < 2 ? positions : [...new Set(positions)]}}`;
  const bits = Buffer.alloc(CHUNK / 8);
  for (const position of positions) bits[position >> 3] = (bits[position >> 3] as number) | (128 >> (position & 7));
  return `x${bits.toString('hex')}`;
}
