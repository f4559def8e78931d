import { ClickledgerError } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';
import { formatMultirange, NO_RANGES, parseMultirange, type Ranges, touches, union } from '../core/ranges.ts';
import type { Shard } from '../core/shards.ts';

// The ledger of a shard records which bytes of which generation are committed. Because of the ledger, every hit is counted exactly once.

/**
 * The ledger of one generation: the committed ranges, and the length of the generation in bytes. The length is null until the generation is
 * final.
 */
export interface LedgerEntry {
  committed: Ranges;
  size: number | null;
}

// shard.enter raises FORMER_PRIMARY if this database is a former primary of the shard.
const READ_LEDGER = `
  SELECT i.name, i.shards, own.epoch, replace(l.gen::text, '-', '') AS gen, l.committed::text AS committed, l.size
  FROM shard.enter($2) AS own (epoch) CROSS JOIN shard.identity i LEFT JOIN shard.ledger l ON l.gen = ANY($1::uuid[])`;

/**
 * Reads the epoch of the database and the ledger of these generations. The result does not contain a generation of which the shard has
 * committed nothing. Throws `wrong-database` if the database does not belong to this shard of this shard list, and FORMER_PRIMARY if its
 * epoch is below `knownEpoch`.
 */
export async function readLedger(
  database: Pool | PoolClient,
  shard: Shard,
  shardsFingerprint: string,
  gens: readonly string[],
  knownEpoch: number,
): Promise<{ epoch: number; ledger: Map<string, LedgerEntry> }> {
  const result = await database.query<{
    name: string;
    shards: string;
    epoch: number;
    gen: string | null;
    committed: string;
    size: number | null;
  }>(READ_LEDGER, [gens, knownEpoch]);
  const identity = result.rows[0];
  if (identity?.name !== shard.name || identity.shards !== shardsFingerprint) {
    throw new ClickledgerError(
      'wrong-database',
      `the database of shard ${shard.name} in SHARDS (list ${shardsFingerprint}) is ${identity ? `shard ${identity.name} of the list ${identity.shards}` : 'not a shard'}. Correct the URL, name and bounds in SHARDS.`,
    );
  }
  const ledger = new Map(
    result.rows.flatMap(({ gen, committed, size }) => (gen === null ? [] : [[gen, { committed: parseMultirange(committed), size }]])),
  );
  return { epoch: identity.epoch, ledger };
}

/** The range of a generation that a batch accounts for. `size` is the length of the generation in bytes, if it is final. */
export interface GenerationRange {
  readonly gen: string;
  readonly from: number;
  readonly to: number;
  readonly size?: number | undefined;
}

/**
 * Selects the ranges that contain no committed byte and do not overlap a range that was selected before. `beyondSize` is the number of
 * selected ranges that end after the recorded size of their generation.
 */
export function selectNew<T extends GenerationRange>(
  candidates: readonly T[],
  ledger: ReadonlyMap<string, LedgerEntry>,
): { selected: T[]; beyondSize: number } {
  const seen = new Map<string, Ranges>();
  const selected: T[] = [];
  let beyondSize = 0;
  for (const candidate of candidates) {
    const { gen, from, to } = candidate;
    const entry = ledger.get(gen);
    const ranges = seen.get(gen) ?? entry?.committed ?? NO_RANGES;
    if (touches(ranges, from, to)) continue;
    if (entry && entry.size !== null && to > entry.size) beyondSize++;
    seen.set(gen, union(ranges, [[from, to]]));
    selected.push(candidate);
  }
  return { selected, beyondSize };
}

// This statement guarantees that no byte is committed twice. It changes the row of a generation only if no byte of the new ranges was
// committed in the meantime. shard.enter raises FORMER_PRIMARY if this database is a former primary of the shard.
const ADD_RANGES = `
  INSERT INTO shard.ledger AS l (gen, committed, size)
  SELECT gen, committed, size
  FROM shard.enter($4) CROSS JOIN unnest($1::uuid[], $2::int8multirange[], $3::bigint[]) AS new (gen, committed, size) ORDER BY gen
  ON CONFLICT (gen) DO UPDATE
    SET committed = l.committed + excluded.committed, size = greatest(l.size, excluded.size), last_at = now()
    WHERE NOT l.committed && excluded.committed`;

/**
 * Records ranges as committed. This must be the last statement of the transaction, because it locks the rows of the ledger until the end of
 * the transaction. Returns false if another worker has committed some of the ranges in the meantime. Then the caller must roll back the
 * transaction and read the ledger again. Throws FORMER_PRIMARY if the epoch of the database is below `knownEpoch`.
 */
export async function markCommitted(client: PoolClient, added: readonly GenerationRange[], knownEpoch: number): Promise<boolean> {
  const gens = new Map<string, { ranges: Ranges; size: number | null }>();
  for (const { gen, from, to, size } of added) {
    const entry = gens.get(gen) ?? { ranges: NO_RANGES, size: null };
    gens.set(gen, { ranges: union(entry.ranges, [[from, to]]), size: size === undefined ? entry.size : Math.max(size, entry.size ?? 0) });
  }
  const sorted = [...gens].sort(([a], [b]) => (a < b ? -1 : 1));
  const result = await client.query(ADD_RANGES, [
    sorted.map(([gen]) => gen),
    sorted.map(([, { ranges }]) => formatMultirange(ranges)),
    sorted.map(([, { size }]) => size),
    knownEpoch,
  ]);
  return result.rowCount === sorted.length;
}
