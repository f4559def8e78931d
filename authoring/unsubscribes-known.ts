import { ClickledgerError, messageOf } from '../core/errors.ts';
import type { Pool } from '../core/postgres.ts';

/**
 * Says why requests to unsubscribe may be missing in the databases, e.g. because a shard was restored from a backup and the logs are not
 * shipped again yet. Returns undefined if none are missing. Throws `unavailable` if a shard does not answer. It is needed only if
 * `useUnsubscribing` returns true.
 */
export async function findMissingUnsubscribes(pool: Pool): Promise<string | undefined> {
  const { rows } = await pool
    .query<{ holes: number; missing: number }>('SELECT holes, missing_bytes AS missing FROM analytics.reach')
    .catch(shardSilent);
  const { holes = 0, missing = 0 } = rows[0] ?? {};
  if (missing === 0) return undefined;
  return `it is not known who has unsubscribed, because ${missing} bytes of the logs are not counted (${holes} holes; \`clickledger status\` shows them)`;
}

/** Returns whether some campaign has a link for unsubscribing. */
export async function useUnsubscribing(db: Pick<Pool, 'query'>): Promise<boolean> {
  return (await db.query("SELECT FROM catalog.link WHERE kind = 'unsubscribe' LIMIT 1")).rowCount !== 0;
}

/** Explains the error of a query about unsubscribes. */
export function shardSilent(error: unknown): never {
  throw new ClickledgerError(
    'unavailable',
    `it is not known who has unsubscribed, because a shard does not answer (${messageOf(error)}). Start its Postgres, then run the command again.`,
    { cause: error },
  );
}
