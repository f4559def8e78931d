import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { ClickledgerError } from '../core/errors.ts';
import type { PoolClient } from '../core/postgres.ts';
import { type BatchRows, EVENT_COLUMNS } from './copy-rows.ts';
import { DELTA_COLUMNS, deltaRows } from './delta.ts';
import type { Hits } from './hits.ts';
import { SITE_COLUMNS } from './site-rows.ts';

// The statements of a commit, except the one for the ledger, in the order in which commit.ts runs them. Rows are sorted by key. So two
// workers that insert the same keys lock them in the same order and cannot deadlock.

/** COPYs the events of all batches. */
export async function copyEvents(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const lines = rows.map(({ events }) => events);
  await copyEventLines(client, lines, countHits(rows));
}

/** COPYs lines into `shard.event`. Throws `server-failed` unless Postgres stores exactly `expected` rows. */
export async function copyEventLines(client: PoolClient, lines: readonly Buffer[], expected: number): Promise<void> {
  await copy(client, `shard.event (${EVENT_COLUMNS}) FROM STDIN`, lines, expected);
}

/** COPYs the site events of all batches. */
export async function copySites(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const lines = rows.map(({ sites }) => sites);
  const count = rows.reduce((sum, { siteOffs }) => sum + siteOffs.length, 0);
  await copySiteLines(client, lines, count);
}

/** COPYs lines into `shard.site_event`. Throws `server-failed` unless Postgres stores exactly `expected` rows. */
export async function copySiteLines(client: PoolClient, lines: readonly Buffer[], expected: number): Promise<void> {
  await copy(client, `shard.site_event (${SITE_COLUMNS}) FROM STDIN`, lines, expected);
}

/** Appends the hits of all batches to the deltas. */
export async function copyDeltas(client: PoolClient, batches: readonly Hits[]): Promise<void> {
  const { rows, bytes } = deltaRows(batches);
  await copy(client, `shard.delta (${DELTA_COLUMNS}) FROM STDIN (FORMAT binary)`, [bytes], rows);
}

async function copy(client: PoolClient, target: string, chunks: readonly Buffer[], expected: number): Promise<void> {
  if (expected === 0) return;
  const stream = client.query(copyFrom(`COPY ${target}`));
  await pipeline(Readable.from(chunks), stream);
  // A line that ends the COPY early, such as `\.`, would drop the following lines, and the COPY would still succeed.
  if (stream.rowCount !== expected) throw new ClickledgerError('server-failed', `COPY stored ${stream.rowCount} of ${expected} rows`);
}

/** Inserts the user agents that the database does not have yet. */
export async function insertAgents(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const agents = new Map(rows.flatMap((row) => row.agents.map((agent) => [agent.id, agent])));
  if (agents.size === 0) return;
  const sorted = [...agents.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  await client.query(
    `INSERT INTO shard.user_agent (id, client, version, system, device)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS new (id, client, version, system, device)
     WHERE NOT EXISTS (SELECT FROM shard.user_agent existing WHERE existing.id = new.id) ON CONFLICT DO NOTHING`,
    [
      sorted.map((a) => a.id),
      sorted.map((a) => a.client),
      sorted.map((a) => a.version),
      sorted.map((a) => a.system),
      sorted.map((a) => a.device),
    ],
  );
}

/** Inserts the unsubscribes. */
export async function insertUnsubscribes(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
  const all = rows.flatMap(({ gen, unsubscribes }) => unsubscribes.map((one) => ({ gen, ...one })));
  if (all.length === 0) return;
  await client.query(
    `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id)
     SELECT to_timestamp(t / 1000), off, gen, rid, recipient, link, campaign
     FROM unnest($1::double precision[], $2::bigint[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[]) AS one (t, off, gen, rid, recipient, link, campaign)`,
    [
      all.map(({ t }) => t),
      all.map(({ off }) => off),
      all.map(({ gen }) => gen),
      all.map(({ rid }) => rid),
      all.map(({ recipient }) => recipient),
      all.map(({ link }) => link),
      all.map(({ campaign }) => campaign),
    ],
  );
}

/** Lists the visits by which a click may get the signal `visited`, for the judge. */
export async function insertNewVisits(client: PoolClient, rows: readonly Pick<BatchRows, 'visits'>[]): Promise<void> {
  const visits = rows.flatMap((row) => row.visits);
  if (visits.length === 0) return;
  await client.query(
    `INSERT INTO shard.new_visit (at, recipient_id, campaign_id)
     SELECT to_timestamp(t / 1000), recipient, campaign FROM unnest($1::double precision[], $2::bigint[], $3::bigint[]) AS one (t, recipient, campaign)`,
    [visits.map(({ t }) => t), visits.map(({ recipient }) => recipient), visits.map(({ campaign }) => campaign)],
  );
}

/** Inserts the dead letters. */
export async function insertDead(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
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

/** Adds the numbers of skipped lines to the counts by generation and reason. */
export async function addSkipped(client: PoolClient, rows: readonly BatchRows[]): Promise<void> {
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

/** The number of hits. */
const countHits = (rows: readonly BatchRows[]): number => rows.reduce((sum, { offs }) => sum + offs.length, 0);
/** The number of events: hits, unsubscribes and site events. */
export const countEvents = (rows: readonly BatchRows[]): number =>
  rows.reduce((sum, { unsubscribes, siteOffs }) => sum + unsubscribes.length + siteOffs.length, countHits(rows));
