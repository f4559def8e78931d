import { beforeAll, beforeEach, expect, test } from 'vitest';
import { createPool, type Pool } from '../../core/postgres.ts';
import { readReport } from '../../reporting/report-file.ts';
import { runReport } from '../../reporting/run-report.ts';
import { createDatabases, type Databases } from '../support/databases.ts';
import { toRows } from '../support/results.ts';

// Which link a goal counts for, whatever is stored first.

let databases: Databases;
let analyst: Pool;
let off = 0;

beforeAll(async () => {
  databases = await createDatabases(1);
  analyst = createPool(databases.roleUrls.analyst, { max: 1, name: 'test' });
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('one')`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) SELECT 1, 'url', 'https://shop.example/' || n FROM generate_series(1, 3) n`,
  );
  return () => analyst.end();
});

beforeEach(() => databases.query('a', 'TRUNCATE shard.event, shard.site_event'));

const timeOf = (day: number): Date => new Date(Date.UTC(2026, 4, 1) + day * 86_400_000);
const click = (day: number, link: number, verdict = 'human', recipient = 7): Promise<unknown> =>
  databases.query(
    'a',
    `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
     VALUES ($1, $2, gen_random_uuid(), gen_random_uuid(), $3, $4, 1, 1, 1, 'click', $5)`,
    [timeOf(day), off++, recipient, link, verdict],
  );
/** Stores a goal that names link 1. */
const goal = (day: number, recipient = 7): Promise<unknown> =>
  databases.query(
    'a',
    `INSERT INTO shard.site_event (at, off, gen, rid, kind, site_id, name, recipient_id, link_id, campaign_id, agent_id, rules, verdict, dropped)
     VALUES ($1, $2, gen_random_uuid(), gen_random_uuid(), 'goal', 99, 'buy', $3, 1, 1, 1, 1, 'human', 0)`,
    [timeOf(day), off++, recipient],
  );
/** The links that goals count for, by the time of the goals. */
const links = async (goalDays?: number): Promise<unknown[]> => {
  const { rows } = await analyst
    .query<{ link: number | null }>(
      `SET clickledger.goal_days = '${goalDays ?? ''}'; SELECT link_id::int AS link FROM analytics.goals ORDER BY at`,
    )
    .then((results) => (results as unknown as { rows: { link: number | null }[] }[])[1] as { rows: { link: number | null }[] });
  return rows.map(({ link }) => link);
};

test('a goal counts for the last click before it, which may be stored later', async () => {
  await goal(5);
  expect(await links()).toEqual([1]);
  await click(1, 2);
  expect(await links()).toEqual([2]);
  await click(6, 1);
  expect(await links()).toEqual([2]);
  await click(4, 3);
  expect(await links()).toEqual([3]);
  await goal(3);
  expect(await links()).toEqual([2, 3]);
});

test('clicks of machines and of others do not count, and a verdict that changes does', async () => {
  await click(1, 2);
  await click(2, 3, 'burst');
  await click(3, 1, 'human', 8);
  await goal(4);
  expect(await links()).toEqual([2]);
  await databases.query('a', `UPDATE shard.event SET verdict = 'unsure' WHERE link_id = 3`);
  expect(await links()).toEqual([3]);
});

test('a click counts for 30 days, or for the days of the setting', async () => {
  await click(0, 2);
  await goal(29.9);
  await goal(30);
  expect(await links()).toEqual([2, null]);
  expect(await links(40)).toEqual([2, 2]);
  expect(await links()).toEqual([2, null]);
  const report = async (goalDays?: number) =>
    toRows(
      await runReport(analyst, await readReport('goals-by-link'), {}, { timeoutSeconds: 30, zone: 'UTC', ...(goalDays && { goalDays }) }),
    ).map((row) => [row['link_id'], row['goals']]);
  expect(await report()).toEqual([[2, 1]]);
  expect(await report(31)).toEqual([[2, 2]]);
});

test('a goal of a shared link counts for the link that it names', async () => {
  await click(1, 2, 'human', 0);
  await goal(2, 0);
  expect(await links()).toEqual([1]);
});
