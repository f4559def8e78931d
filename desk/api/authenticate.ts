import { timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type KeyRole, parseApiKey } from '../../core/api-key.ts';
import { explainErrors, type Pool } from '../../core/postgres.ts';
import { createFailureLimit, createRateLimit } from './limits.ts';
import { ApiError } from './problems.ts';

/** The key of a request. */
export interface ApiKey {
  id: string;
  role: KeyRole;
}

interface Found {
  role: KeyRole;
  hash: Buffer;
  rate: number;
  isRevoked: boolean;
  /** Whether `last_used_at` is null or older than a minute. */
  isStale: boolean;
}

const FIND = `
  SELECT role, hash, rate, revoked_at IS NOT NULL AS "isRevoked", last_used_at IS NULL OR last_used_at < now() - interval '1 minute' AS "isStale"
  FROM catalog.api_key WHERE id = $1`;

const NO_HASH = Buffer.alloc(32);

const refused = (message: string): ApiError =>
  new ApiError('not-authenticated', message, { 'www-authenticate': 'Bearer realm="clickledger"' });

export interface Authenticator {
  /**
   * Returns the key in a header `Authorization`. Throws `not-authenticated` if it is missing, unknown or revoked, and `too-many-requests`
   * if the key or the address has reached its limit. Each call reads the key from the catalog, so a revoked key is refused at once.
   */
  check(header: string | undefined, address: string): Promise<ApiKey>;
  /** Throws `not-authenticated` if a key was revoked in the meantime. Requests with many lines call this between lines. */
  recheck(key: ApiKey): Promise<void>;
}

/** `pool` connects as the author. `now` returns milliseconds. */
export function createAuthenticator(pool: Pool, now: () => number): Authenticator {
  const rates = createRateLimit(now);
  const failures = createFailureLimit(now);
  /** The hashes of keys that were valid. Their requests count for their rate before they cause a query. */
  const known = new LRUCache<string, { hash: Buffer; rate: number }>({ max: 10_000 });

  async function find(id: string): Promise<Found | undefined> {
    return (await explainErrors(() => pool.query<Found>(FIND, [id]))).rows[0];
  }

  return {
    async check(header, address) {
      const key = parseApiKey(/^Bearer +(\S+) *$/i.exec(header ?? '')?.[1] ?? '');
      if (key === undefined)
        throw refused(
          header === undefined
            ? 'this request needs a key: send the header `Authorization: Bearer ck_…`'
            : 'this is not a key: a key begins with ck_',
        );
      const before = known.get(key.id);
      const isKnown = before !== undefined && timingSafeEqual(before.hash, key.hash);
      // Many clients may share an address, e.g. that of a proxy. So a client without a valid key must not lock out those with one.
      if (isKnown) rates.take(key.id, before.rate);
      else failures.check(address);
      const found = await find(key.id);
      const isSame = timingSafeEqual(found?.hash ?? NO_HASH, key.hash);
      if (found === undefined || !isSame || found.isRevoked) {
        if (isSame) known.delete(key.id);
        failures.add(address);
        throw refused('this key is unknown or revoked: `clickledger key list` lists the keys');
      }
      if (!isKnown) rates.take(key.id, found.rate);
      known.set(key.id, { hash: key.hash, rate: found.rate });
      if (found.isStale) await explainErrors(() => pool.query('UPDATE catalog.api_key SET last_used_at = now() WHERE id = $1', [key.id]));
      return { id: key.id, role: found.role };
    },
    async recheck({ id }) {
      const found = await find(id);
      if (found === undefined || found.isRevoked) throw refused('this key was revoked');
    },
  };
}
