import { ClickledgerError } from '../core/errors.ts';
import type { Batch, DeadLetter } from '../core/event.ts';
import { classify, type Pool } from '../core/postgres.ts';
import { NOTHING } from '../core/ranges.ts';
import type { Shard } from '../core/shards.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import { type BatchRows, layOut } from './copy-rows.ts';
import { addSkipped, copyEvents, copyMarks, eventsOf, insertAgents, insertDead } from './insert-rows.ts';
import { type LedgerEntry, markCommitted, readLedger, takeNew } from './ledger.ts';
import { withoutPoison } from './poison-rows.ts';
import { inTransaction } from './transaction.ts';

// One transaction for many batches: their events, dead letters and skipped counts, and the mark in the ledger that they are in. No lock
// is held while rows travel: everything that could wait for another worker comes after the COPY, in one order everywhere.

/** What became of a group of batches, all of which may now be acked. */
export interface Committed {
  batches: number;
  /** Batches that were in already. */
  repeated: number;
  events: number;
  dead: DeadLetter[];
  skipped: Record<string, number>;
  /** Batches beyond the recorded size of their generation: something wrote to a log that was final. */
  beyondSize: number;
}

export interface Committer {
  /**
   * Commits a group, or throws: then nothing of it may be acked. A row at fault is found and becomes a dead letter. Batches are asked for
   * one by one, and each is let go before the next: where they are decoded as they are asked for, only one is in memory at a time.
   */
  commit(batches: Iterable<Batch>): Promise<Committed>;
}

export function createCommitter(deps: {
  pool: Pool;
  shard: Shard;
  shardsFingerprint: string;
  slugs: SlugCodec;
  catalog: Catalog;
}): Committer {
  const { pool, shard, shardsFingerprint, slugs, catalog } = deps;

  async function commit(batches: Iterable<Batch>): Promise<Committed> {
    const ledger = new Map<string, LedgerEntry>();
    const read = async (gens: readonly string[]): Promise<void> => {
      const found = await readLedger(pool, shard, shardsFingerprint, gens);
      for (const gen of gens) ledger.set(gen, found.get(gen) ?? { committed: NOTHING, size: null });
    };
    const rows: BatchRows[] = [];
    let count = 0;
    for (const batch of batches) {
      count++;
      assertOurs(batch);
      if (!ledger.has(batch.gen)) await read([batch.gen]);
      // What is in already need not be laid out, and perhaps cannot be here.
      if (takeNew([batch], ledger).taken.length > 0) rows.push(await layOut(batch, { slugs, catalog }));
    }
    const done: BatchRows[] = [];
    for (;;) {
      const { taken, beyondSize } = takeNew(rows, ledger);
      if (await commitRows(taken, done)) return { ...summary(done), repeated: count - done.length, beyondSize };
      await read([...ledger.keys()]);
    }
  }

  function assertOurs(batch: Batch): void {
    if (batch.shard === shard.name && batch.shards === shardsFingerprint) return;
    throw new ClickledgerError(
      'bad-settings',
      `a batch is for shard ${batch.shard} of list ${batch.shards}, but this worker serves ${shard.name} of ${shardsFingerprint}: give the agent and the worker the same SHARDS`,
    );
  }

  /** Adds to `done` what is in. False: somebody else has committed some of it. */
  async function commitRows(rows: readonly BatchRows[], done: BatchRows[]): Promise<boolean> {
    if (rows.length === 0) return true;
    try {
      const good = await inTransaction(pool, async (client) => {
        await copyEvents(client, rows);
        await copyMarks(client, rows);
        await insertAgents(client, rows);
        await insertDead(client, rows);
        await addSkipped(client, rows);
        return markCommitted(client, rows);
      });
      if (good) done.push(...rows);
      return good;
    } catch (error) {
      if (classify(error) !== 'poison') throw error;
      return isolate(rows, done, error);
    }
  }

  /** Commits the batches one by one; from the one that fails, it leaves out the rows at fault. */
  async function isolate(rows: readonly BatchRows[], done: BatchRows[], error: unknown): Promise<boolean> {
    if (rows.length === 1) return commitRows([await withoutPoison(pool, rows[0] as BatchRows, error)], done);
    let all = true;
    for (const one of rows) all = (await commitRows([one], done)) && all;
    return all;
  }

  return { commit };
}

function summary(rows: readonly BatchRows[]): Omit<Committed, 'repeated' | 'beyondSize'> {
  const skipped: Record<string, number> = {};
  for (const row of rows) for (const [reason, lines] of Object.entries(row.skipped)) skipped[reason] = (skipped[reason] ?? 0) + lines;
  return {
    batches: rows.length,
    events: eventsOf(rows),
    dead: rows.flatMap(({ dead }) => dead),
    skipped,
  };
}
