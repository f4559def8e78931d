import { expect, test } from 'vitest';
import { createDatabases } from '../test/support/databases.ts';
import { countShardRows } from './copy-shard.ts';

/** The name of the shard, and tables that are empty between transactions. */
const NOT_COPIED = ['hit_change', 'identity', 'judged_hit'];

test('copies every table that has rows of hits, also tables that later migrations add', async () => {
  const databases = await createDatabases(1);
  const tables = await databases.query<{ name: string }>(
    'a',
    "SELECT relname AS name FROM pg_class WHERE relnamespace = 'shard'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
  );
  const copied = Object.keys(await countShardRows(databases.shardUrlAs('a', 'owner')));
  expect([...copied, ...NOT_COPIED].toSorted()).toEqual(tables.map(({ name }) => name).toSorted());
});
