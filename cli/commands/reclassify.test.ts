import { beforeAll, expect, test } from 'vitest';
import { RULES_VERSION } from '../../core/rules.ts';
import { clickledger, createDataDirectory } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { appendDeltas, COUNT_ALL } from '../../test/support/deltas.ts';

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(2);
  await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('old'), ('other')`);
  // These hits were judged by version 1 of the rules, which had no networks and no bursts. On each shard, campaign 1 has a click of a
  // scanner, three clicks within a second (a short burst), and a click of a reader. Campaign 2 has a click of a scanner.
  for (const shard of ['a', 'b']) {
    await databases.query(
      shard,
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict, net)
       SELECT '2026-03-01T12:00:00Z'::timestamptz + ms * interval '1 ms', n, gen_random_uuid(), gen_random_uuid(), person, link, campaign, 7, 1, 'click', 'human', net
       FROM (VALUES (1, 0, 1, 1, 1, 'barracuda'), (2, 0, 2, 1, 1, NULL), (3, 300, 2, 2, 1, NULL), (4, 900, 2, 3, 1, NULL), (5, 0, 3, 1, 1, NULL), (6, 0, 4, 1, 2, 'barracuda'))
            AS hit (n, ms, person, link, campaign, net)`,
    );
    await databases.query(shard, COUNT_ALL);
  }
});

const run = async (...args: string[]) => clickledger(['--data', await createDataDirectory(databases), 'reclassify', ...args]);
const totals = () =>
  databases.query(
    'catalog',
    "SELECT campaign_id::int, hits::int, human_hits::int, human_recipients::int FROM analytics.campaign_totals WHERE kind = 'click' ORDER BY campaign_id",
  );

test('history is judged again on every shard, and what changed is told', async () => {
  const before = await totals();
  const dry = await run('--campaign', 'old', '--dry-run');
  expect(dry.code).toBe(0);
  expect(dry.stdout).toMatch(/click +human +unsure +6\n/);
  expect(dry.stdout).toMatch(/click +human +scanner-net +2\n/);
  expect(dry.stderr).toContain('8 of 10 hits would change');
  expect(await totals()).toEqual(before);

  const { code, stdout } = await run('--campaign', 'old', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ dry_run: false, hits: 10, judged_by_older_rules: 10 });
  expect(await totals()).toEqual([
    { campaign_id: 1, hits: 10, human_hits: 2, human_recipients: 2 },
    { campaign_id: 2, hits: 2, human_hits: 2, human_recipients: 2 },
  ]);

  const again = await run('--campaign', '1');
  expect(again.stdout).toBe('');
  expect(again.stderr).toBe(`0 of 10 hits changed by the rules of version ${RULES_VERSION}\n`);
});

test('the time of sending and the hidden links are read again', async () => {
  // The worker had not read the time of sending when the click arrived, and the other time was recorded by mistake.
  await databases.query('catalog', `UPDATE catalog.campaign SET sent_at = '2026-03-02T12:00:00Z' WHERE name = 'other'`);
  const [link] = (await databases.query(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, label, original) SELECT id, 'honeypot', '', '' FROM catalog.campaign WHERE name = 'other' RETURNING id::int`,
  )) as [{ id: number }];
  await databases.query(
    'a',
    `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict, signals)
     SELECT '2026-03-02T11:59:59Z'::timestamptz + seconds * interval '1 s', seconds, gen_random_uuid(), gen_random_uuid(), 5 + n, link, 2, 7, ${RULES_VERSION}, kind::shard.kind, 'human', signals
     FROM (VALUES (1, 0, 99, 'click', '{early}'::text[]), (2, 1, 99, 'click', NULL), (3, 1, 99, 'open', NULL), (4, 60, 99, 'click', NULL), (5, 61, 99, 'click', NULL), (6, 99, ${link.id}, 'click', NULL))
          AS hit (n, seconds, link, kind, signals)`,
  );
  await databases.query('a', appendDeltas(`(SELECT * FROM shard.event WHERE at > '2026-03-02')`));
  const { code, stdout } = await run('--campaign', 'other', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout).changed).toEqual([
    { kind: 'click', was: 'human', becomes: 'honeypot', hits: 1, older_rules: 0 },
    { kind: 'click', was: 'human', becomes: 'scanner-net', hits: 2, older_rules: 2 },
  ]);
  expect(
    await databases.query('a', `SELECT recipient_id::int - 5 AS n, signals FROM shard.event WHERE at > '2026-03-02' ORDER BY n`),
  ).toEqual([
    { n: 1, signals: null },
    { n: 2, signals: ['early'] },
    { n: 3, signals: null },
    { n: 4, signals: ['early'] },
    { n: 5, signals: null },
    { n: 6, signals: ['honeypot'] },
  ]);
});
