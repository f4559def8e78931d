import type { Kind } from '../core/event.ts';
import { type Verdict, VERDICTS } from '../core/rules.ts';
import type { Profile } from './hits.ts';
import { literal, literalText } from './literal.ts';

// Turns hits into rows for the counts and sets of recipients; sql/shard/0008-sets.sql explains them. The function shard.facts has the same facets
// for single events.

/** Hits of one campaign by column; see Hits. */
export interface CampaignHits {
  readonly campaign: number;
  readonly t: ArrayLike<number>;
  readonly recipient: ArrayLike<number>;
  readonly link: ArrayLike<number>;
  readonly profile: ArrayLike<number>;
  readonly profiles: readonly Profile[];
}

/** The number of successive recipient ids in one row of shard.people. */
const CHUNK = 15_000;
// A shorter list is cheaper to send and to add than bits.
const MOST_LISTED = 64;
const QUARTER_MS = 900_000;

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
  readonly #links = new Map<number, Value>();

  constructor(campaign: number, kind: Kind) {
    this.campaign = campaign;
    this.kind = kind;
  }

  *values(): Iterable<Value> {
    yield* this.#values.values();
    yield* this.#links.values();
    if (this.kind === 'click') for (const links of this.quarters.values()) for (const { people } of links.values()) yield people;
  }

  /** The values of all hits with a profile. */
  valuesOf({ verdict, agent, country, net, referrer }: Profile): Value[] {
    const facts: [facet: string, value: string | null][] = [
      ['all', ''],
      ['country', country],
      ['referrer', referrer],
      ['network', net],
      ['client', agent.client],
      ['system', agent.system],
      ['device', agent.device],
    ];
    if (verdict !== 'human') facts.push(['verdict', verdict], ['machine', `${verdict} ${net ?? ''}`]);
    return facts.map(([facet, value]) => entryOf(this.#values, `${facet} ${value ?? ''}`, () => new Value(facet, value ?? '')));
  }

  add(t: number, recipient: number, link: number, values: readonly Value[], verdictIndex: number): void {
    const chunk = Math.floor(recipient / CHUNK);
    const position = recipient - chunk * CHUNK;
    const isHuman = verdictIndex === 0;
    for (const value of values) value.add(chunk, position, isHuman);
    const quarter = (Math.floor(t / QUARTER_MS) * QUARTER_MS) / 1000;
    const links = entryOf(this.quarters, quarter, () => new Map<number, Activity>());
    const activity = entryOf(links, link, () => ({ hits: VERDICTS.map(() => 0), people: new Value('quarter', String(quarter), link) }));
    activity.hits[verdictIndex] = (activity.hits[verdictIndex] as number) + 1;
    if (this.kind !== 'click') return;
    activity.people.add(chunk, position, isHuman);
    entryOf(this.#links, link, () => new Value('link', '', link)).add(chunk, position, isHuman);
  }
}

/** Counts hits, without those of the test recipients `tests`. */
export function countHits(all: readonly CampaignHits[], tests: ReadonlySet<number>): CountRows {
  const counts = new Map<string, Counts>();
  for (const { campaign, t, recipient, link, profile, profiles } of all) {
    const resolved = profiles.map((each) => {
      const of = entryOf(counts, `${campaign} ${each.kind}`, () => new Counts(campaign, each.kind));
      return { of, values: of.valuesOf(each), verdictIndex: VERDICTS.indexOf(each.verdict) };
    });
    for (let i = 0; i < t.length; i++) {
      const id = recipient[i] as number;
      if (tests.has(id)) continue;
      const { of, values, verdictIndex } = resolved[profile[i] as number] as (typeof resolved)[number];
      of.add(t[i] as number, id, link[i] as number, values, verdictIndex);
    }
  }
  const counted = [...counts.values()];
  return { people: peopleOf(counted), activity: activityOf(counted) };
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
