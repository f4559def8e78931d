import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { ClickledgerError } from '../core/errors.ts';
import type { Batch, DeadLetter } from '../core/event.ts';
import { classify, type Pool, type PoolClient } from '../core/postgres.ts';
import type { Shard } from '../core/shards.ts';
import type { SlugCodec } from '../core/slug.ts';
import type { Catalog } from './catalog.ts';
import { markCommitted, readLedger, takeNew } from './ledger.ts';
import { type BatchRows, COLUMNS, layOutRows, MARK_COLUMNS } from './rows.ts';

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
  /** Commits a group, or throws: then nothing of it may be acked. A row at fault is found and becomes a dead letter. */
  commit(batches: readonly Batch[]): Promise<Committed>;
}

export function createCommitter(deps: {
  pool: Pool;
  shard: Shard;
  shardsFingerprint: string;
  slugs: SlugCodec;
  catalog: Catalog;
}): Committer {
  const { pool, shard, shardsFingerprint, slugs, catalog } = deps;

  async function commit(batches: readonly Batch[]): Promise<Committed> {
    const stray = batches.find((batch) => batch.shard !== shard.name || batch.shards !== shardsFingerprint);
    if (stray) {
      throw new ClickledgerError(
        'bad-settings',
        `a batch is for shard ${stray.shard} of list ${stray.shards}, but this worker serves ${shard.name} of ${shardsFingerprint}: give the agent and the worker the same SHARDS`,
      );
    }
    for (;;) {
      const ledger = await readLedger(pool, shard, shardsFingerprint, [...new Set(batches.map(({ gen }) => gen))]);
      const { taken, beyondSize } = takeNew(batches, ledger);
      const rows = await layOutRows(taken, { slugs, catalog });
      const done = await commitRows(rows);
      if (done) return { ...summary(rows), repeated: batches.length - taken.length, beyondSize };
    }
  }

  /** False: somebody else has committed some of it. */
  async function commitRows(rows: readonly BatchRows[]): Promise<boolean> {
    if (rows.length === 0) return true;
    try {
      return await inTransaction(pool, async (client) => {
        await copyEvents(client, rows);
        await copyMarks(client, rows);
        await insertAgents(client, rows);
        await insertDead(client, rows);
        await addSkipped(client, rows);
        return markCommitted(
          client,
          rows.map(({ batch }) => batch),
        );
      });
    } catch (error) {
      if (classify(error) !== 'poison') throw error;
      return isolate(rows, error);
    }
  }

  /** One row spoils a whole COPY: try the batches one by one, and in the one that fails find the rows. */
  async function isolate(rows: readonly BatchRows[], error: unknown): Promise<boolean> {
    if (rows.length > 1) {
      let all = true;
      for (const one of rows) all = (await commitRows([one])) && all;
      return all;
    }
    const only = rows[0] as BatchRows;
    const bad = await findPoison(only);
    if (bad.size === 0)
      throw new ClickledgerError('server-failed', 'the database refuses a batch, though none of its rows', { cause: error });
    const rejected = only.offs.filter((_, i) => bad.has(i)).map((off): DeadLetter => ({ off, reason: 'rejected', length: 0, hash: '' }));
    Object.assign(only, {
      lines: only.lines.filter((_, i) => !bad.has(i)),
      marks: only.marks.filter((_, i) => !bad.has(i)),
      offs: only.offs.filter((_, i) => !bad.has(i)),
      dead: [...only.dead, ...rejected],
    });
    return commitRows([only]);
  }

  /** Indexes of the rows that the database refuses, by halves, each tried in a transaction that is rolled back. */
  async function findPoison(rows: BatchRows): Promise<Set<number>> {
    const bad = new Set<number>();
    const search = async (from: number, to: number): Promise<void> => {
      if (from >= to || (await accepts({ ...rows, lines: rows.lines.slice(from, to) }))) return;
      if (to - from === 1) {
        bad.add(from);
        return;
      }
      const middle = (from + to) >> 1;
      await search(from, middle);
      await search(middle, to);
    };
    await search(0, rows.lines.length);
    return bad;
  }

  async function accepts(rows: BatchRows): Promise<boolean> {
    try {
      await inTransaction(pool, async (client) => {
        await copyEvents(client, [rows]);
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

async function copyEvents(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  await copyLines(
    client,
    `shard.event (${COLUMNS})`,
    rows.map(({ lines }) => lines),
  );
}

/** What the judge has to look at. */
async function copyMarks(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  await copyLines(
    client,
    `shard.mark (${MARK_COLUMNS})`,
    rows.map(({ marks }) => marks),
  );
}

async function copyLines(client: PoolClient, where: string, groups: readonly (readonly string[])[]): Promise<void> {
  const expected = groups.reduce((sum, lines) => sum + lines.length, 0);
  if (expected === 0) return;
  const copy = client.query(copyFrom(`COPY ${where} FROM STDIN`));
  await pipeline(Readable.from(groups.map((lines) => Buffer.from(lines.join('')))), copy);
  // A line that ended the COPY early would drop the rest and still succeed.
  if (copy.rowCount !== expected) throw new ClickledgerError('server-failed', `COPY took ${copy.rowCount} of ${expected} rows`);
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
  const letters = rows.flatMap(({ batch, dead }) => dead.map((letter) => ({ gen: batch.gen, ...letter })));
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
  for (const { batch, skipped } of rows) {
    for (const [reason, lines] of Object.entries(skipped)) {
      const key = `${batch.gen} ${reason}`;
      counts.set(key, { gen: batch.gen, reason, lines: (counts.get(key)?.lines ?? 0) + lines });
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

function summary(rows: readonly BatchRows[]): Omit<Committed, 'repeated' | 'beyondSize'> {
  const skipped: Record<string, number> = {};
  for (const row of rows) for (const [reason, lines] of Object.entries(row.skipped)) skipped[reason] = (skipped[reason] ?? 0) + lines;
  return {
    batches: rows.length,
    events: rows.reduce((sum, { lines }) => sum + lines.length, 0),
    dead: rows.flatMap(({ dead }) => dead),
    skipped,
  };
}
