import type { Pool } from '../core/postgres.ts';
import type { Ranges } from '../core/ranges.ts';
import type { Verdict } from '../core/rules.ts';
import { ledgerFrom } from './due.ts';
import type { EventKind, Filter } from './filter.ts';

/** A subscription: which events a receiver gets. */
export interface Subscription {
  readonly id: number;
  /** Random; a receiver that keeps the ledger itself knows the subscription by it. */
  readonly identity: string;
  readonly name: string;
  /** The URL of the receiver, with its credentials. */
  readonly target: string;
  /** The secrets with which a webhook is signed, the newest first. */
  readonly secrets: readonly string[];
  readonly filter: Filter;
  /** The largest number of events in one delivery. */
  readonly batch: number;
  readonly withAddresses: boolean;
  readonly pausedAt: Date | null;
}

interface Row {
  id: number;
  identity: string;
  name: string;
  target: string;
  secrets: string[];
  kinds: EventKind[];
  campaigns: string[] | null;
  verdicts: Verdict[] | null;
  since: Date | null;
  wait_seconds: number;
  batch: number;
  with_addresses: boolean;
  paused_at: Date | null;
}

/** Reads all subscriptions, in the order of their names. */
export async function readSubscriptions(catalog: Pool): Promise<Subscription[]> {
  const { rows } = await catalog.query<Row>(
    'SELECT id, identity, name, target, secrets, kinds, campaigns, verdicts, since, wait_seconds, batch, with_addresses, paused_at FROM catalog.subscription ORDER BY name',
  );
  return rows.map((row) => ({
    id: row.id,
    identity: row.identity,
    name: row.name,
    target: row.target,
    secrets: row.secrets,
    filter: {
      kinds: row.kinds,
      campaigns: row.campaigns?.map(Number) ?? null,
      verdicts: row.verdicts,
      since: row.since,
      waitMs: row.wait_seconds * 1000,
    },
    batch: row.batch,
    withAddresses: row.with_addresses,
    pausedAt: row.paused_at,
  }));
}

/** The ranges of a shard before the start of a subscription, by generation. */
export async function readStart(catalog: Pool, subscription: number, shard: string): Promise<Map<string, Ranges>> {
  const { rows } = await catalog.query<{ gen: string; ranges: string }>(
    'SELECT gen, ranges::text AS ranges FROM catalog.subscription_start WHERE subscription_id = $1 AND shard = $2',
    [subscription, shard],
  );
  return ledgerFrom(rows.map(({ gen, ranges }) => [gen, ranges]));
}
