import { beforeAll, expect, test } from 'vitest';
import { RULES_VERSION } from '../../core/rules.ts';
import { clickledger, createDataDirectory, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

let databases: Databases;

const idOf = (n: number): string => String(n).padStart(32, '0');

beforeAll(async () => {
  databases = await createDatabases(2);
  // A person's click, a click that is unsure, a scanner's click on a shared link by older rules, and a reader's open.
  for (const [shard, hits] of [
    [
      'a',
      `(1, 'click', 17, 'human', NULL, NULL, ${RULES_VERSION}), (2, 'click', 18, 'unsure', 'hetzner', '{hosting-net}', ${RULES_VERSION})`,
    ],
    ['b', `(3, 'click', 0, 'head', NULL, '{head}', 1), (4, 'open', 19, 'human', 'google', '{hosting-net,proxied}', ${RULES_VERSION})`],
  ])
    await databases.query(
      shard as string,
      `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, rules, kind, verdict, net, signals)
       SELECT '2030-05-01T09:20:00Z', n, gen_random_uuid(), lpad(n::text, 32, '0')::uuid, person, 5, 2, 7, rules, kind::shard.kind, verdict::shard.verdict, net, signals::text[]
       FROM (VALUES ${hits}) AS hit (n, kind, person, verdict, net, signals, rules)`,
    );
});

const why = async (...args: string[]): Promise<CommandResult> =>
  clickledger(['--data', await createDataDirectory(databases), 'why', ...args]);

test('an unsure click: its signals with weight and source, and what would change the verdict', async () => {
  const { code, stdout, stderr } = await why(idOf(2));
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^signal +weight +what +source\nhosting-net +3.5 +a server of a hosting provider or cloud +https:\/\/\S+\nsum +3.5 +unsure from 2, a machine's from 5 *\n$/,
  );
  expect(stderr.split('\n')).toEqual([
    'click of recipient 18 on link 5 of campaign 2 at 2030-05-01T09:20:00.000Z, from the network hetzner (hosting)',
    'verdict: unsure',
    "Further signals that weigh 1.5 or more would make it a machine's.",
    'Without hosting-net the verdict would be human.',
    '',
  ]);
});

test('hits of people, of machines, and by older rules', async () => {
  expect((await why(idOf(1))).stderr).toContain('Further signals that weigh 2 or more would make it unsure.');
  const head = await why(idOf(3));
  expect(head.stderr).toContain('click of a shared link on link 5');
  expect(head.stderr).toContain(
    `verdict: head, by version 1 of the rules; the weights are those of version ${RULES_VERSION}\nWithout head the verdict would be human.`,
  );
  const open = await why(idOf(4));
  expect(open.stdout).toMatch(/hosting-net +3.5 .*\nproxied +-2 .*\nsum +1.5 /);
  expect(open.stderr).toContain('Without proxied the verdict would be unsure.');
});

test('as JSON, and with an id as Postgres writes it', async () => {
  const { stdout, stderr } = await why('00000000-0000-0000-0000-000000000002', '--json');
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toMatchObject({
    kind: 'click',
    recipient_id: 18,
    network_kind: 'hosting',
    verdict: 'unsure',
    signals: [{ signal: 'hosting-net', weight: 3.5 }],
    weight: 3.5,
  });
});

test('what cannot be found is an error that says what to do', async () => {
  expect(await why(idOf(9))).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining("no hit has the request id '") });
  for (const wrong of ['17', `${idOf(1)}0`, "'; DROP TABLE x"])
    expect(await why(wrong)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('is not a request id. It has 32 hex digits'),
    });
});
