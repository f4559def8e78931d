import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
import { ensureCampaign } from './campaigns.ts';
import { type Addressee, resolveAddressees } from './addressees.ts';
import { openPeople, type PeopleColumns, type PeopleFile, type Rejected } from './list-file.ts';

let databases: Databases;
let pool: Pool;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 5, name: 'test' });
  return () => pool.end();
});

async function listOf(lines: readonly string[], columns: PeopleColumns = {}): Promise<PeopleFile> {
  const path = join(await temporaryDirectory(), 'people.csv');
  await writeFile(path, `${lines.join('\n')}\n`);
  return openPeople(path, columns);
}

type Options = Omit<Parameters<typeof resolveAddressees>[2], 'onReject'>;

async function all(
  people: PeopleFile,
  options: Options = {},
): Promise<{ addressees: Addressee[]; rejected: Rejected[]; chunks: number[] }> {
  const result = { addressees: [] as Addressee[], rejected: [] as Rejected[], chunks: [] as number[] };
  for await (const chunk of resolveAddressees(pool, people, { ...options, onReject: (rejected) => result.rejected.push(rejected) })) {
    result.chunks.push(chunk.length);
    result.addressees.push(...chunk);
  }
  return result;
}

let lists = 0;
/** Returns mail addresses that no other test uses. */
const addresses = (count: number): string[] => {
  const name = `list${++lists}.example`;
  return Array.from({ length: count }, (_, i) => `p${i}@${name}`);
};

const mailed = async (campaign: number): Promise<number> =>
  (await databases.query<{ n: number }>('catalog', 'SELECT count(*)::int AS n FROM catalog.mailing WHERE campaign_id = $1', [campaign]))[0]
    ?.n ?? 0;

const known = async (people: readonly unknown[]): Promise<string[]> =>
  (
    await databases.query<{ email: string }>('catalog', 'SELECT email FROM catalog.recipient WHERE email = ANY ($1) ORDER BY id', [people])
  ).map(({ email }) => email);

/** Collects the unhandled promise rejections during a test. */
function watchRejections(): unknown[] {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  return unhandled;
}

describe('a list', () => {
  test('everybody once, in its order, and the same every time', async () => {
    const people = addresses(12_001);
    const list = await listOf(['email', ...people]);
    const first = await all(list);
    expect(first.chunks).toEqual([5000, 5000, 2001]);
    expect(first.addressees.map(({ person }) => person.email)).toEqual(people);
    expect(new Set(first.addressees.map(({ recipient }) => recipient.id)).size).toBe(12_001);
    expect(first.rejected).toEqual([]);
    expect((await all(list)).addressees).toEqual(first.addressees);
  });

  test('somebody who is there twice is taken the first time only, also chunks away', async () => {
    const people = addresses(11_000);
    const [first = '', second = ''] = people;
    people[10_500] = first.toUpperCase();
    people[7] = ` ${second} `;
    people[10_999] = second;
    const { addressees, rejected } = await all(await listOf(['email', ...people]));
    expect(rejected).toEqual([
      { line: 9, reason: 'duplicate', value: second },
      { line: 10_502, reason: 'duplicate', value: first },
      { line: 11_001, reason: 'duplicate', value: second },
    ]);
    expect(addressees).toHaveLength(10_997);
    expect(addressees.slice(0, 2).map(({ person }) => person.line)).toEqual([2, 3]);
  });

  test('somebody under another address is still the same by the id', async () => {
    const people = addresses(5001);
    const rows = people.map((email, i) => `${email},${lists}-${i}`);
    const moved = `moved-${people[0]},${lists}-0`;
    const { addressees, rejected } = await all(await listOf(['email,id', ...rows, moved], { idColumn: 'id' }));
    expect(addressees).toHaveLength(5001);
    expect(rejected).toEqual([{ line: 5003, reason: 'duplicate', value: `moved-${people[0]}` }]);
  });

  test('a contradiction is told, beside what the file alone could tell', async () => {
    const [a, b, c, d] = addresses(4);
    const [one, two, three] = [`${lists}-1`, `${lists}-2`, `${lists}-3`];
    await all(await listOf(['email,id', `${a},${one}`, `${b},${two}`], { idColumn: 'id' }));
    const rows = [`${b},${one}`, 'nonsense,x', `${d},`, `${c},${one}`, `${c},${three}`];
    const { addressees, rejected } = await all(await listOf(['email,id', ...rows], { idColumn: 'id' }));
    expect(rejected.toSorted((x, y) => x.line - y.line)).toEqual([
      { line: 2, reason: 'conflict', value: b },
      { line: 3, reason: 'bad-address', value: 'nonsense' },
      { line: 4, reason: 'no-id', value: '' },
      { line: 5, reason: 'conflict', value: c },
    ]);
    expect(addressees.map(({ person }) => person.line)).toEqual([6]);
    expect(await known([a, b, c, d])).toEqual([a, b, c]);
  });

  test('without addresses the id is told', async () => {
    const { rejected } = await all(await listOf(['id', 'only-id', 'only-id'], { emails: false }));
    expect(rejected).toEqual([{ line: 3, reason: 'duplicate', value: 'only-id' }]);
  });

  test('a large number does not make anybody a duplicate', async () => {
    const people = addresses(20);
    await databases.query('catalog', 'ALTER TABLE catalog.recipient ALTER COLUMN id RESTART WITH 30000000');
    const { addressees, rejected } = await all(await listOf(['email', ...people, ...people.slice(0, 3)]));
    expect(addressees.map(({ recipient }) => recipient.id)).toEqual(people.map((_, i) => 30_000_000 + i));
    expect(rejected.map(({ line }) => line)).toEqual([22, 23, 24]);
  });

  test('nobody is nobody', async () => {
    expect(await all(await listOf(['email']))).toEqual({ addressees: [], rejected: [], chunks: [] });
  });
});

