import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { runs } from '../test/support/runs.ts';
import { ensureCampaign } from './campaigns.ts';
import { type PersonKey, type Recipient, resolveRecipients } from './resolve-recipients.ts';
import { ensureRecipient, forget, setOptedOut, setTest } from './recipients.ts';

let databases: Databases;
let pool: Pool;
let owner: Pool;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 10, name: 'test' });
  owner = createPool(databases.ownerUrl, { max: 2, name: 'test' });
  return async () => {
    await pool.end();
    await owner.end();
  };
});

interface Row {
  id: number;
  email: string | null;
  external_id: string | null;
}

let namespaces = 0;
/** Returns functions that create mail addresses and ids that no other test uses. */
function namespace() {
  const name = `n${++namespaces}`;
  return {
    person: (email: string | undefined, externalId: string | undefined): PersonKey => ({
      email: email === undefined ? undefined : `${email}@${name}.example`,
      externalId: externalId === undefined ? undefined : `${name}:${externalId}`,
    }),
    email: (local: string) => `${local}@${name}.example`,
    rows: async (): Promise<Row[]> =>
      (
        await owner.query<Row>(
          `SELECT id, email, external_id FROM catalog.recipient WHERE email LIKE '%@' || $1 || '.example' OR external_id LIKE $1 || ':%' ORDER BY id`,
          [name],
        )
      ).rows,
  };
}

/** Returns the highest recipient id that the sequence has produced. */
async function lastNumber(): Promise<number> {
  return (
    (
      await owner.query<{ last_value: number }>(
        'SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last_value FROM catalog.recipient_id_seq',
      )
    ).rows[0]?.last_value ?? 0
  );
}

const idsOf = (recipients: readonly (Recipient | undefined)[]): (number | undefined)[] => recipients.map((recipient) => recipient?.id);

