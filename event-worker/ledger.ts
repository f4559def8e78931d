import { ClickledgerError } from '../core/errors.ts';
import type { Pool, PoolClient } from '../core/postgres.ts';
import { formatMultirange, NOTHING, parseMultirange, type Ranges, touches, union } from '../core/ranges.ts';
import type { Shard } from '../core/shards.ts';

/** What the ledger has of a generation. */
export interface LedgerEntry {
  committed: Ranges;
  size: number | null;
}

const READ = `
  SELECT i.name, i.shards, replace(l.gen::text, '-', '') AS gen, l.committed::text AS committed, l.size
  FROM shard.identity i LEFT JOIN shard.ledger l ON l.gen = ANY($1::uuid[])`;

/** Reads the ledger of some generations; what it has none of is not in the answer. Throws `wrong-database` where this is not the shard it should be. */
export async function readLedger(
  database: Pool | PoolClient,
  shard: Shard,
  shardsFingerprint: string,
  gens: readonly string[],
): Promise<Map<string, LedgerEntry>> {
  const found = await database.query<{ name: string; shards: string; gen: string | null; committed: string; size: number | null }>(READ, [
    gens,
  ]);
  const identity = found.rows[0];
  if (identity?.name !== shard.name || identity.shards !== shardsFingerprint) {
    throw new ClickledgerError(
      'wrong-database',
      `the database for shard ${shard.name} is ${identity ? `shard ${identity.name} of list ${identity.shards}` : 'no shard'}; SHARDS has list ${shardsFingerprint}`,
    );
  }
  return new Map(
    found.rows.flatMap(({ gen, committed, size }) => (gen === null ? [] : [[gen, { committed: parseMultirange(committed), size }]])),
  );
}

/** Which bytes of which generation are accounted for, as a batch says; `size` is how long it is, once it is final. */
export interface Stretch {
  readonly gen: string;
  readonly from: number;
  readonly to: number;
  readonly size?: number | undefined;
}

/** Which stretches are new: none that touches a committed byte, or one that another stretch of this transaction has. */
export function takeNew<Of extends Stretch>(
  stretches: readonly Of[],
  ledger: ReadonlyMap<string, LedgerEntry>,
): { taken: Of[]; beyondSize: number } {
  const seen = new Map<string, Ranges>();
  const taken: Of[] = [];
  let beyondSize = 0;
  for (const stretch of stretches) {
    const { gen, from, to } = stretch;
    const entry = ledger.get(gen);
    const ranges = seen.get(gen) ?? entry?.committed ?? NOTHING;
    if (touches(ranges, from, to)) continue;
    if (entry && entry.size !== null && to > entry.size) beyondSize++;
    seen.set(gen, union(ranges, [[from, to]]));
    taken.push(stretch);
  }
  return { taken, beyondSize };
}

// The guard of everything: it only holds where no byte of the new ranges has been committed meanwhile.
const MARK = `
  INSERT INTO shard.ledger AS l (gen, committed, size)
  SELECT gen, committed, size FROM unnest($1::uuid[], $2::int8multirange[], $3::bigint[]) AS new (gen, committed, size) ORDER BY gen
  ON CONFLICT (gen) DO UPDATE
    SET committed = l.committed + excluded.committed, size = greatest(l.size, excluded.size), last_at = now()
    WHERE NOT l.committed && excluded.committed`;

/**
 * Marks stretches as committed: the last statement of their transaction, because it takes locks. False: another
 * worker was faster with some of it, and everything has to be rolled back and judged again.
 */
export async function markCommitted(client: PoolClient, stretches: readonly Stretch[]): Promise<boolean> {
  const gens = new Map<string, { ranges: Ranges; size: number | null }>();
  for (const { gen, from, to, size } of stretches) {
    const entry = gens.get(gen) ?? { ranges: NOTHING, size: null };
    gens.set(gen, { ranges: union(entry.ranges, [[from, to]]), size: size === undefined ? entry.size : Math.max(size, entry.size ?? 0) });
  }
  const sorted = [...gens].sort(([a], [b]) => (a < b ? -1 : 1));
  const result = await client.query(MARK, [
    sorted.map(([gen]) => gen),
    sorted.map(([, { ranges }]) => formatMultirange(ranges)),
    sorted.map(([, { size }]) => size),
  ]);
  return result.rowCount === sorted.length;
}
