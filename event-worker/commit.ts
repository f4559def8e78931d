import { ClickledgerError } from '../core/errors.ts';
import type { Batch, DeadLetter } from '../core/event.ts';
import { classify, type Pool } from '../core/postgres.ts';
import { NO_RANGES } from '../core/ranges.ts';
import type { Shard } from '../core/shards.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import { type BatchRows, buildRows } from './copy-rows.ts';
import type { KnownEpoch } from './known-epoch.ts';
import { FOLD_REASONS, type FoldReason } from './fold-values.ts';
import {
  addSkipped,
  copyDeltas,
  copyEvents,
  copySites,
  countEvents,
  insertAgents,
  insertDead,
  insertNewVisits,
  insertUnsubscribes,
} from './insert-rows.ts';
import { type LedgerEntry, markCommitted, readLedger, selectNew } from './ledger.ts';
import { withoutPoison } from './poison-rows.ts';
import type { OutsideValues } from './outside-values.ts';
import { Slab } from './slab.ts';
import { Tails } from './tails.ts';
import { inTransaction } from './transaction.ts';

// Commits a group of batches in one transaction: their hits and deltas, site events, unsubscribes, dead letters and counts of skipped lines, and their
// ranges in the ledger. Statements that may wait for a lock of another worker run after the COPY, so no lock is held while rows are sent. All
// workers run them in the same order, so they cannot deadlock.

/** The result of a commit. All batches of the group may now be acked. */
export interface Committed {
  /** Batches that this commit stored. */
  batches: number;
  /** Batches that were dropped because some of their bytes were already committed. */
  repeated: number;
  events: number;
  dead: DeadLetter[];
  skipped: Record<string, number>;
  /** Hits with `(other)` in the place of their own value; see FOLD_REASONS. */
  folded: Record<FoldReason, number>;
  /** Batches that end beyond the recorded size of their generation. Something wrote to a log after it was final. */
  beyondSize: number;
}

export interface Committer {
  /**
   * Commits a group of batches. If it throws, none of them may be acked. A row that the database refuses becomes a dead letter. `batches`
   * is iterated once, and no batch is kept while the next one is read. So if `batches` is a generator that decodes messages, only one
   * decoded batch is in memory at a time.
   */
  commit(batches: Iterable<Batch>): Promise<Committed>;
}

export function createCommitter(deps: {
  pool: Pool;
  shard: Shard;
  shardsFingerprint: string;
  epoch: KnownEpoch;
  slugs: SlugCodec;
  catalog: Catalog;
  outside: OutsideValues;
}): Committer {
  const { pool, shard, shardsFingerprint, epoch, slugs, catalog, outside } = deps;

  let tails = new Tails();
  /** The slabs that no commit uses at the moment. There are as many slabs as commits have run in parallel. */
  const freeSlabs: Slab[] = [];

  async function commit(batches: Iterable<Batch>): Promise<Committed> {
    const slab = freeSlabs.pop() ?? new Slab();
    try {
      return await commitWith(batches, slab);
    } finally {
      // After an error the client may still send this memory, but then the transaction is rolled back.
      slab.reset();
      freeSlabs.push(slab);
    }
  }

  async function commitWith(batches: Iterable<Batch>, slab: Slab): Promise<Committed> {
    const ledger = new Map<string, LedgerEntry>();
    const refresh = async (gens: readonly string[]): Promise<void> => {
      const found = await readLedger(pool, shard, shardsFingerprint, gens, epoch.highest);
      for (const gen of gens) ledger.set(gen, found.ledger.get(gen) ?? { committed: NO_RANGES, size: null });
    };
    const rows: BatchRows[] = [];
    // If the cache of tails is full, this commit gets a new one. Commits that have begun keep the old one.
    if (tails.isFull) tails = new Tails();
    const dependencies = { slugs, catalog, outside, tails, slab };
    let total = 0;
    for (const batch of batches) {
      total++;
      assertSameShard(batch);
      epoch.see(batch.epoch);
      if (!ledger.has(batch.gen)) await refresh([batch.gen]);
      // A batch that is already committed needs no rows, and this worker perhaps cannot build them, e.g. if SLUG_KEYS lacks a key.
      if (selectNew([batch], ledger).selected.length > 0) rows.push(await buildRows(batch, dependencies));
    }
    const done: BatchRows[] = [];
    for (;;) {
      const { selected, beyondSize } = selectNew(rows, ledger);
      if (await commitRows(selected, done)) return { ...summarize(done), repeated: total - done.length, beyondSize };
      await refresh([...ledger.keys()]);
    }
  }

  function assertSameShard(batch: Batch): void {
    if (batch.shard === shard.name && batch.shards === shardsFingerprint) return;
    throw new ClickledgerError(
      'bad-settings',
      `a batch is for shard ${batch.shard} of the list ${batch.shards}, but this worker serves shard ${shard.name} of the list ${shardsFingerprint}. Give the agent and the worker the same SHARDS.`,
    );
  }

  /**
   * Commits rows and adds the committed ones to `done`. Returns false if another worker has committed some of the ranges in the meantime.
   * Then the caller must read the ledger again and commit the rest.
   */
  async function commitRows(rows: readonly BatchRows[], done: BatchRows[]): Promise<boolean> {
    if (rows.length === 0) return true;
    try {
      const committed = await inTransaction(pool, async (client) => {
        await copyEvents(client, rows);
        await copyDeltas(
          client,
          rows.map(({ hits }) => hits),
        );
        await copySites(client, rows);
        await insertNewVisits(client, rows);
        await insertAgents(client, rows);
        await insertUnsubscribes(client, rows);
        await insertDead(client, rows);
        await addSkipped(client, rows);
        return markCommitted(client, rows, epoch.highest);
      });
      if (committed) done.push(...rows);
      return committed;
    } catch (error) {
      if (classify(error) !== 'poison') throw error;
      return commitSingly(rows, done, error);
    }
  }

  /** Commits each batch in a transaction of its own. If a single batch fails, its refused rows become dead letters. */
  async function commitSingly(rows: readonly BatchRows[], done: BatchRows[], error: unknown): Promise<boolean> {
    if (rows.length === 1) return commitRows([await withoutPoison(pool, rows[0] as BatchRows, error)], done);
    let allCommitted = true;
    for (const batch of rows) allCommitted = (await commitRows([batch], done)) && allCommitted;
    return allCommitted;
  }

  return { commit };
}

function summarize(rows: readonly BatchRows[]): Omit<Committed, 'repeated' | 'beyondSize'> {
  const skipped: Record<string, number> = {};
  const folded: Record<FoldReason, number> = { referrer: 0, 'user-agent': 0, version: 0 };
  for (const row of rows) {
    for (const [reason, lines] of Object.entries(row.skipped)) skipped[reason] = (skipped[reason] ?? 0) + lines;
    for (const reason of FOLD_REASONS) folded[reason] += row.folded[reason];
  }
  return {
    batches: rows.length,
    events: countEvents(rows),
    dead: rows.flatMap(({ dead }) => dead),
    skipped,
    folded,
  };
}
