import { hash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { COUNT_ALL } from '../test/support/deltas.ts';
import { mergeAll } from '../test/support/merge.ts';
import { migrate } from './migrate.ts';

// Tests `migrate` with a database of the version that kept its counts in marks and rollups.

/** The tables with counts of the older version, filled as its judge did. The hits of one campaign in April still wait for it, as marks. */
const OLDER_COUNTS = `
  CREATE TABLE shard.mark (at timestamptz NOT NULL, recipient_id bigint NOT NULL, link_id bigint NOT NULL, campaign_id bigint NOT NULL, kind shard.kind NOT NULL,
                           verdict shard.verdict NOT NULL, hits smallint NOT NULL DEFAULT 1);
  CREATE TABLE shard.reach (campaign_id bigint, link_id bigint, kind shard.kind, recipients bigint, human_recipients bigint, PRIMARY KEY (campaign_id, link_id, kind));
  CREATE VIEW shard.judged AS SELECT * FROM shard.event WHERE campaign_id <> 3 OR at < '2026-04-01Z';
  CREATE TABLE shard.activity_15m AS
    SELECT campaign_id, link_id, date_bin('15 minutes', at, '2000-01-01 00:00+00') AS quarter, kind, verdict, count(*) AS hits
    FROM shard.judged WHERE recipient_id NOT IN (SELECT recipient_id FROM shard.recipient WHERE is_test) GROUP BY 1, 2, 3, 4, 5;
  ALTER TABLE shard.activity_15m ADD PRIMARY KEY (campaign_id, quarter, link_id, kind, verdict);
  CREATE TABLE shard.clicked_link AS
    SELECT campaign_id, recipient_id, link_id, count(*) FILTER (WHERE verdict = 'human') AS human_hits, count(*) FILTER (WHERE verdict <> 'human') AS machine_hits,
           min(at) AS first_at, max(at) AS last_at
    FROM shard.judged WHERE kind = 'click' AND recipient_id <> 0 GROUP BY 1, 2, 3;
  CREATE TABLE shard.engagement AS
    SELECT campaign_id, recipient_id, count(*) FILTER (WHERE kind = 'click' AND verdict = 'human') AS human_clicks,
           count(*) FILTER (WHERE kind = 'click' AND verdict <> 'human') AS machine_clicks, count(*) FILTER (WHERE kind = 'open' AND verdict = 'human') AS human_opens,
           count(*) FILTER (WHERE kind = 'open' AND verdict <> 'human') AS machine_opens,
           min(at) FILTER (WHERE kind = 'open') AS first_open_at, max(at) FILTER (WHERE kind = 'open') AS last_open_at
    FROM shard.judged WHERE recipient_id <> 0 GROUP BY 1, 2;
  INSERT INTO shard.mark SELECT at, recipient_id, link_id, campaign_id, kind, verdict FROM shard.event WHERE campaign_id = 3 AND at >= '2026-04-01Z';
  DROP VIEW shard.judged;
  CREATE VIEW shard_analytics.activity_15m AS SELECT * FROM shard.activity_15m;
  CREATE FUNCTION shard.quarter_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE RETURN date_bin('15 minutes', at, '2000-01-01 00:00+00');`;

/** Hits of three campaigns over two months, among them those of a test recipient and of a shared link. All hits of campaign 1 are in April. */
const EVENTS = `
  SELECT shard.ensure_month('2026-03-01'), shard.ensure_month('2026-04-01');
  INSERT INTO shard.recipient (recipient_id, is_test) VALUES (5, true);
  INSERT INTO shard.user_agent VALUES (1, 'Firefox', '140', 'Linux', 'desktop'), (2, 'Mail', '', 'iOS', 'mobile');
  INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict, country, referrer)
  SELECT timestamptz '2026-03-20Z' + interval '7 minutes' * n + CASE n % 3 WHEN 0 THEN interval '20 days' ELSE '0' END, n, gen_random_uuid(), gen_random_uuid(), n * 7919 % 31000, n % 5, 1 + n % 3, 1 + n % 2, 1,
         (CASE n % 4 WHEN 0 THEN 'open' ELSE 'click' END)::shard.kind, (CASE n % 7 WHEN 0 THEN 'bot-ua' ELSE 'human' END)::shard.verdict,
         (ARRAY['DE', 'FR', NULL])[1 + n % 3], CASE n % 11 WHEN 0 THEN 'news.example' END
  FROM generate_series(1, 4000) AS n;
  INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict)
  SELECT '2026-04-20Z', 5000 + n, gen_random_uuid(), gen_random_uuid(), 5 * (n % 2), 1, 2, 1, 1, 'click', 'human' FROM generate_series(1, 10) AS n;`;

const DROP_MARCH = 'DROP TABLE shard.event_2026_03';

const VIEWS = [
  'SELECT campaign_id, link_id, quarter, kind, verdict, hits FROM shard_analytics.activity_15m',
  'SELECT campaign_id, kind, hits, human_hits, recipients, human_recipients FROM shard_analytics.campaign_totals',
  'SELECT campaign_id, link_id, hits, human_hits, recipients, human_recipients FROM shard_analytics.link_totals',
  'SELECT campaign_id, is_human, unnest(recipient_ids) FROM shard_analytics.openers',
  'SELECT campaign_id, recipient_id, human_clicks, machine_clicks, human_clicked_links, human_opens, machine_opens, first_open_at FROM shard_analytics.engagement',
  `SELECT campaign_id, link_id, recipient_id, human_hits, machine_hits, first_at FROM shard_analytics.activity WHERE kind = 'click'`,
  'SELECT campaign_id, first_at FROM shard_analytics.first_hits',
  // Their counts by country and so on were never kept longer than the events.
  `SELECT campaign_id, kind, facet, value, hits, human_hits, recipients, human_recipients FROM shard_analytics.facets
   WHERE campaign_id NOT IN (SELECT campaign_id FROM shard.thinned_campaign)`,
];

async function shown(databases: Databases): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for (const sql of VIEWS)
    rows.push((await databases.query('a', `SELECT to_json(t)::text AS row FROM (${sql}) AS t ORDER BY 1`)).map(({ row }) => row as string));
  return rows;
}

