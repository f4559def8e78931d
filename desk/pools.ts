import type { Config } from '../core/config.ts';
import { createPool, type Pool } from '../core/postgres.ts';

/** The settings of the pages. */
export const PAGE_SETTINGS = ['ANALYST_URL', 'TIMEZONE', 'COUNT_UNSURE', 'GOAL_DAYS'] as const;
/** The settings of the API, besides those of the pages. */
export const API_SETTINGS = ['BASE_URL', 'BASE_URLS', 'AUTHOR_URL', 'SLUG_KEYS', 'SHARDS'] as const;

/** A page uses two connections at a time, and a report one. */
const ANALYST_CONNECTIONS = 8;
const AUTHOR_CONNECTIONS = 8;
const KEY_CONNECTIONS = 2;
/** The server cancels a statement at its timeout. If the server still does not answer after this additional time, the query fails. */
const GRACE_MS = 5_000;
/** A statement about a group of people may wait for an import that runs at the same time. */
const AUTHOR_TIMEOUT_MS = 120_000;

/** Creates the pool of the pages. */
export const createAnalystPool = (url: string, timeoutSeconds: number): Pool =>
  createPool(url, { max: ANALYST_CONNECTIONS, name: 'desk', queryTimeoutMs: timeoutSeconds * 1000 + GRACE_MS });

/** Creates the pools of the API. `keys` checks keys and writes the log, so that long requests do not delay this. */
export function createAuthorPools(url: string): { author: Pool; keys: Pool } {
  return {
    author: createPool(url, { max: AUTHOR_CONNECTIONS, name: 'desk', queryTimeoutMs: AUTHOR_TIMEOUT_MS }),
    keys: createPool(url, { max: KEY_CONNECTIONS, name: 'desk keys', queryTimeoutMs: GRACE_MS }),
  };
}

/** Creates all pools of the desk. */
export function createPools(
  config: Config<'ANALYST_URL' | 'AUTHOR_URL'>,
  timeoutSeconds: number,
): { analyst: Pool; author: Pool; keys: Pool; end: () => Promise<void> } {
  const analyst = createAnalystPool(config.ANALYST_URL, timeoutSeconds);
  const { author, keys } = createAuthorPools(config.AUTHOR_URL);
  return { analyst, author, keys, end: async () => void (await Promise.all([analyst, author, keys].map((pool) => pool.end()))) };
}
