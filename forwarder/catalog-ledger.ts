import { type Pool, type PoolClient, transaction } from '../core/postgres.ts';
import { formatMultirange } from '../core/ranges.ts';
import { type ChangePosition, NO_CHANGES } from '../feed/read-events.ts';
import { byGeneration, ledgerFrom } from '../feed/due.ts';
import type { Slice } from '../feed/slices.ts';
import { type Delivered, DeliveryError } from './receiver.ts';

// The ledger of a receiver that cannot keep one itself, in the catalog.

export async function readDelivered(catalog: Pool, subscription: number, shard: string): Promise<Delivered> {
  const { rows } = await catalog.query<{ gen: string; ranges: string }>(
    'SELECT gen, ranges::text AS ranges FROM catalog.delivered WHERE subscription_id = $1 AND shard = $2',
    [subscription, shard],
  );
  const attempt = await catalog.query<{ gen: string; ranges: string }>(
    'SELECT a.gen, a.ranges::text AS ranges FROM catalog.delivery_attempt d CROSS JOIN LATERAL unnest(d.gens, d.ranges) AS a (gen, ranges) WHERE subscription_id = $1 AND shard = $2',
    [subscription, shard],
  );
  return {
    ledger: ledgerFrom(rows.map(({ gen, ranges }) => [gen, ranges])),
    attempted: ledgerFrom(attempt.rows.map(({ gen, ranges }) => [gen, ranges])),
    position: await readPosition(catalog, subscription, shard),
  };
}

/** The position at which a subscription began, or that was reached since then. */
export async function readPosition(catalog: Pool, subscription: number, shard: string): Promise<ChangePosition> {
  const { rows } = await catalog.query<{ id: number; changedAt: string }>(
    'SELECT change_id AS id, changed_at::text AS "changedAt" FROM catalog.delivered_change WHERE subscription_id = $1 AND shard = $2',
    [subscription, shard],
  );
  return rows[0] ?? NO_CHANGES;
}

/**
 * Records that the delivery of a slice begins, in place of the attempt before. It has to survive the death of the forwarder, but not that of Postgres.
 * Throws a `conflict` if `holder` does not hold the subscription any more: the events that it read may have other verdicts since then.
 */
export async function recordAttempt(catalog: Pool, subscription: number, holder: string, shard: string, slice: Slice): Promise<void> {
  const gens = byGeneration(slice.ranges);
  await transaction(catalog, async (client) => {
    await client.query('SET LOCAL synchronous_commit = off');
    await assertHeld(client, subscription, holder);
    await client.query(
      `INSERT INTO catalog.delivery_attempt AS d (subscription_id, shard, gens, ranges) VALUES ($1, $2, $3, $4::text[]::int8multirange[])
       ON CONFLICT (subscription_id, shard) DO UPDATE SET gens = excluded.gens, ranges = excluded.ranges`,
      [subscription, shard, gens.map(([gen]) => gen), gens.map(([, ranges]) => formatMultirange(ranges))],
    );
  });
}

/** Adds the ranges of a delivered slice. Throws a `conflict` if `holder` does not hold the subscription any more. */
export async function recordDelivered(catalog: Pool, subscription: number, holder: string, shard: string, slice: Slice): Promise<void> {
  const gens = byGeneration(slice.ranges);
  await transaction(catalog, async (client) => {
    await assertHeld(client, subscription, holder);
    await client.query(
      `INSERT INTO catalog.delivered AS d (subscription_id, shard, gen, ranges)
       SELECT $1, $2, gen, ranges FROM unnest($3::uuid[], $4::int8multirange[]) AS new (gen, ranges)
       ON CONFLICT (subscription_id, shard, gen) DO UPDATE SET ranges = d.ranges + excluded.ranges`,
      [subscription, shard, gens.map(([gen]) => gen), gens.map(([, ranges]) => formatMultirange(ranges))],
    );
    if (slice.position)
      await client.query(
        `INSERT INTO catalog.delivered_change AS d (subscription_id, shard, change_id, changed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (subscription_id, shard) DO UPDATE SET change_id = excluded.change_id, changed_at = excluded.changed_at`,
        [subscription, shard, slice.position.id, slice.position.changedAt],
      );
  });
}

/** Nobody else can take the subscription until the transaction ends. */
async function assertHeld(client: PoolClient, subscription: number, holder: string): Promise<void> {
  const held = await client.query('SELECT FROM catalog.subscription WHERE id = $1 AND holder = $2 FOR SHARE', [subscription, holder]);
  if (held.rowCount === 0) throw new DeliveryError('conflict', 'another forwarder delivers this subscription now');
}
