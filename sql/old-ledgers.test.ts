import fc from 'fast-check';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { createDatabases } from '../test/support/databases.ts';

// analytics.reach reads only the generations that are not complete, if it can. It must have the same result as a reading of all generations.

/** The definition of analytics.reach that reads all generations. */
const WHOLE = `
  SELECT max(last_at)::text AS last_at, coalesce(sum(holes) FILTER (WHERE settled), 0)::bigint AS holes,
         coalesce(sum(missing_bytes) FILTER (WHERE settled), 0)::bigint AS missing_bytes
  FROM (SELECT *, size IS NOT NULL OR max(first_at) OVER (PARTITION BY gen) < max(first_at) OVER () AS settled FROM analytics.completeness) AS log`;
const REACH = 'SELECT last_at::text AS last_at, holes, missing_bytes FROM analytics.reach';

const row = fc.record({
  gen: fc.integer({ min: 1, max: 4 }),
  committed: fc.constantFrom('{[0,100)}', '{[0,50)}', '{[0,20),[60,100)}', '{[0,100),[150,200)}', '{}'),
  size: fc.constantFrom(null, 100, 100, 100, 200),
  firstMinute: fc.integer({ min: 0, max: 3 }),
});
/** The same rows on both shards, with some that only one of them has. */
const ledgers = fc.record({
  both: fc.uniqueArray(row, { selector: ({ gen }) => gen }),
  onlyA: fc.uniqueArray(row, { selector: ({ gen }) => gen, maxLength: 2 }),
  onlyB: fc.uniqueArray(row, { selector: ({ gen }) => gen, maxLength: 1 }),
});

test('the reach of a report equals a reading of all generations, whatever the ledgers have', { timeout: 120_000 }, async () => {
  const databases = await createDatabases(2);
  const open = async (url: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  };
  const catalog = await open(databases.ownerUrl);
  const shards = { a: await open(databases.shardUrlAs('a', 'owner')), b: await open(databases.shardUrlAs('b', 'owner')) };
  const seen = { same: 0, different: 0 };
  await fc.assert(
    fc.asyncProperty(ledgers, async ({ both, onlyA, onlyB }) => {
      for (const [name, client] of Object.entries(shards)) {
        await client.query('TRUNCATE shard.ledger');
        for (const { gen, committed, size, firstMinute } of [...both, ...(name === 'a' ? onlyA : onlyB)])
          await client.query(
            `INSERT INTO shard.ledger (gen, committed, size, first_at, last_at)
             SELECT md5($1)::uuid, $2, $3, at, at + interval '30 seconds' FROM (SELECT timestamptz '2026-01-01' + $4 * interval '1 minute' AS at) AS t
             ON CONFLICT (gen) DO UPDATE SET committed = excluded.committed, size = excluded.size`,
            [String(gen), committed, size, firstMinute],
          );
      }
      const { rows: digests } = await catalog.query('SELECT DISTINCT generations, hash, bytes FROM fleet.ledger_complete');
      seen[digests.length === 1 ? 'same' : 'different']++;
      expect((await catalog.query(REACH)).rows).toEqual((await catalog.query(WHOLE)).rows);
    }),
    { numRuns: 60 },
  );
  expect(Math.min(seen.same, seen.different)).toBeGreaterThan(5);
});
