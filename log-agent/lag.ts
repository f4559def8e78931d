/** The lag of one shard behind the logs. */
export interface Lag {
  shard: string;
  /** Bytes that are not committed, according to the last reply of the ledger. */
  unshippedBytes: number;
  /** The uncommitted bytes that are already published. */
  unconfirmedBytes: number;
  /** The time at which the oldest uncommitted hit was logged, in epoch milliseconds. Undefined if all hits are committed. */
  oldestMs: number | undefined;
}

/** Returns the age of the oldest uncommitted hit in seconds, or 0 if all hits are committed. */
export function ageSeconds({ oldestMs }: Pick<Lag, 'oldestMs'>): number {
  return oldestMs === undefined ? 0 : Math.max(0, (Date.now() - oldestMs) / 1000);
}