describe('who is who', () => {
  test('an address is one person, whoever is asked for with it', async () => {
    const { person, rows } = namespace();
    const first = idsOf(await resolveRecipients(pool, [person('a', undefined), person('b', undefined), person('a', undefined)]));
    expect(first[0]).toBe(first[2]);
    expect(new Set(first).size).toBe(2);
    expect(idsOf(await resolveRecipients(pool, [person('b', undefined), person('a', undefined)]))).toEqual([first[1], first[0]]);
    expect(await rows()).toHaveLength(2);
  });

  test('ids alone do as well', async () => {
    const { person, rows } = namespace();
    const first = idsOf(await resolveRecipients(pool, [person(undefined, '1'), person(undefined, '2'), person(undefined, '1')]));
    expect(first[0]).toBe(first[2]);
    expect(idsOf(await resolveRecipients(pool, [person(undefined, '2'), person(undefined, '1')]))).toEqual([first[1], first[0]]);
    expect((await rows()).map(({ email }) => email)).toEqual([null, null]);
  });

  test('an id keeps its person, whose address changes', async () => {
    const { person, email, rows } = namespace();
    const [before] = idsOf(await resolveRecipients(pool, [person('old', '1')]));
    expect(idsOf(await resolveRecipients(pool, [person('new', '1')]))).toEqual([before]);
    expect((await rows()).map((row) => row.email)).toEqual([email('new')]);
    const [other] = idsOf(await resolveRecipients(pool, [person('old', undefined)]));
    expect(other).not.toBe(before);
  });

  test('an address that is known gets its id', async () => {
    const { person } = namespace();
    const [before] = idsOf(await resolveRecipients(pool, [person('a', undefined)]));
    expect(idsOf(await resolveRecipients(pool, [person('a', '1')]))).toEqual([before]);
    expect(idsOf(await resolveRecipients(pool, [person(undefined, '1')]))).toEqual([before]);
  });

  test('an id that is known gets its address', async () => {
    const { person } = namespace();
    const [before] = idsOf(await resolveRecipients(pool, [person(undefined, '1')]));
    expect(idsOf(await resolveRecipients(pool, [person('a', '1')]))).toEqual([before]);
    expect(idsOf(await resolveRecipients(pool, [person('a', undefined)]))).toEqual([before]);
  });

  test('the address of one and the id of another are nobody, and nobody loses them', async () => {
    const { person, rows } = namespace();
    await resolveRecipients(pool, [person('a', '1'), person('b', '2'), person('c', undefined)]);
    const before = await rows();
    expect(await resolveRecipients(pool, [person('b', '1'), person('a', '2')])).toEqual([undefined, undefined]);
    expect(await resolveRecipients(pool, [person('a', '3'), person('c', '1')])).toEqual([undefined, undefined]);
    expect(await rows()).toEqual(before);
  });

  test('who takes over an address that another one leaves in the same list is somebody new', async () => {
    for (const order of [1, -1]) {
      const { person, rows } = namespace();
      const [one] = idsOf(await resolveRecipients(pool, [person('a', '1')]));
      const list = [person('b', '1'), person('a', '2')].toSorted(() => order);
      const ids = new Map((await resolveRecipients(pool, list)).map((recipient, i) => [list[i]?.externalId?.slice(-1), recipient?.id]));
      expect(ids.get('1')).toBe(one);
      expect(ids.get('2')).toBeGreaterThan(one as number);
      expect(await rows()).toHaveLength(2);
    }
  });

  test('who takes over an address that another known person leaves in the same list is found at once', async () => {
    const { person } = namespace();
    const [one, two] = idsOf(await resolveRecipients(pool, [person('a', '1'), person('b', '2')]));
    const list = [person('b', '1'), person('c', '2')];
    const first = idsOf(await resolveRecipients(pool, list));
    expect(idsOf(await resolveRecipients(pool, list))).toEqual(first);
    expect(first).toEqual([one, two]);
  });

  test('of lines of one list that contradict each other the first is right', async () => {
    const { person, rows } = namespace();
    const results = await resolveRecipients(pool, [person('a', '1'), person('b', '1'), person('a', '2'), person('a', '1')]);
    expect(results.map((result) => result !== undefined)).toEqual([true, false, false, true]);
    expect(await rows()).toHaveLength(1);
  });

  test.each([
    ['id and address, then one of them', ['a1', '-1', 'a-', 'a1']],
    ['an address, then with its id', ['a-', 'a1']],
    ['an id, then with its address', ['-1', 'a1']],
    ['both, then each alone', ['a1', 'a-', '-1']],
  ])('the same person, named in several ways in one go: %s', async (_, names) => {
    const { person, rows } = namespace();
    const results = idsOf(
      await resolveRecipients(
        pool,
        names.map((name) => person(name[0] === '-' ? undefined : name[0], name[1] === '-' ? undefined : name[1])),
      ),
    );
    expect(await rows()).toHaveLength(1);
    expect(results).toEqual(names.map(() => results[0]));
    expect(results[0]).toBeDefined();
  });

  test('who has opted out, is a test, or was forgotten', async () => {
    const { person } = namespace();
    const list = ['a', 'b', 'c', 'd'].map((name) => person(name, name));
    const [out, testing, gone] = idsOf(await resolveRecipients(pool, list)) as [number, number, number];
    await setOptedOut(pool, out, true);
    await setTest(pool, [testing], true);
    await forget(pool, gone);
    const results = await resolveRecipients(pool, list);
    expect(results).toEqual([
      { id: out, optedOut: true, isTest: false, unsubscribed: false },
      { id: testing, optedOut: false, isTest: true, unsubscribed: false },
      { id: expect.any(Number), optedOut: false, isTest: false, unsubscribed: false },
      { id: expect.any(Number), optedOut: false, isTest: false, unsubscribed: false },
    ]);
    expect(results[2]?.id).toBeGreaterThan(gone);
  });

  test('nobody is nobody', async () => {
    expect(await resolveRecipients(pool, [])).toEqual([]);
  });
});

