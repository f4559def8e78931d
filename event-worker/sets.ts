import type { HitKind } from '../core/event.ts';
import { type Verdict, VERDICTS } from '../core/rules.ts';
import { entryOf } from './entry-of.ts';
import { type Profile, profileKey } from './hits.ts';
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
/** The same in one row of shard.hit_count. */
const COUNTED_CHUNK = 250;
// A shorter list is cheaper to send and to add than bits.
const MOST_LISTED = 64;
const QUARTER_MS = 900_000;

/** Arrays as literals of Postgres, in the order of the parameters of a statement. */
type Parameters = string[];

export interface CountRows {
  /** The parameters of shard.add_people. */
  readonly people: Parameters;
  /** The parameters of shard.add_hit_counts. */
  readonly hitCounts: Parameters;
  /** The parameters of shard.add_activity. */
  readonly activity: Parameters;
}

/** The ids of recipients, one for each hit; 0 for a hit of a shared link. */
interface Recipients {
  readonly isHuman: boolean;
  readonly ids: number[];
}

/** The hits of one link in one quarter of an hour. */
interface LinkActivity {
  /** The number of hits by index in VERDICTS. */
  readonly hits: number[];
  readonly humans: Recipients;
  readonly machines: Recipients;
}

/** The hits of one kind in one campaign. */
interface Counts {
  readonly campaign: number;
  readonly kind: HitKind;
  /** By the text of the profile. */
  readonly byProfile: Map<string, { readonly profile: Profile; readonly recipients: Recipients; readonly verdictIndex: number }>;
  /** By start in epoch milliseconds, and by link. */
  readonly quarters: Map<number, Map<number, LinkActivity>>;
}

/** Counts hits, without those of the test recipients `tests`. */
export function countHits(all: readonly CampaignHits[], tests: ReadonlySet<number>): CountRows {
  const counts = new Map<string, Counts>();
  for (const { campaign, t, recipient, link, profile, profiles } of all) {
    const resolved = profiles.map((each) => {
      const { kind, verdict } = each;
      const of = entryOf(counts, `${campaign} ${kind}`, () => ({ campaign, kind, byProfile: new Map(), quarters: new Map() }));
      const bucket = entryOf(of.byProfile, profileKey(each), () => ({
        profile: each,
        recipients: { isHuman: verdict === 'human', ids: [] },
        verdictIndex: VERDICTS.indexOf(verdict),
      }));
      return { ...bucket, quarters: of.quarters };
    });
    for (let i = 0; i < t.length; i++) {
      const id = recipient[i] as number;
      if (tests.has(id)) continue;
      // Each facet takes the recipients of its profiles below. That is much cheaper than to add each hit to each facet.
      const { recipients, verdictIndex, quarters } = resolved[profile[i] as number] as (typeof resolved)[number];
      recipients.ids.push(id);
      const links = entryOf(quarters, Math.floor((t[i] as number) / QUARTER_MS) * QUARTER_MS, newLinks);
      const activity = entryOf(links, link[i] as number, newActivity);
      activity.hits[verdictIndex] = (activity.hits[verdictIndex] as number) + 1;
      (recipients.isHuman ? activity.humans : activity.machines).ids.push(id);
    }
  }
  const counted = [...counts.values()];
  return { people: peopleOf(counted), hitCounts: hitCountsOf(counted), activity: activityOf(counted) };
}

const newLinks = (): Map<number, LinkActivity> => new Map();
const newActivity = (): LinkActivity => ({
  hits: VERDICTS.map(() => 0),
  humans: { isHuman: true, ids: [] },
  machines: { isHuman: false, ids: [] },
});

function activityOf(counts: readonly Counts[]): Parameters {
  const rows: { campaign: number; quarterMs: number; link: number; kind: HitKind; verdict: Verdict; hits: number }[] = [];
  for (const { campaign, kind, quarters } of counts)
    for (const [quarterMs, links] of quarters)
      for (const [link, { hits }] of links)
        for (const [index, n] of hits.entries())
          if (n > 0) rows.push({ campaign, quarterMs, link, kind, verdict: VERDICTS[index] as Verdict, hits: n });
  return [
    literal(rows, ({ campaign }) => campaign),
    literal(rows, ({ quarterMs }) => quarterMs / 1000),
    literal(rows, ({ link }) => link),
    literal(rows, ({ kind }) => kind),
    literal(rows, ({ verdict }) => verdict),
    literal(rows, ({ hits }) => hits),
  ];
}

