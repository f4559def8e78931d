import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import { parseAddressRanges } from '../../core/address-ranges.ts';
import { createLogger } from '../../core/log.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { EVENT_KINDS, type Filter } from '../../feed/filter.ts';
import { createShardFeed } from '../../feed/shard-feed.ts';
import type { Subscription } from '../../feed/subscription.ts';
import type { Times } from '../../forwarder/deliver-shard.ts';
import { createForwarderMetrics } from '../../forwarder/metrics.ts';
import { createSubscriptions, type Subscriptions } from '../../forwarder/subscriptions.ts';
import { addSubscription, findSubscription } from '../../operating/subscriptions.ts';
import type { Databases } from './databases.ts';

// Subscriptions and forwarders in the process of a test, with real databases.

export const LOOPBACK = parseAddressRanges('127.0.0.0/8');
const SHORT_TIMES: Times = { collect: 15, readAgain: 200, firstRetry: 10, giveUp: 600_000 };
export const EVERYTHING: Filter = { kinds: EVENT_KINDS, campaigns: null, verdicts: null, since: null, waitMs: 0 };

/** Creates a pool that is closed after the test. */
export function ownPool(url: string, max = 4): Pool {
  const pool = createPool(url, { max, name: 'test' });
  onTestFinished(() => pool.end());
  return pool;
}

/** Adds a subscription of everything that is stored, with the changes. */
export async function subscribe(
  databases: Databases,
  target: string,
  changes: { name?: string; filter?: Partial<Filter>; batch?: number; beginning?: 'now' | 'everything' | Date } = {},
): Promise<Subscription> {
  const owner = ownPool(databases.ownerUrl, 2);
  const name = changes.name ?? `s${randomUUID().replaceAll('-', '')}`;
  await addSubscription(owner, databases.shards, databases.ownerUrl, {
    name,
    target,
    filter: { ...EVERYTHING, ...changes.filter },
    beginning: changes.beginning ?? 'everything',
    batch: changes.batch ?? 500,
    withAddresses: false,
    secret: undefined,
  });
  return findSubscription(owner, name);
}

/** Starts a forwarder. `stop` ends it, at the latest after the test. */
export function startForwarder(
  databases: Databases,
  times: Partial<Times> = {},
): { subscriptions: Subscriptions; stop: () => Promise<void> } {
  const log = createLogger('test', 'silent');
  const shards = databases.shards.list.map(({ name }) => {
    const pool = createPool(databases.shardUrlAs(name, 'forwarder'), { max: 4, name: 'test' });
    return { name, pool, feed: createShardFeed(pool, log, 20, 200) };
  });
  const catalog = createPool(databases.roleUrls.forwarder, { max: 4, name: 'test' });
  const controller = new AbortController();
  const subscriptions = createSubscriptions({
    catalog,
    shards,
    holder: randomUUID(),
    allowed: LOOPBACK,
    natsCaFile: '',
    metrics: createForwarderMetrics(new Registry()),
    log,
    times: { ...SHORT_TIMES, ...times },
  });
  const done = [subscriptions.run(controller.signal), ...shards.map(({ feed }) => feed.run(controller.signal))];
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      controller.abort();
      await Promise.all(done);
      await Promise.all([catalog, ...shards.map(({ pool }) => pool)].map((pool) => pool.end()));
    })());
  onTestFinished(stop);
  return { subscriptions, stop };
}
