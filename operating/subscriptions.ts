import { randomBytes } from 'node:crypto';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { createPool, type Pool, transaction } from '../core/postgres.ts';
import { formatMultirange } from '../core/ranges.ts';
import { type ShardMap, shardUrl } from '../core/shards.ts';
import { type Ledger, ledgerFrom } from '../feed/due.ts';
import type { Filter } from '../feed/filter.ts';
import { parseNatsTarget } from '../feed/nats-target.ts';
import { readSubscriptions, type Subscription } from '../feed/subscription.ts';

// Adds, lists and changes subscriptions. All functions need the owner of the catalog, because the rows have the secrets of receivers.

const UNIQUE_VIOLATION = '23505';
const SECRET = /^whsec_[0-9A-Za-z+/]{32,}={0,2}$/;

/** Where a subscription begins: with what is counted from now on, with hits from a time on, or with everything that is stored. */
export type Beginning = 'now' | 'everything' | Date;

export interface NewSubscription {
  readonly name: string;
  readonly target: string;
  readonly filter: Filter;
  readonly beginning: Beginning;
  readonly batch: number;
  readonly withAddresses: boolean;
  /** The secret of a webhook. Undefined: a new one. */
  readonly secret: string | undefined;
}

/** Where a subscription begins in one shard. */
interface ShardStart {
  readonly shard: string;
  readonly before: Ledger;
  readonly change: { readonly id: number; readonly changedAt: string };
}

/**
 * Adds a subscription, and returns the secret of a webhook. Throws `conflict` if the name is taken, and `bad-input` for a name, target or secret that
 * cannot be used.
 */
export async function addSubscription(
  catalog: Pool,
  shards: ShardMap,
  ownerUrl: string,
  wanted: NewSubscription,
): Promise<{ id: number; secret: string | undefined }> {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(wanted.name))
    throw new ClickledgerError('bad-input', `'${wanted.name}' is not a name: use 1 to 63 characters of a-z, 0-9 and -, the first a letter`);
  const protocol = protocolOf(wanted.target);
  const isWebhook = /^https?:$/.test(protocol);
  if (/^(nats|tls):$/.test(protocol)) parseNatsTarget(wanted.target);
  if (!isWebhook && wanted.secret !== undefined) throw new ClickledgerError('bad-input', 'only a webhook has a secret: leave out --secret');
  if (wanted.secret !== undefined && !SECRET.test(wanted.secret))
    throw new ClickledgerError('bad-input', 'the secret is not valid: use whsec_ followed by at least 24 bytes in base64');
  const secret = isWebhook ? (wanted.secret ?? newSecret()) : undefined;
  // The shards are read before the subscription exists. What is committed in between is delivered.
  const starts = await Promise.all(shards.list.map((shard) => readShardStart(shardUrl(shard, ownerUrl), shard.name, wanted.beginning)));
  try {
    return await transaction(catalog, async (client) => {
      const { filter } = wanted;
      const { rows } = await client.query<{ id: number }>(
        `INSERT INTO catalog.subscription (name, target, secrets, kinds, campaigns, verdicts, since, wait_seconds, batch, with_addresses)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id`,
        [
          wanted.name,
          wanted.target,
          secret === undefined ? [] : [secret],
          filter.kinds,
          filter.campaigns,
          filter.verdicts,
          filter.since,
          Math.round(filter.waitMs / 1000),
          wanted.batch,
          wanted.withAddresses,
        ],
      );
      const { id } = rows[0] as { id: number };
      for (const { shard, before, change } of starts) {
        await client.query(
          'INSERT INTO catalog.subscription_start (subscription_id, shard, gen, ranges) SELECT $1, $2, * FROM unnest($3::uuid[], $4::int8multirange[])',
          [id, shard, [...before.keys()], Array.from(before.values(), formatMultirange)],
        );
        await client.query('INSERT INTO catalog.delivered_change (subscription_id, shard, change_id, changed_at) VALUES ($1, $2, $3, $4)', [
          id,
          shard,
          change.id,
          change.changedAt,
        ]);
      }
      return { id, secret };
    });
  } catch (error) {
    if (codeOf(error) !== UNIQUE_VIOLATION) throw error;
    throw new ClickledgerError('conflict', `there is already a subscription '${wanted.name}': choose another name`, { cause: error });
  }
}

/** Returns the protocol of a target. Throws `bad-input` if the target is none. */
function protocolOf(target: string): string {
  const protocol = URL.canParse(target) ? new URL(target).protocol : '';
  if (!['http:', 'https:', 'postgres:', 'postgresql:', 'nats:', 'tls:'].includes(protocol))
    throw new ClickledgerError(
      'bad-input',
      'the target must be a URL: https:// for a webhook, postgres:// for tables of another Postgres, nats:// or tls:// for a stream of NATS',
    );
  return protocol;
}

const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

