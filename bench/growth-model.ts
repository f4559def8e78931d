// How many rows of the ledger, the counts and the feed a system has after some years. The rows of hits are in capacity.ts.

export interface GrowthInput {
  /** The bytes of the logs of all edges on one day. */
  logBytesPerDay: number;
  edges: number;
  shards: number;
  years: number;
  /** The campaigns of one day. */
  campaignsPerDay: number;
  /** The size at which nginx rotates a log, in MiB. A log is also rotated once a day. */
  rotateMiB: number;
}

export interface Growth {
  /** The logs of one day of all edges. */
  generationsPerDay: number;
  /** The logs of all years. Each shard has one row of the ledger for each of them. */
  generations: number;
  /** The rows of the ledgers of all shards. */
  ledgerRows: number;
  ledgerBytesPerShard: number;
  campaigns: number;
}

/** Bytes of a row of the ledger with its entries in the indexes. The bench `growth` measures 220 in full pages. In use, pages have some free space. */
const LEDGER_ROW_BYTES = 250;
const DAYS_PER_YEAR = 365;
const MIB = 1024 * 1024;

/** Each edge writes at least one log a day, and another one whenever the log has `rotateMiB`. */
export function growthOf({ logBytesPerDay, edges, shards, years, campaignsPerDay, rotateMiB }: GrowthInput): Growth {
  const logsPerEdge = Math.max(1, Math.ceil(logBytesPerDay / edges / (rotateMiB * MIB)));
  const generationsPerDay = edges * logsPerEdge;
  const days = years * DAYS_PER_YEAR;
  const generations = generationsPerDay * days;
  return {
    generationsPerDay,
    generations,
    ledgerRows: generations * shards,
    ledgerBytesPerShard: generations * LEDGER_ROW_BYTES,
    campaigns: campaignsPerDay * days,
  };
}
