import { expect, test } from 'vitest';
import { clickledger, createDataDirectory } from '../../test/support/commands.ts';
import { createDatabases } from '../../test/support/databases.ts';

test('no number of a campaign, link or recipient that was seen anywhere is given again', async () => {
  const databases = await createDatabases(2);
  const next = async (): Promise<Record<string, number>> => {
    const [campaign] = await databases.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.campaign (name) VALUES (gen_random_uuid()) RETURNING id::int`,
    );
    const [link] = await databases.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'url', gen_random_uuid()) RETURNING id::int`,
      [campaign?.id],
    );
    const [recipient] = await databases.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.recipient (external_id) VALUES (gen_random_uuid()) RETURNING id::int`,
    );
    return { campaign: campaign?.id ?? 0, link: link?.id ?? 0, recipient: recipient?.id ?? 0 };
  };
  expect(await next()).toEqual({ campaign: 1, link: 1, recipient: 1 });
  // These hits have numbers that were created after the backup. Some of the hits are merged. One hit is still in a delta.
  await databases.query(
    'b',
    "INSERT INTO shard.delta (campaign_id, hits, times, recipient_ids, link_ids, profiles, kinds, verdicts, countries, nets, referrers, agent_ids) VALUES (3, 1, '{1}', '{900}', '{57}', '{1}', '{click}', '{human}', '{NULL}', '{NULL}', '{NULL}', '{1}')",
  );
  await databases.query('a', `INSERT INTO shard.activity_15m VALUES (7, 40, now(), 'click', 'human', 1)`);
  await databases.query('a', `INSERT INTO shard.people VALUES (7, 'all', '', 0, 'click', 0, 1, 1, '{800}', NULL, '{800}', NULL)`);

  const data = await createDataDirectory(databases);
  const run = (...args: string[]) => clickledger(['--data', data, 'restored', ...args]);
  const { code, stdout } = await run('--skip', '10', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    skipped: [
      { table: 'campaign', next_before: 2, next: 18 },
      { table: 'link', next_before: 2, next: 68 },
      { table: 'recipient', next_before: 2, next: 911 },
    ],
  });
  expect(await next()).toEqual({ campaign: 18, link: 68, recipient: 911 });
  expect((await run()).stdout).toMatch(/link +69 +1000069\n/);
  expect(await run('--skip', 'many')).toMatchObject({ code: 1, stderr: expect.stringContaining('--skip') });
});
