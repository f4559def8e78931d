import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { evenShards, parseShards } from '../core/shards.ts';
import { migrate } from '../sql/migrate.ts';
import { freePort } from '../stack/ports.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { COUNT_ALL } from '../test/support/deltas.ts';
import { ensureCampaign } from './campaigns.ts';
import { resolveRecipients } from './resolve-recipients.ts';
import { ensureRecipient, findRecipient, forget, normaliseEmail, setOptedOut, setTest, copyFlagsToShards } from './recipients.ts';

describe('addresses', () => {
  test.each([
    ['ann@example.com', 'ann@example.com'],
    ['Ann.Lee@Example.COM', 'ann.lee@example.com'],
    ['  ann@example.com\t', 'ann@example.com'],
    ['\u00a0ann@example.com\ufeff', 'ann@example.com'],
    ['ann+news@example.com', 'ann+news@example.com'],
    ["o'neil_x-y@sub.example.co.uk", "o'neil_x-y@sub.example.co.uk"],
    ['1@2.example', '1@2.example'],
    ['ann@MÜNCHEN.example', 'ann@xn--mnchen-3ya.example'],
    ['ann@XN--MNCHEN-3YA.example', 'ann@xn--mnchen-3ya.example'],
    ['ann@straße.example', 'ann@xn--strae-oqa.example'],
    ['ann@例え.example', 'ann@xn--r8jz45g.example'],
    // This domain has the East Asian full stop.
    ['ann@例え。example', 'ann@xn--r8jz45g.example'],
    [`${'a'.repeat(64)}@example.com`, `${'a'.repeat(64)}@example.com`],
    [`a@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(4)}.com`, expect.stringMatching(/^.{254}$/)],
  ])('%j is stored as %j', (text, stored) => {
    expect(normaliseEmail(text)).toEqual(stored);
  });

  // These top-level domains are in other scripts, e.g. the Cyrillic domain of Russia.
  test.each([
    ['ann@почта.рф', 'ann@xn--80a1acny.xn--p1ai'],
    ['ann@xn--80a1acny.xn--p1ai', 'ann@xn--80a1acny.xn--p1ai'],
    ['ann@例え.テスト', 'ann@xn--r8jz45g.xn--zckzah'],
  ])('a top-level domain in another script is one as well: %s', (text, stored) => {
    expect(normaliseEmail(text)).toBe(stored);
  });

  test.each([
    '',
    ' ',
    'ann',
    '@',
    'ann@',
    '@example.com',
    'ann@example',
    'ann@@example.com',
    'a@b@example.com',
    'ann lee@example.com',
    'ann@exam ple.com',
    'ann@example.com, bob@example.com',
    'ann@example.com;bob@example.com',
    'ann@example.com\nbob@example.com',
    'ann@example.com\r\nBcc: bob@example.com',
    'ann\0@example.com',
    '"ann"@example.com',
    '.ann@example.com',
    'ann.@example.com',
    'a..b@example.com',
    'ann@.example.com',
    'ann@example..com',
    'ann@-example.com',
    'ann@[192.0.2.1]',
    'ann@192.0.2.1',
    'änn@example.com',
    '文@example.com',
    'ann@münchen',
    'ann@münchen.example:80',
    `a@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(5)}.com`,
  ])('%j is none', (text) => {
    expect(normaliseEmail(text)).toBeUndefined();
  });

  // The text after the domain must not be dropped, because the result would be the address of another person.
  test.each([
    'ann@münchen.example/x',
    'ann@münchen.example?x=y',
    'ann@münchen.example#x',
    'ann@münchen.example\\x',
    'ann@m%C3%BCnchen.ü.example',
  ])('%j is none, whatever a URL would make of it', (text) => {
    expect(normaliseEmail(text)).toBeUndefined();
  });

  test('stored twice they are the same', () => {
    for (const text of ['ANN@MÜNCHEN.example', ' a@b.co ', 'ann@straße.example'])
      expect(normaliseEmail(normaliseEmail(text) as string)).toBe(normaliseEmail(text));
  });
});

