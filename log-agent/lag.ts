/** The lag of one shard behind the logs. */
export interface Lag {
  shard: string;
  /** Bytes that are not committed, according to the last reply of the ledger. */
  unshippedBytes: number;
  /** The part of them that is published. */
  unconfirmedBytes: number;
  /** When the oldest uncommitted hit was logged, in epoch milliseconds; undefined if there is none. */
  oldestMs: number | undefined;
}

/** Age in seconds of the oldest uncommitted hit; 0 if there is none. */
export function ageSeconds({ oldestMs }: Pick<Lag, 'oldestMs'>): number {
  return oldestMs === undefined ? 0 : Math.max(0, (Date.now() - oldestMs) / 1000);
}
