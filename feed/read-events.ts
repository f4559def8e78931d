import { BEGIN, type Pool } from '../core/postgres.ts';
import { covers, NO_RANGES, type Range } from '../core/ranges.ts';
import { byGeneration, type Due, type DueRange, ledgerFrom } from './due.ts';
import { type FeedEvent, identityOf, type Item } from './event.ts';
import { type Filter, passes } from './filter.ts';

// Reads what a subscription is to deliver next, in one snapshot of the shard: the changes of verdicts of what was delivered before, and the events
// of some ranges. The snapshot has all changes up to the position that is returned, so an event that is read now has its verdict of this position.

/** The most changes that are read at a time. */
const MOST_CHANGES = 2_000;
/** A click that is further in the future does not wait. */
const MOST_AHEAD_MS = 300_000;

/** The position in shard.verdict_change: the last change that was delivered. `changedAt` is the text of its time, with microseconds. */
export interface ChangePosition {
  readonly id: number;
  readonly changedAt: string;
}

export const NO_CHANGES: ChangePosition = { id: 0, changedAt: '-infinity' };

/** What was read. `changes` come first. */
export interface Reading {
  /** What follows from changes of verdicts, up to `position`. */
  readonly changes: readonly Item[];
  readonly position: ChangePosition;
  /** The events of `ranges`, in their order. */
  readonly events: readonly Item[];
  readonly ranges: readonly DueRange[];
  /** Whether there are more changes. Then no events were read. */
  readonly areChangesLeft: boolean;
  /** Whether the ledger of the shard lacks some of the ranges, e.g. because it was restored from a backup. */
  readonly isLacking: boolean;
}

interface ChangeRow {
  id: number;
  changed_at: string;
  micros: number;
  was: string;
  becomes: string;
  gen: string;
  off: number;
}

/** `wanted` are ranges of `due`, in the order of the offsets for each generation. */
export async function readEvents(
  pool: Pool,
  due: Due,
  wanted: readonly DueRange[],
  filter: Filter,
  after: ChangePosition,
): Promise<Reading> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query(`${BEGIN}; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY`);
    const ledger = await client.query<{ gen: string; committed: string; now: Date }>('SELECT * FROM shard.read_ledger($1)', [
      [...new Set(wanted.map(({ gen }) => gen))],
    ]);
    const changes = await client.query<ChangeRow>(
      `SELECT id, changed_at::text, (extract(epoch FROM changed_at) * 1000000)::bigint AS micros, was, becomes, gen, off FROM shard.read_changes($1, $2, $3)`,
      [after.id, after.changedAt, MOST_CHANGES],
    );
    const concerned = changes.rows.filter(({ gen, off }) => due.wasDelivered(gen, off));
    const inLedger = ledgerFrom(ledger.rows.map(({ gen, committed }) => [gen, committed]));
    const isLacking = wanted.some(({ gen, range: [from, to] }) => !covers(inLedger.get(gen) ?? NO_RANGES, from, to));
    // As long as there are more changes, no events are read: they would have the verdicts of a later position.
    const areChangesLeft = changes.rows.length === MOST_CHANGES;
    const ranges = isLacking || areChangesLeft ? [] : wanted;
    const read = async (some: readonly DueRange[]): Promise<FeedEvent[]> => {
      if (some.length === 0) return [];
      const { rows } = await client.query<FeedEvent>('SELECT * FROM shard.read_events($1, $2, $3, $4, $5, $6)', [
        some.map(({ gen }) => gen),
        some.map(({ range }) => range[0]),
        some.map(({ range }) => range[1]),
        filter.kinds,
        filter.campaigns,
        filter.since,
      ]);
      return rows;
    };
    const changed = new Map((await read(uniquePlaces(concerned))).map((event) => [identityOf(event), event] as const));
    const events = await read(ranges);
    await client.query('COMMIT');
    const items = concerned.flatMap((row): Item[] => {
      const event = changed.get(identityOf(row));
      return event === undefined ? [] : changeItems(row, event, filter);
    });
    const last = changes.rows.at(-1);
    const settledMs = (ledger.rows[0]?.now.getTime() ?? 0) - filter.waitMs;
    const settled = settle(ranges, events, filter, settledMs);
    for (const [gen, ms] of settled.young) due.hold(gen, ms);
    return {
      changes: items,
      position: last === undefined ? after : { id: last.id, changedAt: last.changed_at },
      events: settled.items,
      ranges: settled.ranges,
      areChangesLeft,
      isLacking,
    };
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
}

function uniquePlaces(rows: readonly ChangeRow[]): DueRange[] {
  const places = rows.map(({ gen, off }): DueRange => ({ gen, range: [off, off + 1] }));
  return byGeneration(places).flatMap(([gen, ranges]) => ranges.map((range) => ({ gen, range })));
}

/** A change matters if the hit passed the filter before, or passes it now. */
function changeItems(row: ChangeRow, event: FeedEvent, filter: Filter): Item[] {
  if (!passes(filter, row.was) && !passes(filter, row.becomes)) return [];
  return [{ event, change: { changedAt: row.micros, was: row.was, becomes: row.becomes } }];
}

/** Cuts each range before its first click that is too young. `young` has the generations of these clicks, and the milliseconds until they are old enough. */
function settle(
  ranges: readonly DueRange[],
  events: readonly FeedEvent[],
  filter: Filter,
  settledMs: number,
): { items: Item[]; ranges: DueRange[]; young: Map<string, number> } {
  const byGen = Map.groupBy(events, ({ gen }) => gen);
  for (const list of byGen.values()) list.sort((a, b) => a.off - b.off);
  // The clock of a host with nginx may be wrong. A click from the future must not hold up all others.
  const latestMs = settledMs + filter.waitMs + MOST_AHEAD_MS;
  const items: Item[] = [];
  const kept: DueRange[] = [];
  const young = new Map<string, number>();
  const next = new Map<string, number>();
  for (const { gen, range } of ranges) {
    const list = byGen.get(gen) ?? [];
    let i = next.get(gen) ?? 0;
    let to = range[1];
    for (; i < list.length; i++) {
      const event = list[i] as FeedEvent;
      if (event.off >= range[1]) break;
      if (event.kind === 'click' && event.at > settledMs && event.at < latestMs) {
        to = event.off;
        young.set(gen, event.at - settledMs);
        break;
      }
      if (passes(filter, event.verdict)) items.push({ event });
    }
    while (i < list.length && (list[i] as FeedEvent).off < range[1]) i++;
    next.set(gen, i);
    if (to > range[0]) kept.push({ gen, range: [range[0], to] satisfies Range });
  }
  return { items, ranges: kept, young };
}
