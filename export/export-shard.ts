import { type FeedEvent, identityOf, type VerdictChange } from '../feed/event.ts';
import { createDue, type DueRange } from '../feed/due.ts';
import { type Filter, passes } from '../feed/filter.ts';
import { type ChangePosition, NO_CHANGES, type Reading, readEvents } from '../feed/read-events.ts';
import type { Pool } from '../core/postgres.ts';
import { NO_RANGES } from '../core/ranges.ts';
import { findExported } from './find-exported.ts';
import { createFileSet, type FileSet } from './file-set.ts';
import { ledgerOf, positionOf, withRanges } from './manifest.ts';
import type { OpenExport } from './open-export.ts';
import { readReady } from './read-ready.ts';
import { changeRowOf, rowOf } from './tables.ts';

// Exports what is due of one shard.
//
// ranges that are due ──► read events and changes ──► files ──► manifest ──► ranges that are due ─ …
//
// The manifest gets the files, the ranges and the position in the changes at once. So each event is in the export once, wherever this stops.

/** So many bytes of logs are read at a time: about 3,000 events. */
const READ_BYTES = 1024 * 1024;
const JUDGE_MS = 60_000;

export interface ShardExport {
  readonly target: OpenExport;
  readonly shard: string;
  readonly pool: Pool;
  readonly waitMs: number;
  /** The number of rows after which the manifest is replaced. */
  readonly setRows: number;
  readonly signal?: AbortSignal | undefined;
  readonly onCommit: (committed: Exported) => void;
}

export interface Exported {
  readonly shard: string;
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
}

/** Returns the number of bytes of the logs that are still due, because their clicks are too young. */
export async function exportShard(deps: ShardExport): Promise<number> {
  const { target, shard, pool, signal } = deps;
  const wantedFilter = target.manifest().filter;
  const filter: Filter = {
    kinds: wantedFilter.kinds,
    campaigns: wantedFilter.campaigns,
    verdicts: wantedFilter.verdicts,
    since: wantedFilter.from === null ? null : new Date(wantedFilter.from),
    waitMs: deps.waitMs,
  };
  // Before the first export there is nothing that could change.
  let position = positionOf(target.manifest(), shard) ?? (await readLastChange(pool));
  const due = createDue(new Map(), ledgerOf(target.manifest(), shard));
  let known = new Set<string>();
  const setReady = async (): Promise<void> => {
    const ready = await readReady(pool, shard, JUDGE_MS, signal);
    for (const gen of known) if (!ready.has(gen)) due.setReady(gen, NO_RANGES);
    for (const [gen, ranges] of ready) due.setReady(gen, ranges);
    known = new Set(ready.keys());
  };
  await setReady();

  let set = createFileSet(target, shard);
  let ranges: DueRange[] = [];
  try {
    while (!signal?.aborted) {
      const wanted = due.take(READ_BYTES);
      // All changes are read, because whether an event passed the filter is known only from the files.
      const reading = await readEvents(pool, due, wanted, { ...filter, verdicts: null }, position);
      if (reading.isLacking) await setReady();
      await addChanges(reading);
      for (const { event } of reading.events) if (passes(filter, event.verdict)) addEvent(set, event);
      for (const { gen, range } of reading.ranges) due.setDelivered(gen, [range]);
      ranges.push(...reading.ranges);
      position = reading.position;
      await set.flushFull();
      if (set.rows() >= deps.setRows) await commit();
      if (wanted.length === 0 && !reading.areChangesLeft) break;
    }
    await commit();
  } finally {
    await set.discard();
  }
  return due.bytes();

  async function addChanges({ changes }: Reading): Promise<void> {
    if (changes.length === 0) return;
    const all = changes.flatMap(({ event, change }) => (change === undefined ? [] : { event, change }));
    if (filter.verdicts === null) {
      for (const { event, change } of all) addChange(set, event, change);
      return;
    }
    // The files have to be in the manifest for the search. What was read before this reading is complete.
    await commit();
    const days = new Set(all.map(({ event }) => new Date(event.at).toISOString().slice(0, 10)));
    const exported = await findExported(target, shard, days, new Set(all.map(({ event }) => identityOf(event))));
    for (const { event, change } of all) {
      const identity = identityOf(event);
      if (exported.has(identity)) addChange(set, event, change);
      else if (passes(filter, change.becomes)) {
        addEvent(set, { ...event, verdict: change.becomes });
        exported.add(identity);
      }
    }
  }

  /** Stores the set, with the position before the present reading or after it. */
  async function commit(): Promise<void> {
    const at = position;
    const before = positionOf(target.manifest(), shard);
    const isMoved = before === undefined || before.id !== at.id || before.changedAt !== at.changedAt;
    if (set.rows() === 0 && ranges.length === 0 && !isMoved) return;
    const files = await set.store();
    const added = ranges;
    await target.commit((manifest) => ({
      ...manifest,
      ledger: { ...manifest.ledger, [shard]: withRanges(manifest.ledger[shard], added) },
      changes: { ...manifest.changes, [shard]: { id: at.id, changed_at: at.changedAt } },
      files: [...manifest.files, ...files],
    }));
    deps.onCommit({ shard, rows: set.rows(), files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) });
    set = createFileSet(target, shard);
    ranges = [];
  }
}

function addEvent(set: FileSet, event: FeedEvent): void {
  const { table, row } = rowOf(event);
  set.add(table, event.at, row);
}

function addChange(set: FileSet, event: FeedEvent, change: VerdictChange): void {
  set.add('verdict_changes', event.at, changeRowOf(event, change));
}

async function readLastChange(pool: Pool): Promise<ChangePosition> {
  const { rows } = await pool.query<ChangePosition>('SELECT id, changed_at::text AS "changedAt" FROM shard.last_change()');
  return rows[0] ?? NO_CHANGES;
}
