import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { authorSettings, createDesk, expectJson, expectRefusal, listFiles, readCsv } from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(2);
});

interface Row {
  id: number;
  email: string | null;
  external_id: string | null;
  out: boolean;
  is_test: boolean;
  forgotten: boolean;
}

const run = async (files: Record<string, string | Buffer>, ...args: string[]): Promise<CommandResult> =>
  clickledger(['recipient', ...args], { cwd: await createDesk(files), env: authorSettings(databases) });
const peopleLike = (pattern: string) =>
  databases.query<Row>(
    'catalog',
    `SELECT id::int, email, external_id, opted_out_at IS NOT NULL AS out, is_test, forgotten_at IS NOT NULL AS forgotten
     FROM catalog.recipient WHERE email LIKE $1 OR external_id LIKE $1 ORDER BY id`,
    [pattern],
  );
const namesLike = async (pattern: string) => (await peopleLike(pattern)).map(({ email, external_id }) => external_id ?? email);
/** Returns the flags of a person on each shard. */
const onShards = (id: number) =>
  Promise.all(
    ['a', 'b'].map(
      async (shard) => (await databases.query(shard, 'SELECT is_test, forgotten FROM shard.recipient WHERE recipient_id = $1', [id]))[0],
    ),
  );

interface Imported {
  imported: number;
  rejected: { line: number; reason: string; value: string }[];
  rejected_total: number;
}
const byLine = (a: { line: number }, b: { line: number }) => a.line - b.line;

