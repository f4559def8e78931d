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
  /** The name of the key, if a key made the change. */
  key: string | null;
  /** The name of the account, if an account made the change on the desk. If this and `key` are null, it was the command line. */
  account: string | null;
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
      await client.query("SELECT catalog.record_change(NULL, 'key.create', $1, $2)", [`key ${id}`, { name, role, rate }]);
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
  const { rows } = await pool.query<{ id: string; name: string; revoked_at: Date }>(
    'SELECT id, name, revoked_at FROM catalog.revoke_key(NULL, $1) WHERE id IS NOT NULL',
    [nameOrId],
  );
  if (rows[0] === undefined)
    throw new ClickledgerError('not-found', `there is no key '${nameOrId}'. \`clickledger key list\` lists the keys.`);
  return rows[0];
}

/** Returns the last `limit` rows of the log, the latest first. */
export async function readAuditLog(pool: Pool, limit: number): Promise<AuditRow[]> {
  const { rows } = await pool.query<AuditRow>(
    `SELECT a.id, a.at, k.name AS key, c.name AS account, a.action, a.object, a.details, a.status
     FROM catalog.audit_log a LEFT JOIN catalog.api_key k ON k.id = a.key_id LEFT JOIN catalog.account c ON c.id = a.account_id
     ORDER BY a.id DESC LIMIT $1`,
    [limit],
  );
  return rows;
}