describe('campaigns', () => {
  test('mail is noted for everybody once, and for nobody who is left out', async () => {
    const { id } = await ensureCampaign(pool, 'for everybody');
    const people = addresses(6000);
    const list = await listOf(['email', ...people, people[3] as string, 'nonsense']);
    await all(list, { campaign: id });
    expect(await mailed(id)).toBe(6000);
    await all(list, { campaign: id });
    expect(await mailed(id)).toBe(6000);
  });

  test('only some: nobody else is made known', async () => {
    const people = addresses(11_000);
    const [wanted, other] = [people[10_400] as string, people[2] as string];
    const list = await listOf(['email', ...people]);
    const { addressees, rejected, chunks } = await all(list, { only: ({ email }) => email === wanted || email === other });
    expect(addressees.map(({ person }) => person.line)).toEqual([4, 10_402]);
    expect(rejected).toEqual([]);
    expect(chunks).toHaveLength(3);
    expect(await known(people)).toEqual([other, wanted]);
  });
});

describe('stopping', () => {
  test('early leaves no connection taken and no rejection behind', async () => {
    const unhandled = watchRejections();
    const small = createPool(databases.roleUrls.author, { max: 2, name: 'test' });
    const list = await listOf(['email', ...addresses(22_000)]);
    for (let i = 0; i < 3; i++)
      for await (const chunk of resolveAddressees(small, list, { onReject: () => {} })) {
        expect(chunk).toHaveLength(5000);
        break;
      }
    await eventually('all connections are back', () => small.totalCount === small.idleCount && small.waitingCount === 0);
    await small.end();
    expect(unhandled).toEqual([]);
  });

  test('and ending the pool at once leaves no rejection behind', async () => {
    const unhandled = watchRejections();
    const small = createPool(databases.roleUrls.author, { max: 1, name: 'test' });
    const list = await listOf(['email', ...addresses(12_000)]);
    const chunks = resolveAddressees(small, list, { onReject: () => {} });
    await chunks.next();
    await chunks.return(undefined);
    await small.end();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(unhandled).toEqual([]);
  });

  test('because whoever takes them fails', async () => {
    const unhandled = watchRejections();
    const list = await listOf(['email', ...addresses(12_000)]);
    const failingReader = async () => {
      for await (const _ of resolveAddressees(pool, list, { onReject: () => {} })) throw new Error('no space left');
    };
    await expect(failingReader()).rejects.toThrow('no space left');
    await eventually('all connections are back', () => pool.totalCount === pool.idleCount);
    expect(unhandled).toEqual([]);
  });
});

describe('errors', () => {
  test('of the database come through, of the first chunk or a later one', async () => {
    const unhandled = watchRejections();
    const people = addresses(12_000);
    const list = await listOf(['email', ...people]);
    await expect(all(list, { campaign: 999_999 })).rejects.toMatchObject({ code: '23503' });
    // The constraint refuses one person of the third chunk.
    await databases.query('catalog', `ALTER TABLE catalog.recipient ADD CONSTRAINT broken CHECK (email <> '${people[11_000]}') NOT VALID`);
    onTestFinished(async () => {
      await databases.query('catalog', 'ALTER TABLE catalog.recipient DROP CONSTRAINT broken');
    });
    const chunkSizes: number[] = [];
    const readAll = async () => {
      for await (const chunk of resolveAddressees(pool, list, { onReject: () => {} })) chunkSizes.push(chunk.length);
    };
    await expect(readAll()).rejects.toMatchObject({ code: '23514' });
    expect(chunkSizes).toEqual([5000, 5000]);
    await eventually('all connections are back', () => pool.totalCount === pool.idleCount);
    expect(unhandled).toEqual([]);
  });

  test('of a chunk that was read ahead are nobody’s when it is not asked for', async () => {
    const unhandled = watchRejections();
    const people = addresses(7000);
    await databases.query('catalog', `ALTER TABLE catalog.recipient ADD CONSTRAINT broken CHECK (email <> '${people[6000]}') NOT VALID`);
    onTestFinished(async () => {
      await databases.query('catalog', 'ALTER TABLE catalog.recipient DROP CONSTRAINT broken');
    });
    for await (const chunk of resolveAddressees(pool, await listOf(['email', ...people]), { onReject: () => {} })) {
      expect(chunk).toHaveLength(5000);
      await new Promise((resolve) => setTimeout(resolve, 500));
      break;
    }
    expect(unhandled).toEqual([]);
  });

  test('of the file come through', async () => {
    const unhandled = watchRejections();
    const list = await listOf(['email,n', ...addresses(7000).map((email) => `${email},1`), 'x@example.com,"never closed']);
    await expect(all(list)).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('line 7002') });
    await eventually('all connections are back', () => pool.totalCount === pool.idleCount);
    expect(unhandled).toEqual([]);
  });
});
