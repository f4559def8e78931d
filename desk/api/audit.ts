import { setTimeout } from 'node:timers/promises';
import type { Pool } from '../../core/postgres.ts';

/** Facts about a change: names of fields, numbers and counts. Never mail addresses or secrets. */
export type AuditDetails = Record<string, string | number | boolean | null | readonly string[]>;

/** Who makes a change: a key of the API, an account by the hash of its session, or anyone, if nobody has to sign in at the desk. */
export type Actor = { key: string } | { session: Buffer } | 'anyone';

/** The row of the log about one request. */
export interface AuditEntry {
  /** Writes the status of the answer into the row, with more details. Only the first call has an effect. */
  end(status: number, details: AuditDetails): Promise<void>;
}

export interface AuditLog {
  /** Adds a row before a request changes anything. So no change is without a row, even if the desk dies. */
  begin(actor: Actor, action: string, object: string): Promise<AuditEntry>;
  /** Resolves when all rows have a status, or after a few seconds. */
  settled(): Promise<void>;
}

/** At its stop, the desk waits for so long for work that cannot be ended, such as a slow query. */
const SETTLE_MS = 3_000;

/** `pool` connects as the author. `onError` gets the error of a status that could not be written: the change itself is done. */
export function createAuditLog(pool: Pool, onError: (error: unknown) => void): AuditLog {
  const open = new Set<Promise<void>>();
  const begin = (actor: Actor, action: string, object: string) => {
    if (actor !== 'anyone' && 'session' in actor)
      return pool.query<{ id: number }>('SELECT catalog.begin_account_write($1, $2, $3) AS id', [actor.session, action, object]);
    const [key, details] = actor === 'anyone' ? [null, { by: 'desk' }] : [actor.key, {}];
    return pool.query<{ id: number }>('SELECT catalog.begin_write($1, $2, $3, $4) AS id', [key, action, object, details]);
  };
  return {
    async begin(actor, action, object) {
      const { promise, resolve } = Promise.withResolvers<void>();
      open.add(promise);
      const settle = (): void => {
        open.delete(promise);
        resolve();
      };
      try {
        const { rows } = await begin(actor, action, object);
        const id = rows[0]?.id;
        return {
          end: (status, details) =>
            pool.query('SELECT catalog.end_write($1, $2, $3)', [id, status, details]).then(settle, (error: unknown) => {
              settle();
              onError(error);
            }),
        };
      } catch (error) {
        settle();
        throw error;
      }
    },
    settled: async () => void (await Promise.race([Promise.all(open), setTimeout(SETTLE_MS, undefined, { ref: false })])),
  };
}