describe('in the catalog', () => {
  let databases: Databases;
  let pool: Pool;

  beforeAll(async () => {
    databases = await createDatabases(1);
    pool = createPool(databases.roleUrls.author, { max: 5, name: 'test' });
    return () => pool.end();
  });

  const rowOf = async (id: number) =>
    (
      await databases.query<{
        email: string | null;
        external_id: string | null;
        opted_out_at: Date | null;
        forgotten_at: Date | null;
        is_test: boolean;
      }>('catalog', 'SELECT email, external_id, opted_out_at, forgotten_at, is_test FROM catalog.recipient WHERE id = $1', [id])
    )[0];

  test('somebody is found by address or by id, however the address is written', async () => {
    const [person] = await resolveRecipients(pool, [{ email: 'found@xn--mnchen-3ya.example', externalId: 'Found 1' }]);
    for (const name of [{ email: 'FOUND@münchen.example ' }, { email: 'found@xn--mnchen-3ya.example' }, { id: 'Found 1' }])
      expect(await findRecipient(pool, name)).toBe(person?.id);
    await expect(findRecipient(pool, { email: 'nobody@example.com' })).rejects.toMatchObject({ code: 'not-found' });
    await expect(findRecipient(pool, { id: 'found 1' })).rejects.toMatchObject({ code: 'not-found' });
    await expect(findRecipient(pool, { email: 'nonsense' })).rejects.toMatchObject({ code: 'bad-input' });
  });

  test('opting out twice keeps the first time, and can be taken back', async () => {
    const id = await ensureRecipient(pool, 'out@example.com');
    const other = await ensureRecipient(pool, 'in@example.com');
    await setOptedOut(pool, id, true);
    const first = (await rowOf(id))?.opted_out_at;
    expect(first).toBeInstanceOf(Date);
    await setOptedOut(pool, id, true);
    expect((await rowOf(id))?.opted_out_at).toEqual(first);
    expect((await rowOf(other))?.opted_out_at).toBeNull();
    await expect(ensureRecipient(pool, 'out@example.com')).rejects.toMatchObject({ code: 'conflict' });
    expect(await resolveRecipients(pool, [{ email: 'out@example.com', externalId: undefined }])).toEqual([
      { id, optedOut: true, isTest: false, unsubscribed: false },
    ]);
    await setOptedOut(pool, id, false);
    await setOptedOut(pool, id, false);
    expect((await rowOf(id))?.opted_out_at).toBeNull();
    expect(await ensureRecipient(pool, 'out@example.com')).toBe(id);
  });

  test('test recipients are marked, several at once, and unmarked', async () => {
    const ids = await Promise.all(['t1', 't2', 't3'].map((name) => ensureRecipient(pool, `${name}@example.com`)));
    await setTest(pool, ids.slice(0, 2), true);
    await setTest(pool, ids.slice(0, 2), true);
    const marks = async () => Promise.all(ids.map(async (id) => (await rowOf(id))?.is_test));
    expect(await marks()).toEqual([true, true, false]);
    await setTest(pool, [ids[0] as number], false);
    await setTest(pool, [], true);
    expect(await marks()).toEqual([false, true, false]);
  });

  test('who is forgotten leaves a number that leads nowhere, and comes back as somebody new', async () => {
    const campaign = (await ensureCampaign(pool, 'before forgetting')).id;
    const key = { email: 'gone@example.com', externalId: 'gone-1' };
    const [before] = await resolveRecipients(pool, [key], campaign);
    const id = before?.id as number;
    await setOptedOut(pool, id, true);
    await forget(pool, id);
    const row = await rowOf(id);
    expect(row).toMatchObject({ email: null, external_id: null, forgotten_at: expect.any(Date) });
    await forget(pool, id);
    expect(await rowOf(id)).toEqual(row);
    for (const name of [{ email: 'gone@example.com' }, { id: 'gone-1' }])
      await expect(findRecipient(pool, name)).rejects.toMatchObject({ code: 'not-found' });

    const [again] = await resolveRecipients(pool, [key]);
    expect(again?.id).toBeGreaterThan(id);
    expect(await rowOf(id)).toEqual(row);
    expect(await ensureRecipient(pool, 'gone@example.com')).toBe(again?.id);
    expect(await databases.query('catalog', 'SELECT recipient_id FROM catalog.mailing WHERE campaign_id = $1', [campaign])).toEqual([
      { recipient_id: id },
    ]);
  });

  test('several can be forgotten, and nothing in the database names them any more', async () => {
    const keys = ['f1', 'f2'].map((name) => ({ email: `${name}@secret.example`, externalId: `secret ${name}` }));
    const people = await resolveRecipients(pool, keys);
    for (const person of people) await forget(pool, person?.id as number);
    for (const table of ['catalog.recipient', 'catalog.mailing', 'analytics.recipients'])
      expect(await databases.query('catalog', `SELECT FROM ${table} t WHERE t::text LIKE '%secret%'`)).toEqual([]);
  });

  test('an author cannot remove anybody, nor change a number', async () => {
    const id = await ensureRecipient(pool, 'stays@example.com');
    await expect(pool.query('DELETE FROM catalog.recipient WHERE id = $1', [id])).rejects.toMatchObject({ code: '42501' });
    await expect(pool.query('UPDATE catalog.recipient SET id = 1 WHERE id = $1', [id])).rejects.toMatchObject({ code: '428C9' });
  });
});

