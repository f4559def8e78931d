import { LRUCache } from 'lru-cache';
import type { Pool } from '../core/postgres.ts';

// Bounds what clients can make grow. A client may send any referrer and any user agent, so a reader of one letter could add a new value with
// every request. The database of the shard therefore keeps a list of the values that are admitted, up to a limit. A hit with another value
// is stored with `(other)` in its place. The decision is made once, before the rows are built, so all that is computed from the rows agrees.
// An admitted value stays admitted.

/** The value of a hit whose own value is not admitted. No host name and no version has parentheses. */
export const OTHER = '(other)';

export const OUTSIDE_KINDS = ['referrer', 'user-agent'] as const;
export type OutsideKind = (typeof OUTSIDE_KINDS)[number];

export interface OutsideValue {
  /** What the limit is for: the id of the campaign of a referrer; 0 for user agents, which have one limit for the shard. */
  scope: number;
  text: string;
  /** The UTC day of the hit, e.g. 2026-11-28. On one day only a fifth of the limit is admitted anew. */
  day: string;
}

export interface OutsideValues {
  /**
   * Admits values while there is room, and returns the keys of those that are not admitted. The keys of `values` are made by outsideKey. Earlier
   * values of the map take precedence. Throws if the database does not answer.
   */
  refused(kind: OutsideKind, values: ReadonlyMap<string, OutsideValue>): Promise<ReadonlySet<string>>;
}

export const outsideKey = (scope: number, text: string): string => `${scope} ${text}`;

/** How many decisions are remembered. Beyond it the database is asked again. */
const REMEMBERED = 50_000;

const NONE: ReadonlySet<string> = new Set();

/** `limits`: how many values are admitted in all; see OutsideValue. */
export function createOutsideValues(pool: Pool, limits: Readonly<Record<OutsideKind, number>>): OutsideValues {
  const admitted = new LRUCache<string, true>({ max: REMEMBERED });
  // Another day has room for others, so these keys have the day.
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
