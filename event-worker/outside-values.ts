import { LRUCache } from 'lru-cache';
import type { Pool } from '../core/postgres.ts';

// Limits how many different values clients can add to the database. A client may send any referrer and any user agent, so one reader could
// send a new value with every request. So the database of the shard has a list of admitted values, whose length is limited. A hit with
// another value is stored with `(other)` instead. This is decided once, before the rows are built, so all counts that are computed from the
// rows agree. An admitted value stays admitted.

/** The value that replaces a value that is not admitted. It differs from all host names and versions, because they have no parentheses. */
export const OTHER = '(other)';

export const OUTSIDE_KINDS = ['referrer', 'user-agent'] as const;
export type OutsideKind = (typeof OUTSIDE_KINDS)[number];

export interface OutsideValue {
  /**
   * Values with the same scope share a limit. The scope of a referrer is the id of its campaign. The scope of a user agent is 0, because
   * user agents have one limit for the whole shard.
   */
  scope: number;
  text: string;
  /** The UTC day of the hit, e.g. 2026-11-28. On one day, at most a fifth of the limit is admitted as new values. */
  day: string;
}

export interface OutsideValues {
  /**
   * Admits values while the limit allows it, and returns the keys of the values that are not admitted. The keys of `values` are made by
   * outsideKey. If not all values can be admitted, the first values in the map are admitted. Throws if the database does not answer.
   */
  refused(kind: OutsideKind, values: ReadonlyMap<string, OutsideValue>): Promise<ReadonlySet<string>>;
}

export const outsideKey = (scope: number, text: string): string => `${scope} ${text}`;

/** The maximum number of decisions in each cache. For other values the database is asked again. */
const REMEMBERED = 50_000;

const NONE: ReadonlySet<string> = new Set();

/** `limits` has the maximum number of admitted values for each scope (see OutsideValue), by kind. */
export function createOutsideValues(pool: Pool, limits: Readonly<Record<OutsideKind, number>>): OutsideValues {
  const admitted = new LRUCache<string, true>({ max: REMEMBERED });
  // A value that was refused on one day may be admitted on another day, so these keys contain the day.
  const refusedOnDay = new LRUCache<string, true>({ max: REMEMBERED });
  return {
    async refused(kind, values) {
      let refused: Set<string> | undefined;
      const asked: [string, OutsideValue][] = [];
      for (const [key, value] of values) {
        if (admitted.has(`${kind} ${key}`)) continue;
        if (refusedOnDay.has(`${kind} ${value.day} ${key}`)) (refused ??= new Set()).add(key);
        else asked.push([key, value]);
      }
      if (asked.length === 0) return refused ?? NONE;
      const { rows } = await pool.query<{ scope: number; text: string }>('SELECT scope, text FROM shard.admit($1, $2, $3, $4, $5)', [
        kind,
        limits[kind],
        asked.map(([, { scope }]) => scope),
        asked.map(([, { text }]) => text),
        asked.map(([, { day }]) => day),
      ]);
      const found = new Set(rows.map(({ scope, text }) => outsideKey(scope, text)));
      for (const [key, { day }] of asked) {
        if (found.has(key)) admitted.set(`${kind} ${key}`, true);
        else {
          refusedOnDay.set(`${kind} ${day} ${key}`, true);
          (refused ??= new Set()).add(key);
        }
      }
      return refused ?? NONE;
    },
  };
}
