/**
 * The highest epoch of a shard that an agent has shown, in a batch or in a question. The database compares it with its own, and refuses if
 * it is a former primary. See sql/shard/0017-epoch.sql.
 */
export interface KnownEpoch {
  /** 0 if no agent has shown an epoch. */
  readonly highest: number;
  see(epoch: number | undefined): void;
}

export function createKnownEpoch(): KnownEpoch {
  let highest = 0;
  return {
    get highest() {
      return highest;
    },
    see(epoch = 0) {
      highest = Math.max(highest, epoch);
    },
  };
}