describe('on the shards', () => {
  let databases: Databases;
  let pool: Pool;
  let campaign: number;
  let people: { id: number; email: string }[];

  beforeAll(async () => {
    databases = await createDatabases(2);
    pool = createPool(databases.roleUrls.author, { max: 5, name: 'test' });
    campaign = (await ensureCampaign(pool, 'the campaign')).id;
  });
  afterAll(() => pool.end());

  let groups = 0;
  // Each test has its own four people. On shard a, each person has a human click, a machine click and an open. On shard b, each person has
  // a human click.
  beforeEach(async () => {
    groups++;
    const emails = ['a', 'b', 'c', 'd'].map((name) => `${name}@group${groups}.example`);
    await databases.query('catalog', 'TRUNCATE catalog.mailing');
    const found = await resolveRecipients(
      pool,
      emails.map((email) => ({ email, externalId: undefined })),
      campaign,
    );
    people = found.map((recipient, i) => ({ id: recipient?.id as number, email: emails[i] as string }));
    for (const shard of ['a', 'b']) {
      await databases.query(shard, 'TRUNCATE shard.event, shard.delta, shard.people, shard.hit_count, shard.activity_15m');
      await databases.query(shard, 'TRUNCATE shard.recipient');
      await databases.query(
        shard,
        `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, link_version, rules, kind, verdict)
         SELECT '2026-03-01T12:00:00Z'::timestamptz, person * 10 + hit, gen_random_uuid(), gen_random_uuid(), person, 1, $2, 7, 1, 1,
                CASE WHEN hit = 2 THEN 'open' ELSE 'click' END::shard.kind, CASE WHEN hit = 1 THEN 'bot-ua' ELSE 'human' END::shard.verdict
         FROM unnest($1::bigint[]) person, generate_series(0, $3) hit`,
        [people.map(({ id }) => id), campaign, shard === 'a' ? 2 : 0],
      );
      // A click on a shared link has no recipient.
      await databases.query(
        shard,
        `INSERT INTO shard.event (at, off, gen, rid, recipient_id, link_id, campaign_id, agent_id, link_version, rules, kind, verdict)
         VALUES ('2026-03-01T12:00:00Z', 9999, gen_random_uuid(), gen_random_uuid(), 0, 2, $1, 7, 1, 1, 'click', 'human')`,
        [campaign],
      );
      await databases.query(shard, COUNT_ALL);
    }
  });

  const idOf = (i: number): number => people[i]?.id as number;
  const copyFlags = (...ids: number[]) => copyFlagsToShards(pool, databases.shards, databases.roleUrls.author, ids);
  const migrateAgain = () => migrate(databases);

  const flagsOn = async (shard: string) =>
    databases.query<{ recipient_id: number; is_test: boolean; forgotten: boolean }>(
      shard,
      'SELECT recipient_id, is_test, forgotten FROM shard.recipient ORDER BY recipient_id',
    );

  /** Returns what an analyst reads on a shard: the recipients with events, and all counts. */
  async function counted(shard: string) {
    const analyst = createPool(databases.shardUrlAs(shard, 'analyst'), { max: 1, name: 'test' });
    try {
      const numbers = async (sql: string) => (await analyst.query<{ n: number | null }>(sql)).rows.map(({ n }) => n);
      const totals = await analyst.query<{ kind: string; hits: number; human_hits: number; recipients: number; human_recipients: number }>(
        'SELECT kind, hits, human_hits, recipients, human_recipients FROM shard_analytics.campaign_totals ORDER BY kind',
      );
      return {
        events: await numbers('SELECT DISTINCT recipient_id AS n FROM shard_analytics.events ORDER BY n NULLS LAST'),
        engagement: await numbers('SELECT DISTINCT recipient_id AS n FROM shard_analytics.engagement ORDER BY n'),
        hits: await numbers('SELECT sum(hits)::int AS n FROM shard_analytics.activity_15m'),
        totals: totals.rows.map((row) => Object.values(row)),
      };
    } finally {
      await analyst.end();
    }
  }

  /** Returns the expected result of `counted` on shard a and on shard b if exactly these people count. */
  const expectedOf = (...ids: number[]) => [
    {
      events: [...ids, null],
      engagement: ids,
      hits: [ids.length * 3 + 1],
      totals: [
        ['click', ids.length * 2 + 1, ids.length + 1, ids.length, ids.length],
        ['open', ids.length, ids.length, ids.length, ids.length],
      ],
    },
    {
      events: [...ids, null],
      engagement: ids,
      hits: [ids.length + 1],
      totals: [
        ['click', ids.length + 1, ids.length + 1, ids.length, ids.length],
        // A recipient who clicked also counts as a recipient who opened.
        ['open', 0, 0, ids.length, ids.length],
      ],
    },
  ];
  const expectCounted = async (...ids: number[]) => expect([await counted('a'), await counted('b')]).toEqual(expectedOf(...ids));

  const preparedFor = async () =>
    (
      await databases.query<{ prepared_for: number }>('catalog', 'SELECT prepared_for FROM analytics.campaigns WHERE campaign_id = $1', [
        campaign,
      ])
    )[0]?.prepared_for;

  test('a test recipient vanishes from every count, and comes back', async () => {
    const all = people.map(({ id }) => id);
    await expectCounted(...all);
    expect(await preparedFor()).toBe(4);

    await setTest(pool, [idOf(1), idOf(3)], true);
    await copyFlags(idOf(1), idOf(3));
    await expectCounted(idOf(0), idOf(2));
    expect(await preparedFor()).toBe(2);
    expect(await databases.query('a', 'SELECT FROM shard.event')).toHaveLength(13);
    // The views over all shards leave out the test recipients, too.
    expect(
      await databases.query('catalog', 'SELECT DISTINCT recipient_id FROM analytics.activity WHERE campaign_id = $1 ORDER BY 1', [
        campaign,
      ]),
    ).toEqual([{ recipient_id: idOf(0) }, { recipient_id: idOf(2) }]);

    await setTest(pool, [idOf(1), idOf(3)], false);
    await copyFlags(idOf(1), idOf(3));
    await expectCounted(...all);
    expect(await preparedFor()).toBe(4);
  });

  test('telling twice changes nothing, and nobody else is told of', async () => {
    await setTest(pool, [idOf(0), idOf(1)], true);
    await copyFlags(idOf(0));
    await copyFlags(idOf(0));
    for (const shard of ['a', 'b']) expect(await flagsOn(shard)).toEqual([{ recipient_id: idOf(0), is_test: true, forgotten: false }]);
    await copyFlags();
    await expectCounted(idOf(1), idOf(2), idOf(3));
  });

  test('who is forgotten still counts, without a name', async () => {
    await forget(pool, idOf(2));
    await copyFlags(idOf(2));
    await expectCounted(...people.map(({ id }) => id));
    for (const shard of ['a', 'b']) expect(await flagsOn(shard)).toEqual([{ recipient_id: idOf(2), is_test: false, forgotten: true }]);
  });

  test('what holds in the catalog is said when a shard is out of reach, and how to make up for it', async () => {
    const [first, second] = databases.shards.list;
    const unreachable = parseShards(`a=00=${first?.url},b=${second?.from}=postgres://127.0.0.1:${await freePort()}/nowhere`);
    await setTest(pool, [idOf(0)], true);
    await expect(copyFlagsToShards(pool, unreachable, databases.roleUrls.author, [idOf(0)])).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/shard b .*clickledger migrate/),
    });
    expect(await flagsOn('a')).toHaveLength(1);
    expect(await flagsOn('b')).toEqual([]);
    await migrateAgain();
    expect(await flagsOn('b')).toEqual(await flagsOn('a'));
    await expectCounted(idOf(1), idOf(2), idOf(3));
    const missing = parseShards(evenShards(1, () => `${databases.shards.first.url}_none`));
    await expect(copyFlagsToShards(pool, missing, databases.roleUrls.author, [idOf(0)])).rejects.toMatchObject({
      code: 'wrong-database',
      message: expect.stringMatching(/shard a .*clickledger migrate/),
    });
  });

  test('a catalog that was put back to a time before learns again who was forgotten', async () => {
    await forget(pool, idOf(0));
    await copyFlags(idOf(0));
    await databases.query(
      'catalog',
      `UPDATE catalog.recipient SET forgotten_at = NULL, email = $2, external_id = 'put back' WHERE id = $1`,
      [idOf(0), people[0]?.email],
    );
    await migrateAgain();
    await migrateAgain();
    expect(
      await databases.query('catalog', 'SELECT email, external_id, forgotten_at FROM catalog.recipient WHERE id = $1', [idOf(0)]),
    ).toEqual([{ email: null, external_id: null, forgotten_at: expect.any(Date) }]);
    for (const shard of ['a', 'b']) expect(await flagsOn(shard)).toContainEqual({ recipient_id: idOf(0), is_test: false, forgotten: true });
    expect(await ensureRecipient(pool, people[0]?.email as string)).toBeGreaterThan(idOf(3));
  });

  test('a tombstone stays on the shards, whatever else is done to the person before `migrate` has run', async () => {
    await forget(pool, idOf(0));
    await copyFlags(idOf(0));
    await databases.query('catalog', 'UPDATE catalog.recipient SET forgotten_at = NULL, email = $2 WHERE id = $1', [
      idOf(0),
      people[0]?.email,
    ]);
    await setTest(pool, [idOf(0)], true);
    await copyFlags(idOf(0));
    for (const shard of ['a', 'b']) expect(await flagsOn(shard)).toEqual([{ recipient_id: idOf(0), is_test: true, forgotten: true }]);
    await migrateAgain();
    expect(await databases.query('catalog', 'SELECT email FROM catalog.recipient WHERE id = $1', [idOf(0)])).toEqual([{ email: null }]);
  });

  test('a tombstone on one shard is enough', async () => {
    await forget(pool, idOf(0));
    await copyFlags(idOf(0));
    await databases.query('catalog', 'UPDATE catalog.recipient SET forgotten_at = NULL, email = $2 WHERE id = $1', [
      idOf(0),
      people[0]?.email,
    ]);
    await databases.query('a', 'TRUNCATE shard.recipient');
    await migrateAgain();
    expect(await databases.query('catalog', 'SELECT email FROM catalog.recipient WHERE id = $1', [idOf(0)])).toEqual([{ email: null }]);
    expect(await flagsOn('a')).toEqual(await flagsOn('b'));
  });

  test('a catalog that does not know the forgotten at all keeps their numbers taken', async () => {
    await forget(pool, idOf(3));
    await copyFlags(idOf(3));
    await databases.query('catalog', 'DELETE FROM catalog.mailing WHERE recipient_id = $1', [idOf(3)]);
    await databases.query('catalog', 'DELETE FROM catalog.recipient WHERE id = $1', [idOf(3)]);
    await migrateAgain();
    expect(await databases.query('catalog', 'SELECT email, forgotten_at FROM catalog.recipient WHERE id = $1', [idOf(3)])).toEqual([
      { email: null, forgotten_at: expect.any(Date) },
    ]);
  });

  // The backup of a catalog also contains the sequence of numbers as it was at the time of the backup.
  test.each(['one by one', 'as a list'])('whose numbers come next in such a catalog are made all the same, %s', async (way) => {
    // Later tests must get unused ids, even if this test fails.
    onTestFinished(async () => {
      await databases.query('catalog', `SELECT setval('catalog.recipient_id_seq', 1000 * $1)`, [groups]);
    });
    const gone = [idOf(2), idOf(3)];
    for (const id of gone) await forget(pool, id);
    await copyFlags(...gone);
    await databases.query('catalog', 'DELETE FROM catalog.mailing');
    await databases.query('catalog', 'DELETE FROM catalog.recipient WHERE id >= $1', [idOf(2)]);
    await databases.query('catalog', `ALTER TABLE catalog.recipient ALTER COLUMN id RESTART WITH ${idOf(2)}`);
    await migrateAgain();
    const emails = ['x', 'y', 'z'].map((name) => `${name}@group${groups}.example`);
    const created: (number | undefined)[] = [];
    if (way === 'one by one') for (const email of emails) created.push(await ensureRecipient(pool, email));
    else
      created.push(
        ...(
          await resolveRecipients(
            pool,
            emails.map((email) => ({ email, externalId: undefined })),
          )
        ).map((recipient) => recipient?.id),
      );
    expect(created).toEqual(emails.map(() => expect.any(Number)));
    expect(new Set([...created, ...gone]).size).toBe(5);
  });

  test('a shard that was emptied is told everything again', async () => {
    await setTest(pool, [idOf(0)], true);
    await forget(pool, idOf(1));
    await setTest(pool, [idOf(2)], true);
    await forget(pool, idOf(2));
    await copyFlags(idOf(0), idOf(1), idOf(2));
    const before = await flagsOn('b');
    expect(before).toEqual([
      { recipient_id: idOf(0), is_test: true, forgotten: false },
      { recipient_id: idOf(1), is_test: false, forgotten: true },
      { recipient_id: idOf(2), is_test: true, forgotten: true },
    ]);
    await databases.query('b', 'TRUNCATE shard.recipient');
    await migrateAgain();
    const mine = (await flagsOn('b')).filter(({ recipient_id }) => recipient_id >= idOf(0));
    expect(mine).toEqual(before);
    await expectCounted(idOf(1), idOf(3));
  });

  test('a mark that the catalog does not have any more is cleared', async () => {
    await setTest(pool, [idOf(0), idOf(1)], true);
    await copyFlags(idOf(0), idOf(1));
    await databases.query('catalog', 'UPDATE catalog.recipient SET is_test = false WHERE id = $1', [idOf(0)]);
    await databases.query('b', 'INSERT INTO shard.recipient (recipient_id, is_test) VALUES (123456789, true)');
    await migrateAgain();
    await expectCounted(idOf(0), idOf(2), idOf(3));
    for (const shard of ['a', 'b'])
      expect((await flagsOn(shard)).filter(({ is_test }) => is_test).map(({ recipient_id }) => recipient_id)).toContain(idOf(1));
    expect((await flagsOn('b')).find(({ recipient_id }) => recipient_id === 123456789)?.is_test).toBe(false);
  });

  test('an author may say who is a test, and read no event', async () => {
    const author = createPool(databases.shardUrlAs('a', 'author'), { max: 1, name: 'test' });
    try {
      for (const table of ['shard.event', 'shard.counted', 'shard_analytics.events'])
        await expect(author.query(`SELECT FROM ${table}`)).rejects.toMatchObject({ code: '42501' });
      await expect(author.query('DELETE FROM shard.recipient')).rejects.toMatchObject({ code: '42501' });
    } finally {
      await author.end();
    }
  });
});
