import { createApiKey, type KeyRole } from '../core/api-key.ts';
import { ClickledgerError, codeOf } from '../core/errors.ts';
import { type Pool, transaction } from '../core/postgres.ts';

// Creates, lists and revokes the keys of the HTTP API, and reads the log of what was changed with them. All functions need the owner of the
// catalog. Otherwise an author could make a key of an analyst, and read what authors may not read.

/** A key without its secret. */
export interface KeyRow {
  id: string;
  name: string;
  role: KeyRole;
  /** The number of requests per second that the key may make. */
  rate: number;
  created_at: Date;
  /** Null if the key was never used. It is at most a minute too old. */
  last_used_at: Date | null;
  revoked_at: Date | null;
}

/** One request or command that changed something, or tried to. */
export interface AuditRow {
  id: number;
  at: Date;
  /** The name of the key. Null: the command line. */
  key: string | null;
  action: string;
  object: string;
  details: Record<string, unknown>;
  /** The HTTP status of the answer. Null if the request has not ended, or if the desk died. */
  status: number | null;
}

const UNIQUE_VIOLATION = '23505';

/**
 * Creates a key. The result has the key itself, which is stored nowhere. Throws `conflict` if a key that is not revoked has this name, and
 * `bad-input` for an empty name.
 */
export async function createKey(pool: Pool, name: string, role: KeyRole, rate: number): Promise<{ id: string; key: string }> {
  if (name.trim() === '') throw new ClickledgerError('bad-input', 'a key must have a name');
  const { id, key, hash } = createApiKey();
  try {
    await transaction(pool, async (client) => {
      await client.query('INSERT INTO catalog.api_key (id, name, role, hash, rate) VALUES ($1, $2, $3, $4, $5)', [
        id,
        name,
        role,
        hash,
        rate,
      ]);
      await record(client, 'create', id, { name, role, rate });
    });
  } catch (error) {
    if (codeOf(error) !== UNIQUE_VIOLATION) throw error;
    throw new ClickledgerError('conflict', `there is already a key '${name}': choose another name, or revoke that key first`, {
      cause: error,
    });
  }
  return { id, key };
}

/** Returns all keys, the latest first. */
export async function listKeys(pool: Pool): Promise<KeyRow[]> {
  const { rows } = await pool.query<KeyRow>(
    'SELECT id, name, role, rate, created_at, last_used_at, revoked_at FROM catalog.api_key ORDER BY created_at DESC, id',
  );
  return rows;
}

/**
 * Revokes a key, by its name or its id. A revoked key is found by its id, and stays revoked since its first time. Throws `not-found` if
 * there is no such key.
 */
export async function revokeKey(pool: Pool, nameOrId: string): Promise<{ id: string; name: string; revoked_at: Date }> {
  return transaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string; name: string; revoked_at: Date }>(
      `UPDATE catalog.api_key SET revoked_at = coalesce(revoked_at, now())
       WHERE id = (SELECT id FROM catalog.api_key WHERE (name = $1 AND revoked_at IS NULL) OR id = $1 ORDER BY (name = $1) DESC LIMIT 1)
       RETURNING id, name, revoked_at`,
      [nameOrId],
    );
    const revoked = rows[0];
    if (revoked === undefined)
      throw new ClickledgerError('not-found', `there is no key '${nameOrId}'. \`clickledger key list\` lists the keys.`);
    await record(client, 'revoke', revoked.id, { name: revoked.name });
    return revoked;
  });
}

/** Returns the last `limit` rows of the log, the latest first. */
export async function readAuditLog(pool: Pool, limit: number): Promise<AuditRow[]> {
  const { rows } = await pool.query<AuditRow>(
    `SELECT a.id, a.at, k.name AS key, a.action, a.object, a.details, a.status
     FROM catalog.audit_log a LEFT JOIN catalog.api_key k ON k.id = a.key_id ORDER BY a.id DESC LIMIT $1`,
    [limit],
  );
  return rows;
}

/** Adds a row about a command. A command has no HTTP status, and gets 200 because it has succeeded. */
async function record(client: Pick<Pool, 'query'>, action: string, key: string, details: object): Promise<void> {
  await client.query('INSERT INTO catalog.audit_log (action, object, details, status) VALUES ($1, $2, $3, 200)', [
    `key.${action}`,
    `key ${key}`,
    details,
  ]);
}
