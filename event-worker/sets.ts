import type { Kind, Origin } from '../core/event.ts';
import { MACHINE_SIGNALS, type Verdict } from '../core/rules.ts';
import { literal, literalText } from './literal.ts';
import type { ReducedAgent } from './user-agent.ts';

// Turns hits into rows for the counts and sets of recipients; sql/shard/0008-sets.sql explains them. The function shard.facts has the same facets
// for single events.

/** What is counted of a user agent. */
export type CountedAgent = Pick<ReducedAgent, 'id' | 'client' | 'system' | 'device'>;

/** Hits by column, as the counts and sets need them. The values at one index are one hit. */
export interface Hits {
  /** Epoch milliseconds. */
  readonly t: number[];
  readonly recipient: number[];
  readonly link: number[];
  readonly campaign: number[];
  readonly kind: Kind[];
  readonly verdict: Verdict[];
  readonly agent: CountedAgent[];
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
const CHUNK = 15_000;
// A shorter list is cheaper to send and to add than bits.
const MOST_LISTED = 64;
const QUARTER_MS = 900_000;
const VERDICTS: readonly Verdict[] = ['human', ...MACHINE_SIGNALS];

/** Arrays as literals of Postgres, in the order of the parameters of a statement. */
type Parameters = string[];

export interface CountRows {
  /** The parameters of shard.add_people. */
  readonly people: Parameters;
  /** The parameters of shard.add_activity. */
  readonly activity: Parameters;
}

/** The hits and recipients of one value of a facet in one chunk. Recipients are positions in the chunk, which may occur several times. */
interface Part {
  readonly chunk: number;
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
  readonly parts: Part[] = [];
  #last: Part | undefined;

  constructor(facet: string, value: string, link = 0) {
    this.facet = facet;
    this.value = value;
    this.link = link;
  }

  /** Adds a hit of the recipient at a position. Recipient 0 stands for a shared link: the hit is counted without a recipient. */
  add(chunk: number, position: number, isHuman: boolean): void {
    let part = this.#last;
    if (part?.chunk !== chunk) {
      part = this.parts.find((known) => known.chunk === chunk);
      if (!part) {
        part = { chunk, hits: 0, humanHits: 0, people: [], humans: [] };
        this.parts.push(part);
      }
      this.#last = part;
    }
    part.hits++;
    if (isHuman) part.humanHits++;
    if (chunk === 0 && position === 0) return;
    part.people.push(position);
    if (isHuman) part.humans.push(position);
  }
}

/** Creates the entry of a map when it is needed first. */
function entryOf<K, V>(map: Map<K, V>, key: K, create: (key: K) => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create(key);
    map.set(key, value);
  }
  return value;
}

/** The clicks of a link in a quarter of an hour, or the opens of a pixel. */
interface Activity {
  /** The number of hits by index in VERDICTS. */
  readonly hits: number[];
  readonly people: Value;
}

/** The counts of the hits of one kind in one campaign. */
class Counts {
  readonly campaign: number;
  readonly kind: Kind;
  /** By start in epoch seconds, and by link. */
  readonly quarters = new Map<number, Map<number, Activity>>();
  readonly #values = new Map<string, Value>();
  readonly #all: Value;
  // What hits have in common is looked up by the object that they share, or by the text.
  readonly #agents = new Map<CountedAgent, readonly Value[]>();
  readonly #origins = new Map<Origin, readonly Value[]>();
  readonly #referrers = new Map<string | null, Value>();
  readonly #links = new Map<number, Value>();

  constructor(campaign: number, kind: Kind) {
    this.campaign = campaign;
    this.kind = kind;
    this.#all = this.#valueOf('all', '');
  }

  *values(): Iterable<Value> {
    yield* this.#values.values();
    yield* this.#links.values();
    if (this.kind === 'click') for (const links of this.quarters.values()) for (const { people } of links.values()) yield people;
  }