/** Puts a database of the older version, without counts, in the place of a shard. */
async function makeOlder(databases: Databases): Promise<void> {
  const name = new URL(databases.shards.first.url).pathname.slice(1);
  await databases.query('catalog', `DROP DATABASE "${name}" WITH (FORCE)`);
  await databases.query('catalog', `CREATE DATABASE "${name}"`);
  const directory = new URL('shard/', import.meta.url);
  await databases.query(
    'a',
    'CREATE TABLE public.clickledger_migration (set text, number integer, name text NOT NULL, applied_at timestamptz DEFAULT now(), hash text, PRIMARY KEY (set, number))',
  );
  const files = (await readdir(directory)).filter((file) => Number(file.slice(0, 4)) <= 5);
  expect(files).toHaveLength(5);
  for (const file of files) {
    const sql = await readFile(new URL(file, directory), 'utf8');
    await databases.query('a', sql);
    await databases.query('a', `INSERT INTO public.clickledger_migration (set, number, name, hash) VALUES ('shard', $1, $2, $3)`, [
      Number(file.slice(0, 4)),
      file,
      hash('sha256', sql),
    ]);
  }
  await databases.query(
    'a',
    `INSERT INTO public.clickledger_migration (set, number, name) VALUES ('shard', 6, '0006-rollups.sql'), ('shard', 7, '0007-reports.sql')`,
  );
  await databases.query('a', 'INSERT INTO shard.identity (name, shards) VALUES ($1, $2)', ['a', databases.shards.fingerprint]);
}

test('counts of the version before become counts and sets, also those of months that are dropped', async () => {
  const fresh = await createDatabases(1);
  await fresh.query('a', EVENTS);
  await fresh.query('a', COUNT_ALL);
  await mergeAll(fresh.shardUrlAs('a', 'worker'));
  await fresh.query('a', `SELECT shard.keep_past('shard.event_2026_03', '2026-04-01Z'); ${DROP_MARCH}`);
  const expected = await shown(fresh);
  expect(expected.map((rows) => rows.length > 0)).toEqual(VIEWS.map(() => true));

  const older = await createDatabases(1);
  await makeOlder(older);
  await older.query(
    'catalog',
    `INSERT INTO catalog.recipient (id, email, is_test) OVERRIDING SYSTEM VALUE VALUES (5, 'test@example.org', true)`,
  );
  await older.query('a', `${EVENTS}; ${OLDER_COUNTS}; ${DROP_MARCH}`);
  expect((await migrate(older)).map(({ name }) => name)).toContain('0008-sets.sql');
  // Before the judge has merged the events, and after it.
  expect(await shown(older)).toEqual(expected);
  await mergeAll(older.shardUrlAs('a', 'worker'));
  expect(await shown(older)).toEqual(expected);
  expect(
    await older.query('a', `SELECT relname FROM pg_class WHERE relname ~ '^(old_|mark|engagement|clicked_link|reach)' AND relkind = 'r'`),
  ).toEqual([]);
  expect(await migrate(older)).toEqual([]);
});
