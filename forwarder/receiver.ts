import type { Ledger } from '../feed/due.ts';
import type { ChangePosition } from '../feed/read-events.ts';
import type { Slice } from '../feed/slices.ts';

/** What a receiver has of one shard. */
export interface Delivered {
  readonly ledger: Ledger;
  /** Ranges that were perhaps delivered: their delivery began and did not end. */
  readonly attempted?: Ledger | undefined;
  readonly position: ChangePosition;
}

/** A system that events are delivered to. The ledger of what was delivered belongs to it. */
export interface Receiver {
  /** Reads what was delivered from a shard. */
  read(shard: string): Promise<Delivered>;
  /**
   * Delivers a slice of a shard and adds its ranges to the ledger. Throws a DeliveryError, or another error that a later attempt may not have.
   * After an error, the slice may have been delivered or not.
   */
  deliver(shard: string, slice: Slice): Promise<void>;
  close(): Promise<void>;
}

/**
 * Why a delivery failed:
 *   retry      a later attempt may succeed
 *   gone       the receiver wants no more deliveries
 *   too-large  the receiver may accept a smaller slice
 *   conflict   another forwarder has delivered some of the ranges, or holds the subscription now
 */
export type DeliveryFailure = 'retry' | 'gone' | 'too-large' | 'conflict';

export class DeliveryError extends Error {
  readonly failure: DeliveryFailure;
  /** How long the receiver asks to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(failure: DeliveryFailure, message: string, options: { retryAfterMs?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'DeliveryError';
    this.failure = failure;
    this.retryAfterMs = options.retryAfterMs;
  }
}
