import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { ClickledgerError } from '../core/errors.ts';
import type { Batch, DeadLetter } from '../core/event.ts';
import { classify, type Pool, type PoolClient } from '../core/postgres.ts';
import { NOTHING } from '../core/ranges.ts';
import type { Shard } from '../core/shards.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import { type LedgerEntry, markCommitted, readLedger, takeNew } from './ledger.ts';
import { type BatchRows, COLUMNS, layOut, MARK_COLUMNS } from './copy-rows.ts';

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

  /** One row spoils a whole COPY: try the batches one by one, and in the one that fails find the rows. */
  async function isolate(rows: readonly BatchRows[], done: BatchRows[], error: unknown): Promise<boolean> {
    if (rows.length > 1) {
      let all = true;
      for (const one of rows) all = (await commitRows([one], done)) && all;
      return all;
    }
    const only = rows[0] as BatchRows;
    const events = linesOf(only.events);
    const bad = await findPoison(events);
    if (bad.size === 0)
      throw new ClickledgerError('server-failed', 'the database refuses a batch, though none of its rows', { cause: error });
    const rejected = only.offs.filter((_, i) => bad.has(i)).map((off): DeadLetter => ({ off, reason: 'rejected', length: 0, hash: '' }));
    const good = <T>(all: readonly T[]): T[] => all.filter((_, i) => !bad.has(i));
    const rest = {
      ...only,
      events: Buffer.concat(good(events)),
      marks: Buffer.concat(good(linesOf(only.marks))),
      offs: good(only.offs),
      dead: [...only.dead, ...rejected],
    };
    return commitRows([rest], done);
  }

  /** Which of some lines for COPY the database refuses, by halves, each tried in a transaction that is rolled back. */
  async function findPoison(lines: readonly Buffer[]): Promise<Set<number>> {
    const bad = new Set<number>();
    const search = async (from: number, to: number): Promise<void> => {
      if (from >= to || (await accepts(lines.slice(from, to)))) return;
      if (to - from === 1) {
        bad.add(from);
        return;
      }
      const middle = (from + to) >> 1;
      await search(from, middle);
      await search(middle, to);
    };
    await search(0, lines.length);
    return bad;
  }

  async function accepts(lines: readonly Buffer[]): Promise<boolean> {
    try {
      await inTransaction(pool, async (client) => {
        await copyLines(client, EVENTS, lines, lines.length);
        return false;
      });
      return true;
    } catch (error) {
      if (classify(error) === 'poison') return false;
      throw error;
    }
  }

  return { commit };
}

/** Commits where `work` returns true, rolls back where it returns false or throws. A connection that failed is not used again. */
async function inTransaction(pool: Pool, work: (client: PoolClient) => Promise<boolean>): Promise<boolean> {
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('BEGIN');
    const good = await work(client);
    await client.query(good ? 'COMMIT' : 'ROLLBACK');
    return good;
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    client.release(failure);
  }
}

const EVENTS = `shard.event (${COLUMNS})`;

async function copyEvents(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const lines = rows.map(({ events }) => events);
  await copyLines(client, EVENTS, lines, eventsOf(rows));
}

/** What the judge has to look at. */
async function copyMarks(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const lines = rows.map(({ marks }) => marks);
  await copyLines(client, `shard.mark (${MARK_COLUMNS})`, lines, eventsOf(rows));
}

async function copyLines(client: PoolClient, where: string, lines: readonly Buffer[], expected: number): Promise<void> {
  if (expected === 0) return;
  const copy = client.query(copyFrom(`COPY ${where} FROM STDIN`));
  await pipeline(Readable.from(lines), copy);
  // A line that ended the COPY early would drop the rest and still succeed.
  if (copy.rowCount !== expected) throw new ClickledgerError('server-failed', `COPY took ${copy.rowCount} of ${expected} rows`);
}

/** Each with its line feed: a line of COPY has no other. */
function linesOf(lines: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let from = 0; from < lines.length; ) {
    const to = lines.indexOf('\n', from) + 1;
    if (to === 0) throw new Error('a line for COPY has no end');
    found.push(lines.subarray(from, to));
    from = to;
  }
  return found;
}

async function insertAgents(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const agents = new Map(rows.flatMap((row) => row.agents.map((agent) => [agent.id, agent])));
  if (agents.size === 0) return;
  const sorted = [...agents.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  await client.query(
    `INSERT INTO shard.user_agent (id, client, version, system, device)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new (id, client, version, system, device)
     WHERE NOT EXISTS (SELECT FROM shard.user_agent known WHERE known.id = new.id) ON CONFLICT DO NOTHING`,
    [
      sorted.map((a) => a.id),
      sorted.map((a) => a.client),
      sorted.map((a) => a.version),
      sorted.map((a) => a.system),
      sorted.map((a) => a.device),
    ],
  );
}

async function insertDead(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const letters = rows.flatMap(({ gen, dead }) => dead.map((letter) => ({ gen, ...letter })));
  if (letters.length === 0) return;
  await client.query(
    'INSERT INTO shard.dead_letter (gen, off, reason, length, hash) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])',
    [
      letters.map((l) => l.gen),
      letters.map((l) => l.off),
      letters.map((l) => l.reason),
      letters.map((l) => l.length),
      letters.map((l) => l.hash),
    ],
  );
}

async function addSkipped(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const counts = new Map<string, { gen: string; reason: string; lines: number }>();
  for (const { gen, skipped } of rows) {
    for (const [reason, lines] of Object.entries(skipped)) {
      const key = `${gen} ${reason}`;
      counts.set(key, { gen, reason, lines: (counts.get(key)?.lines ?? 0) + lines });
    }
  }
  if (counts.size === 0) return;
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
  await client.query(
    `INSERT INTO shard.skipped AS s (gen, reason, lines) SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[])
     ON CONFLICT (gen, reason) DO UPDATE SET lines = s.lines + excluded.lines`,
    [sorted.map((c) => c.gen), sorted.map((c) => c.reason), sorted.map((c) => c.lines)],
  );
}

const eventsOf = (rows: readonly BatchRows[]): number => rows.reduce((sum, { offs }) => sum + offs.length, 0);

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