/** The rows have the numbers of counters as shard.counter_of computes them. */
function hitCountsOf(counts: readonly Counts[]): Parameters {
  const rows = new Map<string, { campaign: number; chunk: number; numbers: number[] }>();
  for (const { campaign, kind, byProfile } of counts) {
    for (const { recipients } of byProfile.values()) {
      const counter = (kind === 'open' ? 2 : 0) + (recipients.isHuman ? 0 : 1);
      for (const id of recipients.ids) {
        if (id === 0) continue;
        const chunk = Math.floor(id / COUNTED_CHUNK);
        const { numbers } = entryOf(rows, `${campaign} ${chunk}`, () => ({ campaign, chunk, numbers: [] }));
        numbers.push(4 * (id - chunk * COUNTED_CHUNK) + counter);
      }
    }
  }
  const all = [...rows.values()];
  return [
    literal(all, ({ campaign }) => campaign),
    literal(all, ({ chunk }) => chunk),
    literal(all, ({ numbers }) => `"{${numbers.join(',')}}"`),
  ];
}

/** The facets that a hit has by its profile, and their values. */
function factsOf({ verdict, agent, country, net, referrer }: Profile): [facet: string, value: string][] {
  const facts: [string, string][] = [
    ['all', ''],
    ['country', country ?? ''],
    ['referrer', referrer ?? ''],
    ['network', net ?? ''],
    ['client', agent.client],
    ['system', agent.system],
    ['device', agent.device],
  ];
  if (verdict !== 'human') facts.push(['verdict', verdict], ['machine', `${verdict} ${net ?? ''}`]);
  return facts;
}

function peopleOf(counts: readonly Counts[]): Parameters {
  const columns = new PeopleColumns();
  for (const { campaign, kind, byProfile, quarters } of counts) {
    const values = new Map<string, { facet: string; value: string; recipients: Recipients[] }>();
    for (const { profile, recipients } of byProfile.values())
      for (const [facet, value] of factsOf(profile))
        entryOf(values, `${facet} ${value}`, () => ({ facet, value, recipients: [] })).recipients.push(recipients);
    for (const { facet, value, recipients } of values.values()) columns.add({ campaign, facet, value, link: 0, kind }, recipients);
    if (kind !== 'click') continue;
    const byLink = new Map<number, Recipients[]>();
    for (const [quarterMs, links] of quarters) {
      for (const [link, { humans, machines }] of links) {
        columns.add({ campaign, facet: 'quarter', value: String(quarterMs / 1000), link, kind }, [humans, machines]);
        entryOf(byLink, link, () => []).push(humans, machines);
      }
    }
    for (const [link, recipients] of byLink) columns.add({ campaign, facet: 'link', value: '', link, kind }, recipients);
  }
  return columns.literals();
}

/** The rows of one value in one chunk, before they become text. Recipients are positions in the chunk, which may occur several times. */
interface Part {
  hits: number;
  humanHits: number;
  readonly people: number[];
  readonly humans: number[];
}

/** The parameters of shard.add_people, column by column. */
class PeopleColumns {
  readonly #columns: (string | number)[][] = Array.from({ length: 10 }, () => []);

  /** Adds the recipients of one value of a facet: a row for each of their chunks. */
  add(key: { campaign: number; facet: string; value: string; link: number; kind: HitKind }, recipients: readonly Recipients[]): void {
    const parts = new Map<number, Part>();
    for (const { isHuman, ids } of recipients) {
      for (const id of ids) {
        const chunk = Math.floor(id / CHUNK);
        const part = entryOf(parts, chunk, newPart);
        part.hits++;
        if (isHuman) part.humanHits++;
        if (id === 0) continue;
        part.people.push(id - chunk * CHUNK);
        if (isHuman) part.humans.push(id - chunk * CHUNK);
      }
    }
    const value = literalText(key.value);
    for (const [chunk, { hits, humanHits, people, humans }] of parts) {
      const everyone = setText(people);
      const humansText = humans.length === people.length ? everyone : setText(humans);
      this.#addRow(key.campaign, key.facet, value, key.link, key.kind, chunk, hits, humanHits, everyone, humansText);
    }
  }

  #addRow(...row: (string | number)[]): void {
    for (let i = 0; i < row.length; i++) this.#columns[i]?.push(row[i] as string | number);
  }

  literals(): Parameters {
    return this.#columns.map((column) => `{${column.join(',')}}`);
  }
}

const newPart = (): Part => ({ hits: 0, humanHits: 0, people: [], humans: [] });

/** The set as shard.add_people takes it, as an element of a literal: a list of positions, or bits in hexadecimal. */
function setText(positions: readonly number[]): string {
  if (positions.length <= MOST_LISTED) return `"{${positions.join(',')}}"`;
  const bits = Buffer.alloc(CHUNK / 8);
  for (const position of positions) bits[position >> 3] = (bits[position >> 3] as number) | (128 >> (position & 7));
  return `x${bits.toString('hex')}`;
}
