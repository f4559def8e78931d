import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { beforeAll, describe, expect, test } from 'vitest';
import { createDatabases, type Databases } from '../support/databases.ts';
import { COUNT_ALL } from '../support/deltas.ts';
import { mergeAll } from '../support/merge.ts';

// Tests the fast queries of docs/analysts.md. Each must give the same result as a simple query over all events, and the shards must do most
// of the work.

const PEOPLE = 40;
const HITS = 900;

/** The same questions as simple queries, written without knowledge of the shards. */
const NAIVE = [
  'SELECT campaign_id, count(*) AS hits FROM analytics.events GROUP BY campaign_id ORDER BY campaign_id',
  `SELECT count(DISTINCT recipient_id) AS human_opened, count(DISTINCT recipient_id) FILTER (WHERE kind = 'click') AS human_clicked
   FROM analytics.events JOIN analytics.campaigns USING (campaign_id) WHERE name = 'Spring sale' AND verdict = 'human'`,
  `SELECT count(*) AS hits FROM analytics.events WHERE at > now() - interval '1 day'`,
  `SELECT (at AT TIME ZONE 'UTC')::date AS day, kind, count(*) AS hits FROM analytics.events
   WHERE (at AT TIME ZONE 'UTC')::date > (now() AT TIME ZONE 'UTC')::date - 30 GROUP BY 1, 2 ORDER BY 1, 2`,
  `SELECT date_trunc('hour', at, 'Asia/Kolkata') AS hour, count(*) AS hits FROM analytics.events
   WHERE campaign_id = 2 AND kind = 'click' AND verdict = 'human' GROUP BY 1 ORDER BY 1`,
  `SELECT link_id, count(*) AS hits, count(DISTINCT recipient_id) FILTER (WHERE verdict = 'human') AS human_recipients
   FROM analytics.events WHERE campaign_id = 2 AND kind = 'click' GROUP BY 1 ORDER BY 1`,
  `SELECT country, count(*) AS hits, count(DISTINCT recipient_id) AS recipients
   FROM analytics.events WHERE campaign_id = 2 AND kind = 'click' GROUP BY 1 ORDER BY 1`,
  `SELECT country, device, count(*) AS hits, count(DISTINCT recipient_id) AS recipients
   FROM analytics.events WHERE campaign_id = 2 AND kind = 'click' GROUP BY 1, 2 ORDER BY 1, 2`,
  `SELECT at, kind, campaign_id, link_id, verdict FROM analytics.events JOIN analytics.recipients USING (recipient_id)
   WHERE email = 'bob@example.com' ORDER BY at`,
  `SELECT email FROM analytics.recipients r WHERE NOT EXISTS (
     SELECT FROM analytics.events e WHERE e.recipient_id = r.recipient_id AND e.campaign_id IN (1, 2) AND e.verdict = 'human') ORDER BY email`,
];
/** The numbers of the queries that have to read single hits. */
const READ_EVENTS = [3, 8, 9];

const page = await readFile(new URL('../../docs/analysts.md', import.meta.url), 'utf8');
const section = page.slice(page.indexOf('### Fast queries'), page.indexOf('## Limits'));
const queries = Array.from(section.matchAll(/^-- (\d+)\. (.*)\n([^;]*);$/gm), ([, n, question, sql]) => ({
  n: Number(n),
  question: question as string,
  sql: sql as string,
}));

let databases: Databases;
let analyst: pg.Client;

beforeAll(async () => {
  databases = await createDatabases(3);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('Winter sale'), ('Spring sale'), ('other')`);
  await databases.query(
    'catalog',
    `INSERT INTO catalog.recipient (email) SELECT CASE n WHEN 7 THEN 'bob' ELSE 'reader-' || n END || '@example.com' FROM generate_series(1, $1::int) n`,
    [PEOPLE],
  );
  for (const [i, { name }] of databases.shards.list.entries()) {
    await databases.query(
      name,
      `INSERT INTO shard.user_agent VALUES (0, 'Firefox', '140', 'Linux', 'desktop'), (1, 'Safari', '18', 'iOS', 'mobile')`,
    );
    // The number of a hit determines all its values. Of the last twenty recipients, most have few hits that were judged human, and the last
    // two have none.
    await databases.query(
      name,
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict, country)
       SELECT now() - n * n * interval '5 seconds', n, gen_random_uuid(), gen_random_uuid(), who, CASE WHEN n % 3 = 0 THEN 9 ELSE n % 5 + 1 END, 1 + n / 7 % 3, n % 2, 2,
              CASE WHEN n % 3 = 0 THEN 'open' ELSE 'click' END::shard.kind, CASE WHEN who > 20 AND n % 11 > 0 OR who > 38 THEN 'bot-ua' ELSE 'human' END::shard.verdict,
              (ARRAY['DE', 'FR', NULL])[1 + n / 2 % 3]
       FROM (SELECT n, CASE WHEN n % 13 = 0 THEN 0 ELSE 1 + n * 7 % $1::int END AS who FROM generate_series(1, $2::int) n) AS hit WHERE who % 3 = $3`,
      [PEOPLE, HITS, i],
    );
    await databases.query(name, COUNT_ALL);
    await mergeAll(databases.shardUrlAs(name, 'worker'));
  }
  analyst = new pg.Client({ connectionString: databases.roleUrls.analyst });
  await analyst.connect();
  return () => analyst.end();
});

test('the page has ten questions, in order', () => {
  expect(queries.map(({ n }) => n)).toEqual(NAIVE.map((_, i) => i + 1));
});

describe.each(queries)('$n. $question', ({ n, sql }) => {
  test('has the answer that the events have', async () => {
    const [fast, naive] = [await analyst.query(sql), await analyst.query(NAIVE[n - 1] as string)];
    expect(naive.rows.length).toBeGreaterThan(0);
    expect(fast.rows).toEqual(naive.rows);
  });

  test('is worked out on the shards', async () => {
    const { rows } = await analyst.query<{ 'QUERY PLAN': string }>(`EXPLAIN (VERBOSE) ${sql}`);
    // The part of the rates for COUNT_UNSURE is in the plan, too. Without the setting it does not run.
    const remote = rows.map((row) => row['QUERY PLAN']).filter((line) => line.includes('Remote SQL:') && !line.includes('likely_totals'));
    expect(remote).toHaveLength(3);
    for (const statement of remote) {
      expect(statement.includes('shard_analytics.events')).toBe(READ_EVENTS.includes(n));
      if (READ_EVENTS.includes(n)) expect(statement).toMatch(/GROUP BY|recipient_id = ANY/);
      // The conditions of the query must be sent to the shard.
      if (sql.includes('WHERE')) expect(statement).toContain('WHERE');
    }
  });
});
