import type { Pool } from '../core/postgres.ts';

// A subscription is delivered by one forwarder at a time: by the one that holds its lease. A pooler may be between the forwarder and Postgres, so the lease is
// a row with a time, and not an advisory lock of a session.

const LEASE_SECONDS = 20;
/** Without an extension for this time, the forwarder stops its deliveries, before another one may take the lease. */
export const GIVE_UP_MS = 15_000;

/** Takes or extends the leases of some subscriptions. Returns those that `holder` now holds. */
export async function takeLeases(catalog: Pool, holder: string, subscriptions: readonly number[]): Promise<Set<number>> {
  const { rows } = await catalog.query<{ id: number }>(
    `UPDATE catalog.subscription SET holder = $1, held_until = clock_timestamp() + $2 * interval '1 s'
     WHERE id = ANY ($3) AND (holder = $1 OR held_until IS NULL OR held_until < clock_timestamp()) RETURNING id`,
    [holder, LEASE_SECONDS, subscriptions],
  );
  return new Set(rows.map(({ id }) => id));
}

/** Gives leases back, so that another forwarder can take them at once. */
export async function releaseLeases(catalog: Pool, holder: string, subscriptions: readonly number[]): Promise<void> {
  await catalog.query('UPDATE catalog.subscription SET holder = NULL, held_until = NULL WHERE id = ANY ($1) AND holder = $2', [
    subscriptions,
    holder,
  ]);
}
