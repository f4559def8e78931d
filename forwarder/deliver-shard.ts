import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Pool } from '../core/postgres.ts';
import { sleep } from '../core/time.ts';
import { byGeneration, createDue, type Due, type DueRange } from '../feed/due.ts';
import { type ChangePosition, readEvents } from '../feed/read-events.ts';
import type { ShardFeed } from '../feed/shard-feed.ts';
import { type Slice, slicesOf } from '../feed/slices.ts';
import { readStart, type Subscription } from '../feed/subscription.ts';
import type { DeliveryState } from './delivery-state.ts';
import { type DeliveryFailure, DeliveryError, type Receiver } from './receiver.ts';

// Delivers the events of one shard to one receiver, until it is stopped.
//
// read the ledger of the receiver ──► ranges that are due ──► read events ──► slices ──► deliver ──► ranges that are due ─ …
//
// The ledger of the receiver is read again after a conflict, and regularly, because the receiver may have been restored from a backup.

/** So many bytes of logs are read at a time: about 10,000 events. */
const READ_BYTES = 4 * 1024 * 1024;
const MAX_RETRY_MS = 600_000;
/** A subscription is not paused before so many attempts in a row, e.g. if no forwarder has run for days. */
const LEAST_ATTEMPTS = 5;
/** So many conflicts in a row are no hand-over between two forwarders. */
const MANY_CONFLICTS = 5;

/** Times in milliseconds. Tests use shorter ones. */
export interface Times {
  /** If fewer events than a whole delivery are there, it waits so long for more. */
  readonly collect: number;
  /** How often the ledger of the receiver is read again. */
  readonly readAgain: number;
  /** The pause before the second attempt. Each further pause is twice as long. */
  readonly firstRetry: number;
  /** After this time without success, the subscription is paused. */
  readonly giveUp: number;
}

export const TIMES: Times = { collect: 1_000, readAgain: 30_000, firstRetry: 1_000, giveUp: 3 * 86_400_000 };

export interface DeliverDeps {
  subscription: Subscription;
  shard: string;
  /** The database of the shard. */
  pool: Pool;
  catalog: Pool;
  feed: ShardFeed;
  receiver: Receiver;
  state: DeliveryState;
  log: Logger;
  signal: AbortSignal;
  /** Called if the receiver wants no more, or fails for too long. The caller stops this delivery. */
  pause: (reason: string) => Promise<void>;
  times: Times;
}

const bytesOf = (ranges: readonly DueRange[]): number => ranges.reduce((sum, { range: [from, to] }) => sum + to - from, 0);

/** Delivers until `signal` aborts. Never throws. */
export async function deliverShard(deps: DeliverDeps): Promise<void> {
  const { subscription, shard, catalog, feed, receiver, state, log, signal, times } = deps;
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  let batch = subscription.batch;
  /** The pause after a failure, and the number of conflicts, since the last success. */
  let retryMs = times.firstRetry;
  let conflicts = 0;
  while (!signal.aborted) {
    let stopListening: (() => void) | undefined;
    try {
      // A shard may be away for long, and must not delay the stop.
      await Promise.race([feed.started, aborted]);
      if (signal.aborted) break;
      const [delivered, start] = await Promise.all([receiver.read(shard), readStart(catalog, subscription.id, shard)]);
      const due = createDue(start, delivered.ledger, delivered.attempted);
      for (const [gen, ranges] of feed.ready) due.setReady(gen, ranges);
      stopListening = feed.onChange((gen, ranges) => due.setReady(gen, ranges));
      if (state.due !== undefined) due.continueFrom(state.due);
      state.due = due;
      await deliverDue(due, delivered.position);
    } catch (error) {
      if (signal.aborted) break;
      const failure: DeliveryFailure = error instanceof DeliveryError ? error.failure : 'retry';
      if (failure === 'conflict' && ++conflicts < MANY_CONFLICTS) {
        await sleep(times.firstRetry, signal);
        continue;
      }
      if (failure === 'too-large' && batch > 1) {
        batch = Math.ceil(batch / 2);
        continue;
      }
      if (failure === 'gone') {
        await deps.pause(messageOf(error)).catch(() => sleep(times.firstRetry, signal));
        continue;
      }
      // The ledger or the events cannot be read. What the receiver itself refuses is handled in deliverSlice.
      state.fail(messageOf(error));
      log.warn({ err: error, subscription: subscription.name, shard }, 'cannot deliver; retrying');
      await sleep(retryMs, signal);
      retryMs = Math.min(retryMs * 2, 30_000);
    } finally {
      stopListening?.();
    }
  }
  state.due = undefined;

  /** Delivers what is due, until the ledger of the receiver should be read again. Throws a DeliveryError after a conflict. */
  async function deliverDue(due: Due, begin: ChangePosition): Promise<void> {
    let position = begin;
    const untilMs = performance.now() + times.readAgain;
    while (!signal.aborted && performance.now() < untilMs) {
      const wanted = due.take(READ_BYTES);
      const reading = await readEvents(deps.pool, due, wanted, subscription.filter, position);
      if (reading.isLacking) feed.readAll();
      for (const slice of slicesOf(reading, position, batch)) {
        await deliverSlice(slice);
        if (signal.aborted) return;
        for (const [gen, ranges] of byGeneration(slice.ranges)) due.setDelivered(gen, ranges);
        state.succeed(slice.items.length);
        retryMs = times.firstRetry;
        conflicts = 0;
      }
      position = reading.position;
      const isMoreLeft = reading.areChangesLeft || reading.events.length >= batch || (bytesOf(wanted) >= READ_BYTES && !reading.isLacking);
      if (!isMoreLeft) await sleep(times.collect, signal);
    }
  }

  /** Delivers a slice, with further attempts until it succeeds or the subscription is paused. */
  async function deliverSlice(slice: Slice): Promise<void> {
    for (let attempt = 1, nextMs = times.firstRetry; ; attempt++, nextMs = Math.min(nextMs * 2, MAX_RETRY_MS)) {
      const stopTimer = state.startTimer();
      try {
        await receiver.deliver(shard, slice);
        stopTimer();
        return;
      } catch (error) {
        if (signal.aborted) return;
        const { failure, retryAfterMs } = error instanceof DeliveryError ? error : { failure: 'retry' as const, retryAfterMs: undefined };
        if (failure === 'conflict' || (failure === 'too-large' && slice.items.length > 1)) throw error;
        state.fail(messageOf(error));
        const failingMs = state.failingMs();
        if (failure === 'gone') await deps.pause(messageOf(error));
        else if (failingMs > times.giveUp && attempt >= LEAST_ATTEMPTS)
          await deps.pause(`all deliveries failed for ${Math.round(failingMs / 3_600_000)} hours: ${messageOf(error)}`);
        // Receivers that fail together should not get all their retries at the same moment.
        const pauseMs = nextMs * (0.75 + Math.random() / 2);
        await sleep(Math.min(Math.max(pauseMs, retryAfterMs ?? 0), 3_600_000), signal);
        if (signal.aborted) return;
      }
    }
  }
}