describe('a list of people', () => {
  test.each<[how: string, file: string | Buffer, names: string[]]>([
    [
      'quoted, with line breaks',
      '"name","E-Mail"\r\n"A, ""the first""\n\n","a@q.example"\r\nB,b@q.example\r\n',
      ['a@q.example', 'b@q.example'],
    ],
    ['with a byte order mark', '\ufeffemail\na@bom.example\n', ['a@bom.example']],
    ['with semicolons', 'Name;"E-Mail, private;x";E-Mail-Adresse\nA;;a@semi.example\n', ['a@semi.example']],
    ['with tabs and no line end at its end', 'name\tEmail Address\nA, B\ta@tab.example', ['a@tab.example']],
    [
      'in Latin-1, with a domain that is not ASCII',
      Buffer.from('Straße;E-Mail\nGröße;J\xf6@l1.example\n\x80;x@m\xfcller.l1.example\n'.replace(/[^\x00-\xff]/g, '?'), 'latin1'),
      ['x@xn--mller-kva.l1.example'],
    ],
  ])('%s', async (_how, file, names) => {
    const { imported } = await expectJson<Imported>(run({ 'people.csv': file }, 'import', 'people.csv', '--json'));
    const domain = (names[0] as string).split(/[@.]/).slice(-2).join('.');
    expect(await namesLike(`%${domain}`)).toEqual(names);
    expect(imported).toBe(names.length);
  });

  test('duplicates and bad addresses are told by line, and a second import makes nobody twice', async () => {
    const files = {
      'people.csv': 'email\nann@list.example\n\nnonsense@\n ANN@LIST.EXAMPLE \n,\nbob@list.example\n',
    };
    const desk = await createDesk(files);
    const importing = (...more: string[]) =>
      clickledger(['recipient', 'import', 'people.csv', ...more], { cwd: desk, env: authorSettings(databases) });
    const result = await importing('--rejects', 'left-out.csv');
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 0, stdout: '' });
    const lines = result.stderr.trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual(['2 people are in the catalog', '3 lines were left out:']);
    expect(lines.slice(2).toSorted()).toEqual([
      '  line 4: nonsense@: this is not a mail address',
      '  line 5: ann@list.example: this person is on an earlier line',
      '  line 6: the mail address is missing',
    ]);
    const expected = [
      { line: 4, reason: 'bad-address', value: 'nonsense@' },
      { line: 5, reason: 'duplicate', value: 'ann@list.example' },
      { line: 6, reason: 'no-address', value: '' },
    ];
    const left = readCsv(await readFile(join(desk, 'left-out.csv'))).map(({ line, reason, value }) => ({
      line: Number(line),
      reason,
      value,
    }));
    expect(left.toSorted(byLine)).toEqual(expected);
    expect((await stat(join(desk, 'left-out.csv'))).mode & 0o777).toBe(0o600);
    const before = await peopleLike('%@list.example');
    const again = await expectJson<Imported>(importing('--json'));
    expect({ ...again, rejected: again.rejected.toSorted(byLine) }).toMatchObject({ imported: 2, rejected: expected, rejected_total: 3 });
    expect(await peopleLike('%@list.example')).toEqual(before);
    expect(before).toHaveLength(2);
    expect(await listFiles(desk)).toEqual(['left-out.csv', 'people.csv']);
  });

  test('of very many bad lines ten are told, and all are in the file', async () => {
    const desk = await createDesk({ 'people.csv': `email\n${'x\n'.repeat(1500)}ok@many.example\n` });
    const { stderr } = await clickledger(['recipient', 'import', 'people.csv', '--rejects', 'r.csv'], {
      cwd: desk,
      env: authorSettings(databases),
    });
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(13);
    expect(lines[1]).toBe('1500 lines were left out:');
    expect(lines[12]).toBe('  … and 1490 more; all of them are in r.csv');
    expect(readCsv(await readFile(join(desk, 'r.csv'))).map(({ line }) => Number(line))).toEqual(
      Array.from({ length: 1500 }, (_, i) => i + 2),
    );
  });

  test('an own id decides who somebody is: the address may change, and two people are never mixed up', async () => {
    const importing = (csv: string) =>
      expectJson<Imported>(run({ 'people.csv': csv }, 'import', 'people.csv', '--id-column', 'customer', '--json'));
    await importing('customer,email\nid-1,one@ids.example\nid-2,two@ids.example\n');
    const [one, two] = await peopleLike('%@ids.example');
    const moved = await importing('customer,email\nid-1,moved@ids.example\nid-3,two@ids.example\n,x@ids.example\n');
    expect(moved.imported).toBe(1);
    expect(moved.rejected.toSorted(byLine)).toEqual([
      { line: 3, reason: 'conflict', value: 'two@ids.example' },
      { line: 4, reason: 'no-id', value: '' },
    ]);
    expect(await peopleLike('%@ids.example')).toEqual([{ ...one, email: 'moved@ids.example' }, two]);
  });

  test('--no-emails stores no address anywhere', async () => {
    const csv = 'email,customer\nsecret@hidden.example,no-1\nalso@hidden.example,no-2\n';
    const args = ['import', 'people.csv', '--no-emails', '--id-column', 'customer', '--json'];
    expect(await expectJson(run({ 'people.csv': csv }, ...args))).toMatchObject({ imported: 2, rejected: [], rejected_total: 0 });
    expect(await peopleLike('no-_')).toMatchObject([
      { external_id: 'no-1', email: null },
      { external_id: 'no-2', email: null },
    ]);
    const [dump] = await databases.query<{ text: string }>('catalog', 'SELECT string_agg(r::text, $1) AS text FROM catalog.recipient r', [
      '\n',
    ]);
    expect(dump?.text).not.toContain('hidden.example');
    await expectRefusal(run({ 'people.csv': csv }, 'import', 'people.csv', '--no-emails'), '--id-column');
  });

  test('what had to be guessed is told: lines in another encoding, a missing header, columns, and changed addresses', async () => {
    const lines = [
      '"Lee, Ann <Ann@guess.example>",Zo\u00eb',
      'b@guess.example,J\xfcrgen',
      'c@guess.example,Ren\xe9e',
      'd@guess.example,Ann',
    ];
    const encoded = lines.map((line, i) => Buffer.from(`${line}\n`, i === 0 ? 'utf8' : 'latin1'));
    const desk = await createDesk({
      'people.csv': Buffer.concat(encoded),
      'header.csv': Buffer.concat([Buffer.from('email,name,name\n'), ...encoded]),
    });
    const importing = (...args: string[]) => clickledger(['recipient', 'import', ...args], { cwd: desk, env: authorSettings(databases) });
    const { stderr } = await importing('people.csv');
    expect(stderr.trimEnd().split('\n')).toEqual([
      "2 lines are not UTF-8 and were read as windows-1252 (2, 3), e.g. line 2: 'Jürgen'. If this is wrong, give --list-charset.",
      'the list has no header: its first line is a person. The columns are called column_1, column_2, …, and the one with the mail addresses email',
      '4 people are in the catalog',
      '1 mail address was taken out of other text, e.g. line 1: "Lee, Ann <Ann@guess.example>" is Ann@guess.example',
    ]);
    const { list } = await expectJson<{ list: object }>(importing('header.csv', '--charset', 'cp1250', '--json'));
    expect(list).toEqual({
      encoding: 'windows-1250',
      encoding_found_by: 'charset',
      encoding_example: null,
      other_lines: { encoding: 'utf-8', count: 1, first: [2], example: { line: 2, text: 'Zoë' } },
      damaged_lines: 0,
      header: true,
      email_column: 'email',
      other_email_columns: [],
      id_column: null,
      status_columns: [],
      renamed_columns: [{ from: 'name', to: 'name_2' }],
      cleaned_addresses: 1,
      not_subscribed: {},
    });
    const renamed = await importing('header.csv', '--list-charset', 'latin1');
    expect(renamed.stderr).toContain("the list has the column 'name' twice; the later one is called 'name_2'\n");
  });

  test('who has unsubscribed is left out, which is told by reason, and --ignore-status takes them', async () => {
    const people = [
      'email,status,UNSUB_TIME',
      ...Array.from({ length: 20 }, (_, i) => `u${i}@status.example,${i < 15 ? 'unsubscribed' : 'cleaned'},`),
      'a@status.example,subscribed,',
      'b@status.example,vip,2024-01-31 10:00:00',
      'nonsense,subscribed,',
    ];
    const desk = await createDesk({ 'people.csv': people.join('\n') });
    const importing = (...args: string[]) =>
      clickledger(['recipient', 'import', 'people.csv', ...args], { cwd: desk, env: authorSettings(databases) });
    const { stderr } = await importing('--rejects', 'left-out.csv');
    expect(stderr.trimEnd().split('\n')).toEqual([
      '1 people are in the catalog',
      '21 people must not be written to and were left out (--ignore-status takes them): 15 with status: unsubscribed, 5 with status: cleaned, 1 with UNSUB_TIME',
      '1 line was left out:',
      '  line 24: nonsense: this is not a mail address',
    ]);
    expect(await namesLike('%@status.example')).toEqual(['a@status.example']);
    const left = readCsv(await readFile(join(desk, 'left-out.csv')));
    expect(left[0]).toEqual({ line: '2', reason: 'not-subscribed', value: 'u0@status.example', status: 'status: unsubscribed' });
    expect(left).toHaveLength(22);
    const { list } = await expectJson<{ list: object }>(importing('--json'));
    expect(list).toMatchObject({
      status_columns: ['status', 'UNSUB_TIME'],
      not_subscribed: { 'status: unsubscribed': 15, 'status: cleaned': 5, UNSUB_TIME: 1 },
    });
    expect(await expectJson(importing('--ignore-status', '--json'))).toMatchObject({ imported: 22, rejected_total: 1 });
  });

  test('--test makes them test recipients, on every shard too', async () => {
    await run({ 'people.csv': 'email\nknown@tests.example\n' }, 'import', 'people.csv');
    const csv = 'email\nknown@tests.example\nnew@tests.example\n';
    const { stderr } = await run({ 'people.csv': csv }, 'import', 'people.csv', '--test');
    expect(stderr).toBe('2 people are in the catalog and marked as test recipients\n');
    const people = await peopleLike('%@tests.example');
    expect(people.map(({ is_test }) => is_test)).toEqual([true, true]);
    for (const { id } of people) expect(await onShards(id)).toEqual(Array(2).fill({ is_test: true, forgotten: false }));
    // An import without --test does not remove the flag of a test recipient.
    await run({ 'people.csv': csv }, 'import', 'people.csv');
    expect((await peopleLike('%@tests.example')).map(({ is_test }) => is_test)).toEqual([true, true]);
  });

  test('what cannot be read is refused in one line', async () => {
    const files = {
      'empty.csv': '',
      'unnamed.csv': 'a;b\n1;2\n',
      'people.xlsx': Buffer.from('PK\x03\x04\x14\0\x06\0[Content_Types].xml', 'latin1'),
    };
    const refusals: [why: string | RegExp, ...args: string[]][] = [
      ['is empty', 'empty.csv'],
      ['--email-column. The list has: a, b', 'unnamed.csv'],
      [/people\.xlsx is an Excel workbook .* "CSV UTF-8/, 'people.xlsx'],
      ["charset 'klingon' is not supported", 'unnamed.csv', '--charset', 'klingon'],
      ['nope.csv does not exist', 'nope.csv'],
      ["column 'c' does not exist", 'unnamed.csv', '--id-column', 'c'],
    ];
    for (let i = 0; i < refusals.length; i += 3)
      await Promise.all(refusals.slice(i, i + 3).map(([why, ...args]) => expectRefusal(run(files, 'import', ...args), why)));
  });
});