  add(hits: Hits, i: number): void {
    const recipient = hits.recipient[i] as number;
    const chunk = Math.floor(recipient / CHUNK);
    const position = recipient - chunk * CHUNK;
    const link = hits.link[i] as number;
    const verdict = hits.verdict[i] as Verdict;
    const isHuman = verdict === 'human';
    const origin = hits.origin[i] as Origin;
    this.#all.add(chunk, position, isHuman);
    for (const value of entryOf(this.#agents, hits.agent[i] as CountedAgent, (agent) => this.#ofAgent(agent))) value.add(chunk, position, isHuman);
    for (const value of entryOf(this.#origins, origin, (key) => this.#ofOrigin(key))) value.add(chunk, position, isHuman);
    entryOf(this.#referrers, hits.referrer[i] ?? null, (host) => this.#valueOf('referrer', host)).add(chunk, position, isHuman);
    const quarter = (Math.floor((hits.t[i] as number) / QUARTER_MS) * QUARTER_MS) / 1000;
    const activity = entryOf(
      entryOf(this.quarters, quarter, () => new Map<number, Activity>()),
      link,
      () => ({ hits: VERDICTS.map(() => 0), people: new Value('quarter', String(quarter), link) }),
    );
    const index = VERDICTS.indexOf(verdict);
    activity.hits[index] = (activity.hits[index] as number) + 1;
    if (this.kind === 'click') {
      activity.people.add(chunk, position, isHuman);
      entryOf(this.#links, link, () => new Value('link', '', link)).add(chunk, position, isHuman);
    }
    if (isHuman) return;
    this.#valueOf('verdict', verdict).add(chunk, position, false);
    this.#valueOf('machine', `${verdict} ${origin.net ?? ''}`).add(chunk, position, false);
  }

  #valueOf(facet: string, text: string | null): Value {
    // Postgres allows no NUL in a text.
    const value = (text ?? '').replaceAll('\0', '');
    return entryOf(this.#values, `${facet} ${value}`, () => new Value(facet, value));
  }

  #ofAgent({ client, system, device }: CountedAgent): readonly Value[] {
    return [this.#valueOf('client', client), this.#valueOf('system', system), this.#valueOf('device', device)];
  }

  #ofOrigin({ country, net }: Origin): readonly Value[] {
    return [this.#valueOf('country', country), this.#valueOf('network', net)];
  }
}

/** Counts hits, without those of the test recipients `tests`. */
export function countHits(batches: readonly Hits[], tests: ReadonlySet<number>): CountRows {
  const counts = new Map<string, Counts>();
  for (const hits of batches) {
    const last: Record<Kind, Counts | undefined> = { click: undefined, open: undefined };
    for (const [i, campaign] of hits.campaign.entries()) {
      const kind = hits.kind[i] as Kind;
      if (tests.has(hits.recipient[i] as number)) continue;
      let current = last[kind];
      if (current?.campaign !== campaign) {
        current = entryOf(counts, `${campaign} ${kind}`, () => new Counts(campaign, kind));
        last[kind] = current;
      }
      current.add(hits, i);
    }
  }
  const all = [...counts.values()];
  return { people: peopleOf(all), activity: activityOf(all) };
}

/** The campaigns, recipients and times of the clicks whose verdict may change, as columns of shard.undecided, and their number. */
export function undecidedClicks(batches: readonly Hits[]): { clicks: number; columns: Parameters } {
  const clicks: { campaign: number; recipient: number; t: number }[] = [];
  for (const { campaign, recipient, t, kind } of batches)
    for (const [i, of] of recipient.entries())
      if (kind[i] === 'click' && of !== 0) clicks.push({ campaign: campaign[i] as number, recipient: of, t: t[i] as number });
  const columns = [
    literal(clicks, ({ campaign }) => campaign),
    literal(clicks, ({ recipient }) => recipient),
    literal(clicks, ({ t }) => t),
  ];
  return { clicks: clicks.length, columns };
}

function activityOf(counts: readonly Counts[]): Parameters {
  const rows: { campaign: number; quarter: number; link: number; kind: Kind; verdict: Verdict; hits: number }[] = [];
  for (const { campaign, kind, quarters } of counts)
    for (const [quarter, links] of quarters)
      for (const [link, { hits }] of links)
        for (const [index, n] of hits.entries())
          if (n > 0) rows.push({ campaign, quarter, link, kind, verdict: VERDICTS[index] as Verdict, hits: n });
  return [
    literal(rows, ({ campaign }) => campaign),
    literal(rows, ({ quarter }) => quarter),
    literal(rows, ({ link }) => link),
    literal(rows, ({ kind }) => kind),
    literal(rows, ({ verdict }) => verdict),
    literal(rows, ({ hits }) => hits),
  ];
}

function peopleOf(counts: readonly Counts[]): Parameters {
  const rows: { campaign: number; kind: Kind; value: Value; part: Part }[] = [];
  for (const each of counts)
    for (const value of each.values()) for (const part of value.parts) rows.push({ campaign: each.campaign, kind: each.kind, value, part });
  const sets = rows.map(({ part: { people, humans } }) => {
    const everyone = setText(people);
    return [everyone, humans.length === people.length ? everyone : setText(humans)] as const;
  });
  return [
    literal(rows, ({ campaign }) => campaign),
    literal(rows, ({ value }) => value.facet),
    literal(rows, ({ value }) => literalText(value.value)),
    literal(rows, ({ value }) => value.link),
    literal(rows, ({ kind }) => kind),
    literal(rows, ({ part }) => part.chunk),
    literal(rows, ({ part }) => part.hits),
    literal(rows, ({ part }) => part.humanHits),
    literal(sets, ([everyone]) => everyone),
    literal(sets, ([, humans]) => humans),
  ];
}

/** The set as shard.add_people takes it, as an element of a literal: a list of positions, or bits in hexadecimal. */
function setText(positions: readonly number[]): string {
  if (positions.length <= MOST_LISTED) return `"{${positions.join(',')}}"`;
  const bits = Buffer.alloc(CHUNK / 8);
  for (const position of positions) bits[position >> 3] = (bits[position >> 3] as number) | (128 >> (position & 7));
  return `x${bits.toString('hex')}`;
}