describe('lists of any people', () => {
  const letter = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const number = fc.constantFrom('1', '2', '3', '4', '5');
  const none = fc.constant(undefined);
  const chunkOf = (email: fc.Arbitrary<string | undefined>, id: fc.Arbitrary<string | undefined>) =>
    fc.array(fc.tuple(email, id), { minLength: 1, maxLength: 8 });
  // In a real list, either all people or none have an address, and the same is true for ids.
  const chunk = fc.oneof(
    { weight: 3, arbitrary: chunkOf(letter, number) },
    { weight: 1, arbitrary: chunkOf(letter, none) },
    { weight: 1, arbitrary: chunkOf(none, number) },
  );

  /**
   * Returns true if a person cannot be resolved, because the address and the id belong to two different people. Both may be in the catalog,
   * or in the part of the list before this person.
   */
  function contradiction(people: readonly PersonKey[], n: number, before: readonly Row[]): boolean {
    const { email, externalId } = people[n] as PersonKey;
    if (email === undefined || externalId === undefined) return false;
    const byEmail = before.find((row) => row.email === email);
    const byId = before.find((row) => row.external_id === externalId);
    const inList = people
      .slice(0, n)
      .some((other) => (other.externalId === externalId) !== (other.email === email) && other.externalId !== undefined);
    return inList || (byEmail !== undefined && byEmail !== byId && (byId !== undefined || byEmail.external_id !== null));
  }

  test('each is one recipient, the same every time, and undefined only for a contradiction', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { minLength: 1, maxLength: 5 }), async (chunks) => {
        const { person, rows } = namespace();
        for (const pairs of chunks) {
          const people = pairs.map(([email, id]) => person(email, id));
          const before = await rows();
          const last = await lastNumber();
          const results = idsOf(await resolveRecipients(pool, people));
          const after = await rows();
          expect(results).toHaveLength(people.length);

          // Every recipient keeps its id. An external id stays with its recipient.
          for (const row of before) expect(after.find(({ id }) => id === row.id)).toBeDefined();
          for (const row of before.filter(({ external_id }) => external_id !== null))
            expect(after.find(({ id }) => id === row.id)?.external_id).toBe(row.external_id);
          // Every new recipient is a person of the list.
          for (const row of after.filter(({ id }) => !before.some((known) => known.id === id))) {
            expect(row.id).toBeGreaterThan(last);
            expect(results).toContain(row.id);
          }

          for (const [n, { email, externalId }] of people.entries()) {
            const result = results[n];
            if (result === undefined) {
              expect(contradiction(people, n, before)).toBe(true);
              continue;
            }
            const row = after.find(({ id }) => id === result);
            if (email !== undefined) expect(row?.email).toBe(email);
            if (externalId !== undefined) expect(row?.external_id).toBe(externalId);
            const known = before.find((r) => externalId !== undefined && r.external_id === externalId);
            if (known) expect(result).toBe(known.id);
          }
          // No address and no external id belongs to two recipients.
          for (const key of ['email', 'external_id'] as const) {
            const values = after.map((row) => row[key]).filter((value) => value !== null);
            expect(new Set(values).size).toBe(values.length);
          }

          const lastCreated = await lastNumber();
          const repeated = idsOf(await resolveRecipients(pool, people));
          for (const [n, result] of results.entries()) if (result !== undefined) expect(repeated[n]).toBe(result);
          // If all people were resolved, a second call creates no recipient and uses no id of the sequence.
          if (repeated.every((result, n) => result === results[n])) expect(await rows()).toEqual(after);
          if (results.every((result) => result !== undefined)) expect(await lastNumber()).toBe(lastCreated);
        }
      }),
      runs(150),
    );
  });

  test('the order of a list does not matter where nothing in it contradicts', async () => {
    const pairs = fc
      .uniqueArray(fc.tuple(letter, number), { selector: ([email]) => email })
      .filter((list) => new Set(list.map(([, id]) => id)).size === list.length);
    await fc.assert(
      fc.asyncProperty(pairs, pairs, fc.infiniteStream(fc.nat()), async (first, second, noise) => {
        const shuffled = second
          .map((pair) => ({ pair, at: noise.next().value as number }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ pair }) => pair);
        const results: Map<string, string | undefined>[] = [];
        for (const list of [second, shuffled]) {
          const { person, rows } = namespace();
          await resolveRecipients(
            pool,
            first.map(([email, id]) => person(email, id)),
          );
          const known = (await rows()).map((row) => row.id);
          const resolved = await resolveRecipients(
            pool,
            list.map(([email, id]) => person(email, id)),
          );
          results.push(
            new Map(
              list.map((pair, n) => {
                const id = resolved[n]?.id;
                return [pair.join(), id === undefined ? undefined : known.includes(id) ? 'known' : 'new'];
              }),
            ),
          );
        }
        expect(results[1]).toEqual(results[0]);
      }),
      runs(60),
    );
  });
});

