import type { AddressRanges } from '../core/address-ranges.ts';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { sleep } from '../core/time.ts';
import type { ShardFeed } from '../feed/shard-feed.ts';
import { readSubscriptions, type Subscription } from '../feed/subscription.ts';
import { createReceiver } from './create-receiver.ts';
import { deliverShard, type Times } from './deliver-shard.ts';
import { createDeliveryState, type DeliveryState } from './delivery-state.ts';
import { GIVE_UP_MS, releaseLeases, takeLeases } from './lease.ts';
import type { ForwarderMetrics } from './metrics.ts';
import type { Receiver } from './receiver.ts';
import { readReports, writeReports } from './reports.ts';

// Keeps the deliveries running that the catalog asks for: one task for each subscription whose lease this forwarder holds, and each shard. A
// subscription that was changed, paused or removed is stopped.

/** How often the catalog is read and all leases are extended. */
const READ_MS = 2_000;
/** How often the state of the deliveries is written into the catalog. */
const REPORT_MS = 5_000;
const WATCH_MS = 1_000;

/** The database and the feed of a shard. */
export interface ShardSource {
  readonly name: string;
  readonly pool: Pool;
  readonly feed: ShardFeed;
}

interface Task {
  readonly subscription: Subscription;
  readonly states: readonly DeliveryState[];
  /** Whether it was stopped, or stopped itself because the subscription was paused. Its last delivery may still run. */
  isStopping(): boolean;
  /** Stops it, and removes it from the tasks when its last delivery has ended. Never rejects. */
  stop(): Promise<void>;
}

export interface Subscriptions {
  states(): readonly DeliveryState[];
  /** The names of the paused subscriptions. */
  paused(): readonly string[];
  /** The last failure to read the catalog. Undefined if the last attempt succeeded. */
  failure(): unknown;
  /** Runs until `signal` aborts, and then gives all leases back. */
  run(signal: AbortSignal): Promise<void>;
}

export function createSubscriptions(deps: {
  catalog: Pool;
  shards: readonly ShardSource[];
  holder: string;
  allowed: AddressRanges;
  natsCaFile: string;
  metrics: ForwarderMetrics;
  log: Logger;
  times: Times;
}): Subscriptions {
  const { catalog, shards, holder, metrics, log, times } = deps;
  const tasks = new Map<number, Task>();
  let paused: string[] = [];
  let failure: unknown;
  let heldMs = performance.now();

  async function startTask(subscription: Subscription): Promise<void> {
    const controller = new AbortController();
    const before = await readReports(catalog, subscription.id);
    let receiver: Receiver;
    try {
      receiver = createReceiver({ ...deps, subscription });
    } catch (error) {
      log.error({ subscription: subscription.name, err: error }, 'cannot start the deliveries of a subscription');
      await pauseSubscription(catalog, subscription.id, messageOf(error));
      return;
    }
    const states = shards.map((shard) =>
      createDeliveryState({
        subscription: subscription.name,
        subscriptionId: subscription.id,
        shard: shard.name,
        waitMs: subscription.filter.waitMs,
        metrics,
        before: before.get(shard.name),
      }),
    );
    const running = shards.map((shard, i) =>
      deliverShard({
        subscription,
        shard: shard.name,
        pool: shard.pool,
        feed: shard.feed,
        catalog,
        receiver,
        state: states[i] as DeliveryState,
        log,
        times,
        signal: controller.signal,
        async pause(reason) {
          log.error({ subscription: subscription.name, reason }, 'the subscription is paused');
          await pauseSubscription(catalog, subscription.id, reason);
          controller.abort();
        },
      }),
    );
    let stopped: Promise<void> | undefined;
    tasks.set(subscription.id, {
      subscription,
      states,
      isStopping: () => controller.signal.aborted,
      stop: () =>
        (stopped ??= (async () => {
          controller.abort();
          await Promise.all(running);
          await receiver.close().catch(() => {});
          tasks.delete(subscription.id);
        })()),
    });
    log.info({ subscription: subscription.name }, 'delivering');
  }

  async function stopTasks(which: readonly Task[]): Promise<void> {
    await Promise.all(which.map((task) => task.stop()));
  }

  /**
   * Starts and stops tasks, so that they are what the catalog asks for. Does not wait until a task has stopped: its receiver may hang, and the leases of the
   * other subscriptions would end meanwhile. A task that replaces it is started by a later call.
   */
  async function reconcile(): Promise<void> {
    const all = await readSubscriptions(catalog);
    paused = all.filter(({ pausedAt }) => pausedAt !== null).map(({ name }) => name);
    const active = all.filter(({ pausedAt }) => pausedAt === null);
    const wanted = new Map(active.map((subscription) => [subscription.id, JSON.stringify(subscription)]));
    void stopTasks([...tasks.values()].filter((t) => t.isStopping() || wanted.get(t.subscription.id) !== JSON.stringify(t.subscription)));
    // The lease may begin long before the answer arrives.
    const askedMs = performance.now();
    const held = await takeLeases(catalog, holder, [...wanted.keys()]);
    heldMs = askedMs;
    void stopTasks([...tasks.values()].filter(({ subscription }) => !held.has(subscription.id)));
    for (const subscription of active) {
      if (!held.has(subscription.id) || tasks.has(subscription.id)) continue;
      await startTask(subscription);
    }
  }

  /** Stops all tasks when their leases could not be extended. A query of reconcile may hang for longer, so this has a loop of its own. */
  async function watchLeases(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (performance.now() - heldMs > GIVE_UP_MS) void stopTasks([...tasks.values()]);
      await sleep(WATCH_MS, signal);
    }
  }

  const allStates = (): DeliveryState[] => [...tasks.values()].filter((task) => !task.isStopping()).flatMap(({ states }) => states);

  return {
    states: allStates,
    paused: () => paused,
    failure: () => failure,
    async run(signal) {
      let reportedMs = performance.now();
      const watching = watchLeases(signal);
      while (!signal.aborted) {
        try {
          await reconcile();
          if (performance.now() - reportedMs >= REPORT_MS) {
            await writeReports(catalog, allStates());
            reportedMs = performance.now();
          }
          failure = undefined;
        } catch (error) {
          if (failure === undefined) log.warn({ err: error }, 'the catalog does not answer; retrying');
          failure = error;
        }
        await sleep(READ_MS, signal);
      }
      const ids = [...tasks.keys()];
      const last = allStates();
      await stopTasks([...tasks.values()]);
      await watching;
      await writeReports(catalog, last).catch(() => {});
      await releaseLeases(catalog, holder, ids).catch(() => {});
    },
  };
}

async function pauseSubscription(catalog: Pool, id: number, reason: string): Promise<void> {
  await catalog.query('UPDATE catalog.subscription SET paused_at = now(), pause_reason = $2 WHERE id = $1 AND paused_at IS NULL', [
    id,
    reason,
  ]);
}
