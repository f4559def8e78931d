import type { Logger } from '../../core/log.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { type ShardMap, shardUrl } from '../../core/shards.ts';
import { orUndefinedAfter, sleep } from '../../core/time.ts';
import { createShardFeed, type ShardFeed } from '../../feed/shard-feed.ts';

// The shards as readings of events use them. All requests share one feed for each shard. The feeds run only while there are requests, and a while after
// the last one, so a desk without readings asks the shards nothing.

/** The feed of a shard takes one connection, reading events the others. */
const CONNECTIONS = 3;
const QUERY_TIMEOUT_MS = 10_000;
/** A request waits so long for the first reading of a ledger. After it, the shard counts as one that does not answer. */
const START_MS = 3_000;
const IDLE_MS = 60_000;
const STOP_MS = 3_000;

export interface EventSource {
  readonly shard: string;
  readonly pool: Pool;
  readonly feed: ShardFeed;
  /** Whether the shard answers at the moment. */
  readonly isAnswering: () => boolean;
}

export interface EventSources {
  /** Runs `work` while the feeds run. */
  use<T>(work: (sources: readonly EventSource[]) => Promise<T>): Promise<T>;
  /** Aborts when the desk stops. Then requests no longer wait for events. */
  readonly stopping: AbortSignal;
  /** Ends all waiting. */
  stop(): void;
  close(): Promise<void>;
}

/** `analystUrl` has the credentials of the analyst. Tests may use shorter times. */
export function createEventSources(
  shards: ShardMap,
  analystUrl: string,
  log: Logger,
  times: { pollMs?: number; allMs?: number } = {},
): EventSources {
  const stopping = new AbortController();
  let pools: ReadonlyMap<string, Pool> | undefined;
  let running: { sources: readonly EventSource[]; controller: AbortController } | undefined;
  let users = 0;
  let idle: NodeJS.Timeout | undefined;

  function start(): NonNullable<typeof running> {
    pools ??= new Map(
      shards.list.map((shard) => [
        shard.name,
        createPool(shardUrl(shard, analystUrl), { max: CONNECTIONS, name: 'desk events', queryTimeoutMs: QUERY_TIMEOUT_MS }),
      ]),
    );
    const controller = new AbortController();
    const sources = Array.from(pools, ([shard, pool]): EventSource => {
      const feed = createShardFeed(pool, log.child({ shard }), times.pollMs, times.allMs);
      let isStarted = false;
      void feed.started.then(() => (isStarted = true));
      void feed.run(controller.signal);
      return { shard, pool, feed, isAnswering: () => isStarted && feed.failure() === undefined };
    });
    return { sources, controller };
  }

  function end(): void {
    clearTimeout(idle);
    running?.controller.abort();
    running = undefined;
  }

  return {
    stopping: stopping.signal,
    async use(work) {
      clearTimeout(idle);
      running ??= start();
      const { sources } = running;
      users++;
      try {
        await Promise.all(sources.map(untilStarted));
        return await work(sources);
      } finally {
        users--;
        if (users === 0) idle = setTimeout(end, IDLE_MS).unref();
      }
    },
    stop: () => stopping.abort(),
    async close() {
      stopping.abort();
      end();
      await orUndefinedAfter(Promise.all(Array.from(pools?.values() ?? [], (pool) => pool.end())), STOP_MS);
    },
  };
}

/** Waits until the ledger of a shard was read once, or could not be read. */
async function untilStarted({ feed, isAnswering }: EventSource): Promise<void> {
  const untilMs = performance.now() + START_MS;
  while (!isAnswering() && feed.failure() === undefined && performance.now() < untilMs) await sleep(10);
}
