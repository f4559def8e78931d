import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { REACH_MS } from '../core/rules.ts';
import { createDatabases } from '../test/support/databases.ts';
import { readGroups, type StoredHit } from './stored-hits.ts';
import { inTransaction } from './transaction.ts';

let pool: Pool;

beforeAll(async () => {
  const databases = await createDatabases(1);
  pool = createPool(databases.shardUrlAs('a', 'worker'), { max: 1, name: 'test' });
  return () => pool.end();
});

const ROW = `SELECT 1 AS part, '(0,1)' AS place, 1 AS campaign_id, n AS link_id, '' AS browser, NULL AS visitor, 'human' AS verdict, NULL AS signals`;

/** Reads the hits 1 to `count`. `recipient` and `at` are SQL expressions of the number n of a hit. */
async function read(count: number, recipient: string, at: string): Promise<{ groups: StoredHit[][]; divided: number }> {
  const groups: StoredHit[][] = [];
  let divided = 0;
  await inTransaction(pool, async (client) => {
    const sql = `${ROW}, ${recipient} AS recipient_id, ${at} AS at FROM generate_series(1, $1::integer) AS n ORDER BY n`;
    for await (const group of readGroups(client, sql, [count], () => divided++)) groups.push(group);
    return true;
  });
  expect(groups.flat().map(({ link_id }) => link_id)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
  return { groups, divided };
}

/** The last hit of each group, and the first of the next one. */
const boundaries = (groups: readonly StoredHit[][]) => groups.slice(1).map((group, i) => [groups[i]?.at(-1), group[0]] as const);

describe('the groups of stored hits', () => {
  test('no hits have no group', async () => {
    expect(await read(0, '1', 'n')).toEqual({ groups: [], divided: 0 });
  });

  test('have all hits of a recipient', async () => {
    // As many hits as are fetched at once, and one less or more.
    for (const count of [19_999, 20_000, 20_001]) expect((await read(count, '1', 'n')).groups).toHaveLength(1);
    const { groups, divided } = await read(70_000, 'n / 7001', 'n');
    expect(groups.length).toBeGreaterThan(2);
    for (const [before, after] of boundaries(groups)) expect(before?.recipient_id).not.toBe(after?.recipient_id);
    expect(divided).toBe(0);
  });

  test('of one recipient end at a pause', async () => {
    const { groups, divided } = await read(70_000, '1', `n + n / 9001 * ${REACH_MS}::bigint`);
    expect(groups.length).toBeGreaterThan(2);
    for (const [before, after] of boundaries(groups)) expect((after?.at as number) - (before?.at as number)).toBeGreaterThan(REACH_MS);
    expect(divided).toBe(0);
  });

  test('of shared links end anywhere', async () => {
    expect((await read(70_000, '0', 'n')).groups.length).toBeGreaterThan(2);
  });

  test('of a flood of one recipient are divided', async () => {
    const { groups, divided } = await read(450_000, '1', 'n');
    expect(groups.map(({ length }) => length)).toEqual([200_000, 200_000, 50_000]);
    expect(divided).toBe(2);
  });
});
