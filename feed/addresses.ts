import type { Pool } from '../core/postgres.ts';
import type { Address, Item } from './event.ts';

/** Reads the addresses of the recipients of `items`. A forgotten recipient has neither. */
export async function readAddresses(catalog: Pool, items: readonly Item[]): Promise<Map<number, Address>> {
  const ids = new Set(items.flatMap(({ event }) => event.recipient_id ?? []));
  if (ids.size === 0) return new Map();
  const { rows } = await catalog.query<Address & { id: number }>(
    'SELECT id, email, external_id FROM catalog.recipient WHERE id = ANY ($1)',
    [[...ids]],
  );
  return new Map(rows.map(({ id, email, external_id }) => [id, { email, external_id }]));
}
