import type { Pool } from '../core/postgres.ts';
import type { DeliveryState, StateReport } from './delivery-state.ts';

/** Reads what was last reported of a subscription, by shard. */
export async function readReports(
  catalog: Pool,
  subscription: number,
): Promise<Map<string, Pick<StateReport, 'delivered' | 'succeededAt' | 'failingSince' | 'lastError'>>> {
  const { rows } = await catalog.query<{
    shard: string;
    delivered: number;
    succeeded_at: Date | null;
    failing_since: Date | null;
    last_error: string | null;
  }>('SELECT shard, delivered, succeeded_at, failing_since, last_error FROM catalog.subscription_report WHERE subscription_id = $1', [
    subscription,
  ]);
  return new Map(
    rows.map((row) => [
      row.shard,
      { delivered: row.delivered, succeededAt: row.succeeded_at, failingSince: row.failing_since, lastError: row.last_error },
    ]),
  );
}

/** Writes the present reports. A subscription that was removed meanwhile is left out. */
export async function writeReports(catalog: Pool, states: readonly DeliveryState[]): Promise<void> {
  if (states.length === 0) return;
  const rows = states.map((state) => ({ ...state.report(), id: state.subscriptionId, shard: state.shard }));
  await catalog.query(
    `INSERT INTO catalog.subscription_report AS r (subscription_id, shard, reported_at, delivered, due_bytes, lag_seconds, succeeded_at, failing_since, last_error)
     SELECT new.id, new.shard, now(), new.delivered, new."dueBytes", new."lagSeconds", new."succeededAt", new."failingSince", new."lastError"
     FROM jsonb_to_recordset($1::jsonb) AS new (id bigint, shard text, delivered bigint, "dueBytes" bigint, "lagSeconds" double precision,
                                                "succeededAt" timestamptz, "failingSince" timestamptz, "lastError" text)
     JOIN catalog.subscription s ON s.id = new.id
     ON CONFLICT (subscription_id, shard) DO UPDATE SET reported_at = excluded.reported_at, delivered = excluded.delivered, due_bytes = excluded.due_bytes,
       lag_seconds = excluded.lag_seconds, succeeded_at = excluded.succeeded_at, failing_since = excluded.failing_since, last_error = excluded.last_error`,
    [JSON.stringify(rows)],
  );
}