describe('numbers', () => {
  test('are given in the order of the list', async () => {
    const { person } = namespace();
    const people = Array.from({ length: 500 }, (_, i) => person(`p${(i * 7919) % 500}`, undefined));
    const ids = idsOf(await resolveRecipients(pool, people)) as number[];
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });

  test('are not used up by asking for those who are known', async () => {
    for (const [email, id] of [
      [true, true],
      [true, false],
      [false, true],
    ]) {
      const { person } = namespace();
      const people = Array.from({ length: 50 }, (_, i) => person(email ? `p${i}` : undefined, id ? `${i}` : undefined));
      await resolveRecipients(pool, people);
      const last = await lastNumber();
      for (let i = 0; i < 5; i++) await resolveRecipients(pool, people);
      expect(await lastNumber()).toBe(last);
    }
  });

  test('are not used up by those who contradict what is known', async () => {
    const { person } = namespace();
    await resolveRecipients(pool, [person('a', '1'), person('b', '2')]);
    const last = await lastNumber();
    await resolveRecipients(pool, [person('a', '2'), person('b', '1'), person('a', '3')]);
    expect(await lastNumber()).toBe(last);
  });
});

describe('mailings', () => {
  const prepared = async (campaign: number) =>
    (
      await owner.query<{ recipient_id: number; prepared_at: Date }>(
        'SELECT recipient_id, prepared_at FROM catalog.mailing WHERE campaign_id = $1 ORDER BY recipient_id',
        [campaign],
      )
    ).rows;

  test('are noted once a person and campaign, and not for those who are nobody', async () => {
    const { person } = namespace();
    const [one, other] = [await ensureCampaign(pool, 'mailing one'), await ensureCampaign(pool, 'mailing other', undefined)];
    await resolveRecipients(pool, [person('a', '1'), person('b', '2')]);
    expect(await prepared(one.id)).toEqual([]);
    const list = [person('a', '1'), person('b', '1'), person('a', '1'), person('c', '3')];
    const results = idsOf(await resolveRecipients(pool, list, one.id));
    const first = await prepared(one.id);
    expect(first.map(({ recipient_id }) => recipient_id)).toEqual([results[0], results[3]]);
    await resolveRecipients(pool, list, one.id);
    expect(await prepared(one.id)).toEqual(first);
    expect(await prepared(other.id)).toEqual([]);
    await resolveRecipients(pool, [person('b', '2')], other.id);
    expect(await prepared(other.id)).toHaveLength(1);
  });

  test('for a campaign that is not there leave nothing behind, nor spoil the connection', async () => {
    const { person, rows } = namespace();
    await expect(resolveRecipients(pool, [person('a', '1')], 999_999)).rejects.toMatchObject({ code: '23503' });
    expect(await rows()).toEqual([]);
    const single = createPool(databases.roleUrls.author, { max: 1, name: 'test' });
    try {
      await resolveRecipients(single, [person('x', '9')]);
      await expect(resolveRecipients(single, [person('a', '1')], 999_999)).rejects.toMatchObject({ code: '23503' });
      expect(idsOf(await resolveRecipients(single, [person('b', '2')]))).toEqual([expect.any(Number)]);
      expect((await rows()).map(({ external_id }) => external_id?.slice(-1))).toEqual(['9', '2']);
    } finally {
      await single.end();
    }
  });
});