async function readShardStart(url: string, shard: string, beginning: Beginning): Promise<ShardStart> {
  const pool = createPool(url, { max: 1, name: 'cli' });
  try {
    // One statement, so that the ledger and the changes are of the same moment.
    const { rows } = await pool.query<{ gen: string | null; committed: string | null; id: number; changed_at: string }>(
      `SELECT l.gen, l.committed::text AS committed, c.id, c.changed_at::text AS changed_at
       FROM shard.last_change() AS c LEFT JOIN shard.ledger l ON l.last_at < $1`,
      [beginning === 'now' ? 'infinity' : beginning === 'everything' ? '-infinity' : beginning],
    );
    const { id, changed_at } = rows[0] as (typeof rows)[number];
    return {
      shard,
      before: ledgerFrom(rows.map(({ gen, committed }) => [gen, committed])),
      change: { id, changedAt: changed_at },
    };
  } finally {
    await pool.end();
  }
}

/** The state of the deliveries of a subscription. Times are null if unknown. */
export interface SubscriptionStatus {
  readonly subscription: Subscription;
  readonly pauseReason: string | null;
  /** Whether a forwarder delivers it at the moment. */
  readonly isHeld: boolean;
  /** When a forwarder last reported. Null: never. */
  readonly reportedAt: Date | null;
  readonly delivered: number;
  readonly dueBytes: number;
  readonly lagSeconds: number;
  readonly succeededAt: Date | null;
  readonly failingSince: Date | null;
  readonly lastError: string | null;
}

/** Returns all subscriptions, by name, with what the forwarder last reported. */
export async function readSubscriptionStatus(catalog: Pool): Promise<SubscriptionStatus[]> {
  const subscriptions = await readSubscriptions(catalog);
  const { rows } = await catalog.query<Omit<SubscriptionStatus, 'subscription'> & { id: number }>(
    `SELECT s.id, s.pause_reason AS "pauseReason", coalesce(s.held_until > clock_timestamp(), false) AS "isHeld", max(r.reported_at) AS "reportedAt",
            coalesce(sum(r.delivered), 0)::bigint AS delivered, coalesce(sum(r.due_bytes), 0)::bigint AS "dueBytes", coalesce(max(r.lag_seconds), 0) AS "lagSeconds",
            max(r.succeeded_at) AS "succeededAt", min(r.failing_since) AS "failingSince", max(r.last_error) AS "lastError"
     FROM catalog.subscription s LEFT JOIN catalog.subscription_report r ON r.subscription_id = s.id GROUP BY s.id`,
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  return subscriptions.flatMap((subscription) => {
    const row = byId.get(subscription.id);
    return row === undefined ? [] : [{ ...row, subscription }];
  });
}

/** Returns the subscription with a name. Throws `not-found`. */
export async function findSubscription(catalog: Pool, name: string): Promise<Subscription> {
  const found = (await readSubscriptions(catalog)).find((subscription) => subscription.name === name);
  if (found === undefined)
    throw new ClickledgerError('not-found', `there is no subscription '${name}'. \`clickledger subscription list\` lists them.`);
  return found;
}

/** Stops the deliveries until `resumeSubscription`. What is due stays due. */
export async function pauseSubscription(catalog: Pool, name: string): Promise<void> {
  const { id } = await findSubscription(catalog, name);
  await catalog.query(`UPDATE catalog.subscription SET paused_at = now(), pause_reason = 'by hand' WHERE id = $1 AND paused_at IS NULL`, [
    id,
  ]);
}

/** Continues the deliveries where they stopped, and forgets earlier failures. */
export async function resumeSubscription(catalog: Pool, name: string): Promise<void> {
  const { id } = await findSubscription(catalog, name);
  await transaction(catalog, async (client) => {
    await client.query('UPDATE catalog.subscription_report SET failing_since = NULL, last_error = NULL WHERE subscription_id = $1', [id]);
    await client.query('UPDATE catalog.subscription SET paused_at = NULL, pause_reason = NULL WHERE id = $1', [id]);
  });
}

/** Removes a subscription and its ledger. */
export async function removeSubscription(catalog: Pool, name: string): Promise<void> {
  const { id } = await findSubscription(catalog, name);
  await catalog.query('DELETE FROM catalog.subscription WHERE id = $1', [id]);
}

/** Adds a new secret of a webhook and returns it. Deliveries are signed with it and with the one before, until the next rotation. */
export async function rotateSecret(catalog: Pool, name: string): Promise<string> {
  const { id, secrets } = await findSubscription(catalog, name);
  if (secrets.length === 0) throw new ClickledgerError('bad-input', `'${name}' is not a webhook, so it has no secret`);
  const secret = newSecret();
  await catalog.query('UPDATE catalog.subscription SET secrets = $2 WHERE id = $1', [id, [secret, ...secrets.slice(0, 1)]]);
  return secret;
}
