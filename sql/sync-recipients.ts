import type pg from 'pg';
import { type ShardMap, shardUrl } from '../core/shards.ts';
import { connect } from './connect.ts';

/**
 * Gives the catalog and all shards the same lists of forgotten recipients and test recipients. The lists may differ after one of these
 * databases was restored from a backup. First the catalog copies the tombstones (the rows of forgotten recipients) of all shards. Then all
 * shards copy the state of the catalog.
 */
export async function syncRecipients(catalog: pg.Client, shards: ShardMap, ownerUrl: string): Promise<void> {
  const clients: pg.Client[] = [];
  let highest = 0;
  try {
    for (const shard of shards.list) {
      const client = await connect(shardUrl(shard, ownerUrl));
      clients.push(client);
      const newest = await client.query<{ id: string | number | null }>(
        'SELECT greatest((SELECT max(recipient_id) FROM shard.event), (SELECT max(recipient_id) FROM shard.unsubscribe)) AS id',
      );
      highest = Math.max(highest, Number(newest.rows[0]?.id ?? 0));
      const forgotten = await client.query<{ id: string }>('SELECT recipient_id AS id FROM shard.recipient WHERE forgotten');
      await catalog.query(
        `INSERT INTO catalog.recipient (id, forgotten_at) OVERRIDING SYSTEM VALUE SELECT id, now() FROM unnest($1::bigint[]) id ORDER BY id
         ON CONFLICT (id) DO UPDATE SET email = NULL, external_id = NULL, forgotten_at = excluded.forgotten_at WHERE recipient.forgotten_at IS NULL`,
        [forgotten.rows.map(({ id }) => id)],
      );
    }
    // A restored catalog must not assign ids again that it had assigned after the backup was made.
    await catalog.query(
      `SELECT setval(pg_get_serial_sequence('catalog.recipient', 'id'), greatest($1, (SELECT max(id) FROM catalog.recipient)))
       WHERE greatest($1, (SELECT max(id) FROM catalog.recipient)) > (SELECT last_value FROM catalog.recipient_id_seq)`,
      [highest],
    );
    const { rows } = await catalog.query<{ id: string | number; is_test: boolean; forgotten: boolean }>(
      `SELECT id, is_test, forgotten_at IS NOT NULL AS forgotten FROM catalog.recipient WHERE forgotten_at IS NOT NULL
       UNION SELECT id, is_test, forgotten_at IS NOT NULL FROM catalog.recipient WHERE is_test`,
    );
    const ids = rows.map(({ id }) => id);
    for (const client of clients) {
      const cleared = await client.query<{ id: string | number }>(
        'SELECT recipient_id AS id FROM shard.recipient WHERE is_test AND recipient_id <> ALL ($1::bigint[])',
        [ids],
      );
      const changes = [...rows, ...cleared.rows.map(({ id }) => ({ id, is_test: false, forgotten: false }))];
      await client.query('SELECT shard.tell($1, $2, $3)', [
        changes.map(({ id }) => id),
        changes.map((row) => row.is_test),
        changes.map((row) => row.forgotten),
      ]);
    }
  } finally {
    for (const client of clients) await client.end();
  }
}