describe('many at once', () => {
  test('callers with the same people end with one recipient each', async () => {
    for (let round = 0; round < 3; round++) {
      const { person, rows } = namespace();
      const people = Array.from({ length: 1000 }, (_, i) => person(`p${i}`, i % 2 === 0 ? `${i}` : undefined));
      const evens = people.filter(({ externalId }) => externalId !== undefined);
      const odds = people.filter(({ externalId }) => externalId === undefined);
      const campaign = (await ensureCampaign(pool, `at once ${round}`)).id;
      const lists = Array.from({ length: 9 }, (_, i) => {
        const list = i % 3 === 0 ? evens : i % 3 === 1 ? odds : people;
        const rotated = [...list.slice((i * 137) % list.length), ...list.slice(0, (i * 137) % list.length)];
        return i % 2 === 0 ? rotated : rotated.toReversed();
      });
      const results = await Promise.all(lists.map((list) => resolveRecipients(pool, list, campaign)));
      const found = await rows();
      expect(found).toHaveLength(1000);
      const byEmail = new Map(found.map(({ id, email }) => [email, id]));
      for (const [i, list] of lists.entries())
        expect(idsOf(results[i] ?? [])).toEqual(list.map(({ email }) => byEmail.get(email as string)));
      const { rows: counted } = await owner.query('SELECT FROM catalog.mailing WHERE campaign_id = $1', [campaign]);
      expect(counted).toHaveLength(1000);
    }
  });

  test('lists, single addresses, and people who move or are marked do not hold each other up', async () => {
    const { person, email, rows } = namespace();
    const all = Array.from({ length: 100 }, (_, i) => person(`p${i}`, `${i}`));
    const ids = idsOf(await resolveRecipients(pool, all.slice(0, 50))) as number[];
    const work = Array.from({ length: 10 }, (_, round) => [
      resolveRecipients(pool, round % 2 === 0 ? all : all.toReversed()),
      resolveRecipients(
        pool,
        all.map((_, i) => person(`p${i}`, undefined)),
      ),
      ...Array.from({ length: 10 }, (_, i) => ensureRecipient(pool, email(`p${round * 10 + i}`))),
      setTest(pool, round % 2 === 0 ? ids : ids.toReversed(), round % 2 === 0),
    ]);
    await Promise.all(work.flat());
    const found = await rows();
    expect(found).toHaveLength(100);
    expect(new Set(found.map((row) => row.email))).toEqual(new Set(all.map((one) => one.email)));
    expect(new Set(found.map(({ external_id }) => external_id)).size).toBe(100);
  });
});

describe('any id', () => {
  test.each([
    'a\tb',
    'a\nb',
    'a\r\nb',
    '\\',
    '\\N',
    '\\n',
    '\\.',
    '\\\\N',
    '\b\f\v\x01\x7f',
    `'; DROP TABLE catalog.recipient; --`,
    '"quoted"',
    '🎉👩‍👩‍👧',
    'Ünïcödé 文字 \u2028\u200b',
    'null',
    'NULL',
    '{a,b}',
    '%_',
    '0',
    ' with spaces ',
    'x'.repeat(255),
  ])('%j is kept as it is', async (id) => {
    const [key, other] = [
      { email: undefined, externalId: id },
      { email: undefined, externalId: `${id}!` },
    ];
    const [first, second] = await resolveRecipients(pool, [key, other]);
    expect(first?.id).not.toBe(second?.id);
    expect(idsOf(await resolveRecipients(pool, [key]))).toEqual([first?.id]);
    expect((await owner.query('SELECT external_id FROM catalog.recipient WHERE id = $1', [first?.id])).rows).toEqual([{ external_id: id }]);
  });

  test('a NUL, which Postgres does not have, is left out', async () => {
    const [first] = await resolveRecipients(pool, [{ email: undefined, externalId: 'nul\0-1' }]);
    expect(idsOf(await resolveRecipients(pool, [{ email: undefined, externalId: 'nul-1' }]))).toEqual([first?.id]);
  });

  test('is found again, and is one person', async () => {
    const id = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed() && !text.includes('\0'));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(id, { minLength: 1, maxLength: 30 }), async (ids) => {
        const people = ids.map((externalId) => ({ email: undefined, externalId }));
        const first = idsOf(await resolveRecipients(pool, people));
        expect(new Set(first).size).toBe(ids.length);
        expect(idsOf(await resolveRecipients(pool, people))).toEqual(first);
        const { rows } = await owner.query<{ id: number; external_id: string }>(
          'SELECT id, external_id FROM catalog.recipient WHERE id = ANY ($1)',
          [first],
        );
        expect(new Map(rows.map((row) => [row.id, row.external_id]))).toEqual(new Map(ids.map((value, i) => [first[i], value])));
      }),
      runs(50),
    );
  });
});

test('20,000 people in one go', async () => {
  const { person, rows } = namespace();
  const people = Array.from({ length: 20_000 }, (_, i) => person(`p${i}`, `${i}`));
  const first = idsOf(await resolveRecipients(pool, people)) as number[];
  expect(new Set(first).size).toBe(20_000);
  expect(first).toEqual(first.toSorted((a, b) => a - b));
  const moved = people.map(({ externalId }, i) => ({ email: `moved${i}@moved.example`, externalId }));
  const started = performance.now();
  expect(idsOf(await resolveRecipients(pool, moved))).toEqual(first);
  expect(performance.now() - started).toBeLessThan(15_000);
  expect(await rows()).toHaveLength(20_000);
});