describe('one person', () => {
  async function person(name: string): Promise<number> {
    const [row] = await databases.query<{ id: number }>(
      'catalog',
      'INSERT INTO catalog.recipient (email, external_id) VALUES ($1, $2) RETURNING id::int',
      [`${name}@one.example`, name],
    );
    return row?.id as number;
  }
  const stateOf = async (id: number) =>
    (
      await databases.query<Row & { opted_out_at: Date | null }>(
        'catalog',
        'SELECT email, external_id, opted_out_at, is_test, forgotten_at IS NOT NULL AS forgotten FROM catalog.recipient WHERE id = $1',
        [id],
      )
    )[0];

  test('opts out, keeps the time of the first word, and can be tracked again', async () => {
    const id = await person('out');
    const first = await run({}, 'opt-out', ' Out@One.example');
    expect(first).toEqual({ code: 0, stdout: '', stderr: expect.stringMatching(/^opted out: .*\n$/) });
    const since = (await stateOf(id))?.opted_out_at;
    expect(since).toBeInstanceOf(Date);
    expect(await expectJson(run({}, 'opt-out', '--id', 'out', '--json'))).toEqual({ recipient: id });
    expect((await stateOf(id))?.opted_out_at).toEqual(since);
    const to = ['url', 'https://shop.example', '--campaign', 'c', '--to', 'out@one.example'];
    await databases.query('catalog', `INSERT INTO catalog.campaign (name) VALUES ('c')`);
    await expectRefusal(clickledger(to, { env: authorSettings(databases), cwd: await createDesk({}) }), 'opted out');
    expect((await run({}, 'opt-out', 'out@one.example', '--undo')).stderr).toBe('tracked again\n');
    expect((await stateOf(id))?.opted_out_at).toBeNull();
  });

  test('is a test recipient, and no more, on every shard too', async () => {
    const id = await person('tester');
    expect(await onShards(id)).toEqual([undefined, undefined]);
    expect(await expectJson(run({}, 'test', 'tester@one.example', '--json'))).toEqual({ recipient: id });
    expect((await stateOf(id))?.is_test).toBe(true);
    expect(await onShards(id)).toEqual(Array(2).fill({ is_test: true, forgotten: false }));
    expect(await run({}, 'test', '--id', 'tester', '--undo')).toEqual({ code: 0, stdout: '', stderr: 'counted again\n' });
    expect((await stateOf(id))?.is_test).toBe(false);
    expect(await onShards(id)).toEqual(Array(2).fill({ is_test: false, forgotten: false }));
  });

  test('is forgotten by address or id; who comes again is a new person', async () => {
    const byMail = await person('mail');
    const byId = await person('id');
    const [text, json] = await Promise.all([run({}, 'forget', 'mail@one.example'), run({}, 'forget', '--id', 'id', '--json')]);
    expect(text).toEqual({ code: 0, stdout: '', stderr: expect.stringMatching(/^forgotten: .*\n$/) });
    expect(JSON.parse(json.stdout)).toEqual({ recipient: byId });
    for (const id of [byMail, byId]) {
      expect(await stateOf(id)).toMatchObject({ email: null, external_id: null, forgotten: true });
      expect(await onShards(id)).toEqual(Array(2).fill({ is_test: false, forgotten: true }));
    }
    await expectRefusal(run({}, 'forget', 'mail@one.example'), 'no recipient has the address mail@one.example');
    await run({ 'people.csv': 'email,id\nmail@one.example,mail\nid@one.example,id\n' }, 'import', 'people.csv', '--id-column', 'id');
    const anew = [...(await peopleLike('mail@one.example')), ...(await peopleLike('id@one.example'))];
    expect(anew).toMatchObject([
      { external_id: 'mail', forgotten: false },
      { external_id: 'id', forgotten: false },
    ]);
    expect(anew.every(({ id }) => id > byId)).toBe(true);
    expect(await stateOf(byMail)).toMatchObject({ email: null, external_id: null, forgotten: true });
  });

  test('who is not known, or not said, is an error', async () => {
    const before = await databases.query('catalog', 'SELECT count(*) FROM catalog.recipient');
    await Promise.all([
      expectRefusal(run({}, 'opt-out', 'who@one.example'), 'no recipient has the address who@one.example'),
      expectRefusal(run({}, 'test', '--id', '4711'), "no recipient has the id '4711'"),
      expectRefusal(run({}, 'forget', 'not an address'), "'not an address' is not a mail address"),
    ]);
    const wrong = [['opt-out'], ['test', 'a@one.example', '--id', '1'], ['forget', 'a@one.example', '--undo'], ['import']];
    const ended = await Promise.all(wrong.map((args) => run({}, ...args)));
    for (const { code, stdout, stderr } of ended)
      expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(/^error: [^\n]+\n[^\n]*--help/) });
    expect(await databases.query('catalog', 'SELECT count(*) FROM catalog.recipient')).toEqual(before);
  });

  test('whom a shard could not be told of is done in the catalog, and said to be', async () => {
    const id = await person('half');
    const shards = databases.shardsText.replace(/,b=.*/, (b) => b.replace(/:\d+\//, ':1/'));
    const ended = clickledger(['recipient', 'test', 'half@one.example'], {
      cwd: await createDesk({}),
      env: { ...authorSettings(databases), SHARDS: shards },
    });
    await expectRefusal(ended, /shard b is not .*clickledger migrate/);
    expect((await stateOf(id))?.is_test).toBe(true);
    expect((await onShards(id))[0]).toEqual({ is_test: true, forgotten: false });
  });
});
