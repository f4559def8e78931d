import { assertKeyListed } from './urls.ts';
import type { Pool } from '../core/postgres.ts';
import type { SlugKey } from '../core/slug.ts';

const listed = new WeakSet<readonly SlugKey[]>();

/** Throws `bad-settings` unless the catalog lists the signing key. A listed key stays listed, so this is asked only until it is. */
export async function assertSigns(pool: Pool, keys: readonly SlugKey[]): Promise<void> {
  if (listed.has(keys)) return;
  await assertKeyListed(pool, keys[0]);
  listed.add(keys);
}
