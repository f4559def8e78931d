import { isUtf8 } from 'node:buffer';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { openPeople, type PeopleColumns, type PeopleFile, type Person, type Rejected } from './list-file.ts';

const badInput = (...parts: string[]) => ({
  code: 'bad-input',
  message: expect.stringMatching(new RegExp(parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*'), 's')),
});

async function listOf(content: string | Buffer, columns: PeopleColumns = {}): Promise<PeopleFile> {
  const path = join(await temporaryDirectory(), 'people.csv');
  await writeFile(path, content);
  return openPeople(path, columns);
}

interface Read {
  header: string[];
  people: Person[];
  rejected: Rejected[];
  /** The number of people in each chunk. */
  chunks: number[];
}

async function readAll(list: PeopleFile): Promise<Read> {
  const read: Read = { header: list.header, people: [], rejected: [], chunks: [] };
  for await (const chunk of list.chunks((rejected) => read.rejected.push(rejected))) {
    read.chunks.push(chunk.length);
    read.people.push(...chunk);
  }
  return read;
}

const read = async (content: string | Buffer, columns: PeopleColumns = {}): Promise<Read> => readAll(await listOf(content, columns));
const lines = ({ people }: Read): (number | string | undefined)[][] => people.map(({ line, email }) => [line, email]);

describe('formats', () => {
  test.each([
    ['commas', ','],
    ['semicolons', ';'],
    ['tabs', '\t'],
  ])('%s between the fields', async (_, delimiter) => {
    const { header, people } = await read(
      `email,name,town\nann@example.com,"Ann, A; B\tC",Köln\nbob@example.com,Bob,\n`.replaceAll(/,(?! A)/g, delimiter),
    );
    expect(header).toEqual(['email', 'name', 'town']);
    expect(people).toEqual([
      { line: 2, values: ['ann@example.com', 'Ann, A; B\tC', 'Köln'], email: 'ann@example.com', externalId: undefined },
      { line: 3, values: ['bob@example.com', 'Bob', ''], email: 'bob@example.com', externalId: undefined },
    ]);
  });

  test('the delimiter is that of the header, outside of its quotes', async () => {
    const { header, people } = await read('email;"a,b,c,d"\nann@example.com;x,y\n');
    expect(header).toEqual(['email', 'a,b,c,d']);
    expect(people[0]?.values).toEqual(['ann@example.com', 'x,y']);
  });

  test.each([
    ['\n', 'LF'],
    ['\r\n', 'CRLF'],
  ])('line ends %j', async (end) => {
    const result = await read(['email,name', 'ann@example.com,Ann', 'bob@example.com,Bob', ''].join(end));
    expect(result.people.map(({ line, values }) => [line, values])).toEqual([
      [2, ['ann@example.com', 'Ann']],
      [3, ['bob@example.com', 'Bob']],
    ]);
  });

  test('the last line needs no end', async () => {
    expect(lines(await read('email\nann@example.com'))).toEqual([[2, 'ann@example.com']]);
    expect(lines(await read('email'))).toEqual([]);
  });

  test('quoted fields have delimiters, quotes and line breaks in them', async () => {
    const { people } = await read(
      'email,"a ""note"""\nann@example.com,"one, ""two""\nthree\n\nfour"\nbob@example.com,""\n"eve@example.com",x\n',
    );
    expect(people.map(({ line, values }) => [line, values])).toEqual([
      [2, ['ann@example.com', 'one, "two"\nthree\n\nfour']],
      [6, ['bob@example.com', '']],
      [7, ['eve@example.com', 'x']],
    ]);
  });

  test.each([
    ['\n', '\r\n'],
    ['\r\n', '\n'],
  ])('a file with line ends %j has a field with %j in it', async (end, inside) => {
    const result = await read(['email,note', `ann@example.com,"a${inside}b"`, 'bob@example.com,b', `no,"a${inside}b"`, ',x', ''].join(end));
    expect(result.people.map(({ line, values }) => [line, values[1]])).toEqual([
      [2, `a${inside}b`],
      [4, 'b'],
    ]);
    expect(result.rejected.map(({ line }) => line)).toEqual([5, 7]);
  });

  // A file with mixed line ends is usually a combination of two lists, of which one comes from Windows.
  test.each([
    ['CRLF, then LF', 'email,n\r\nann@example.com,1\r\nbob@example.com,2\neve@example.com,3\n'],
    ['CRLF only in the header', 'email,n\r\nann@example.com,1\nbob@example.com,2\neve@example.com,3\n'],
    ['LF, then CRLF', 'email,n\nann@example.com,1\nbob@example.com,2\r\neve@example.com,3\r\n'],
  ])('line ends that are mixed cost nobody anything: %s', async (_, content) => {
    const { people } = await read(content);
    expect(people.map(({ line, values }) => [line, ...values])).toEqual([
      [2, 'ann@example.com', '1'],
      [3, 'bob@example.com', '2'],
      [4, 'eve@example.com', '3'],
    ]);
  });

  test('quotes inside of a field that does not begin with one are part of it', async () => {
    const { people } = await read('email,name\nann@example.com,Ann "the" A\nbob@example.com,5"\n');
    expect(people.map(({ values }) => values[1])).toEqual(['Ann "the" A', '5"']);
  });

  test('a byte order mark is no part of the first column', async () => {
    const { header, people } = await read('\ufeffemail;name\nann@example.com;\ufeffAnn\n');
    expect(header).toEqual(['email', 'name']);
    expect(people[0]?.values).toEqual(['ann@example.com', '\ufeffAnn']);
    expect((await read('\ufeff"email";name\nann@example.com;Ann\n')).header).toEqual(['email', 'name']);
  });

  test('Latin-1 is read as windows-1252', async () => {
    const bytes = Buffer.from('email;stra\xdfe\nann@example.com;K\xf6ln \x80 \x84x\x93\n', 'latin1');
    const { header, people } = await read(bytes);
    expect(header).toEqual(['email', 'straße']);
    expect(people[0]?.values).toEqual(['ann@example.com', 'Köln € „x“']);
  });

  test('Latin-1 is noticed wherever its first byte stands', async () => {
    const filler = 'ann@example.com,x\n'.repeat(20_000);
    const { people } = await read(Buffer.from(`email,name\n${filler}bob@example.com,B\xf6b\n`, 'latin1'));
    expect(people.at(-1)?.values).toEqual(['bob@example.com', 'Böb']);
  });

  test('UTF-8 is read right where reading cuts a character in two', async () => {
    for (const shift of [0, 1, 2, 3]) {
      const content = `email,name\n${'x'.repeat(shift)}@example.com,${'🎉'.repeat(60_000)}\nbob@example.com,B\n`;
      const { people, rejected } = await read(content);
      expect([...people, ...rejected]).toHaveLength(2);
      if (shift > 0) expect(people[0]?.values[1] === '🎉'.repeat(60_000)).toBe(true);
    }
  });

  test.each([
    ['little', Buffer.from('\ufeffemail\nann@example.com\n', 'utf16le')],
    ['big', Buffer.from('\ufeffemail\nann@example.com\n', 'utf16le').swap16()],
  ])('UTF-16, %s end first, is read', async (_, bytes) => {
    expect(lines(await read(bytes))).toEqual([[2, 'ann@example.com']]);
  });

  test('empty lines are nobody', async () => {
    const result = await read('email,n\n\nann@example.com,1\n\n\nbob@example.com,"a\n\nb"\n\nno,x\n\n');
    expect(lines(result)).toEqual([
      [3, 'ann@example.com'],
      [6, 'bob@example.com'],
    ]);
    expect(result.rejected).toEqual([{ line: 10, reason: 'bad-address', value: 'no' }]);
  });

  test.each([',', ';', '\t'])('empty lines above the header do not hide its delimiter %j', async (delimiter) => {
    const { header, people } = await read(`\n\nemail,name\nann@example.com,Ann\n`.replaceAll(',', delimiter));
    expect(header).toEqual(['email', 'name']);
    expect(people.map(({ line, values }) => [line, ...values])).toEqual([[4, 'ann@example.com', 'Ann']]);
  });

  test.each([',', ';', '\t'])('a line break in the name of a column does not hide the delimiter %j', async (delimiter) => {
    const { header, people } = await read(`"first\nname",email\nAnn,ann@example.com\n`.replaceAll(',', delimiter));
    expect(header).toEqual(['first\nname', 'email']);
    expect(people.map(({ line, values }) => [line, ...values])).toEqual([[3, 'Ann', 'ann@example.com']]);
  });

  test('short and long lines cost nobody anything', async () => {
    const list = await listOf('email,name,town\nann@example.com\nbob@example.com,Bob,Köln,more,and more\neve@example.com,Eve,\n');
    const { people } = await readAll(list);
    expect(people.map(({ values }) => values)).toEqual([
      ['ann@example.com'],
      ['bob@example.com', 'Bob', 'Köln', 'more', 'and more'],
      ['eve@example.com', 'Eve', ''],
    ]);
    expect(people.map((person) => list.value(person, 'town'))).toEqual(['', 'Köln', '']);
  });
});

describe('columns', () => {
  test.each(
    (
      'email Email E-Mail e-mail mail Mail EMAIL Email Address|email_address|E-Mail-Adresse|Emailadresse|E-mail address|Your Email|' +
      'Primary Email|adresse e-mail|Adresse électronique|courriel|correo|Correo electrónico|e-mailadres|indirizzo email|endereço de e-mail|epost|' +
      'メールアドレス'
    )
      .replace('email Email E-Mail e-mail mail Mail EMAIL ', 'email|Email|E-Mail|e-mail|mail|Mail|EMAIL|')
      .split('|'),
  )('%s is the address', async (name) => {
    expect(lines(await read(`name;${name};note\nx@example.com;ann@example.com;y@example.com\n`))).toEqual([[2, 'ann@example.com']]);
  });

  test.each(['name', 'emails sent', 'email opt-in', 'mailing', 'has email', 'id', 'gmail'])('%s is not', async (name) => {
    await expect(listOf(`${name},town\nann@example.com,x\n`)).rejects.toMatchObject(badInput('--email-column', `${name}, town`));
  });

  test('the header may have spaces around its names', async () => {
    const list = await listOf(' name ; email ;"  town "\n Ann ; ANN@example.com ; Köln \n');
    const { people } = await readAll(list);
    expect(list.header).toEqual(['name', 'email', 'town']);
    expect(people[0]).toMatchObject({ email: 'ann@example.com', values: [' Ann ', ' ANN@example.com ', ' Köln '] });
    expect(list.value(people[0] as Person, 'town')).toBe(' Köln ');
  });

  test('a value of a column that is not there is empty', async () => {
    const list = await listOf('email\nann@example.com\n');
    const { people } = await readAll(list);
    expect(list.value(people[0] as Person, 'name')).toBe('');
  });

  test('--email-column goes before what a column is called', async () => {
    expect(lines(await read('email,work\na@example.com,b@example.com\n', { emailColumn: 'work' }))).toEqual([[2, 'b@example.com']]);
  });

  test('ids are used where --id-column says so, with addresses beside them', async () => {
    const content = 'email,id,customer\na@example.com,1, 4711 \n';
    expect((await read(content)).people[0]?.externalId).toBeUndefined();
    expect((await read(content, { idColumn: 'customer' })).people[0]).toMatchObject({ email: 'a@example.com', externalId: '4711' });
    expect((await read('customer\n4711\n', { idColumn: 'customer' })).people[0]).toMatchObject({ email: undefined, externalId: '4711' });
  });

  test('without addresses ids decide, and no address is taken', async () => {
    const content = 'email,id,customer\na@example.com,1,4711\n';
    expect((await read(content, { emails: false })).people[0]).toMatchObject({ email: undefined, externalId: '1' });
    expect((await read(content, { emails: false, idColumn: 'customer' })).people[0]).toMatchObject({
      email: undefined,
      externalId: '4711',
    });
    expect((await read('external_id\nx\n', { emails: false })).people[0]).toMatchObject({ email: undefined, externalId: 'x' });
    await expect(listOf('email,name\na@example.com,x\n', { emails: false })).rejects.toMatchObject(badInput('--id-column', 'email, name'));
  });

  test.each([{ emailColumn: 'mail' }, { idColumn: 'mail' }, { idColumn: 'mail', emails: false }, { emailColumn: 'Email' }])(
    'a column that is not there is answered with those that are: %j',
    async (columns) => {
      await expect(listOf('email,name,id\na@example.com,x,1\n', columns)).rejects.toMatchObject(
        badInput(`'${columns.emailColumn ?? columns.idColumn}'`, 'email, name, id'),
      );
    },
  );

  test('a column that is there twice is numbered, one without a name may be there several times', async () => {
    const list = await listOf('email,name, name,name_2,name\na@example.com,v,w,x,y\n');
    expect(list.header).toEqual(['email', 'name', 'name_3', 'name_2', 'name_4']);
    expect(list.findings.renamedColumns).toEqual([
      { from: 'name', to: 'name_3' },
      { from: 'name', to: 'name_4' },
    ]);
    const { people } = await readAll(list);
    expect(list.header.map((name) => list.value(people[0] as Person, name))).toEqual(['a@example.com', 'v', 'w', 'x', 'y']);
    expect((await read('email,,\na@example.com,x,y\n')).people[0]?.values).toEqual(['a@example.com', 'x', 'y']);
  });
});

describe('files', () => {
  test.each(['', '\n\n', '\r\n', '\ufeff'])('%j is empty', async (content) => {
    await expect(listOf(content)).rejects.toMatchObject(badInput('people.csv', 'empty'));
  });

  test('one that is not there is said by its name', async () => {
    await expect(openPeople('/nowhere/people.csv', {})).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('/nowhere/people.csv'),
    });
  });

  test('how much has been read is known, and everything in the end', async () => {
    const content = `email,name\n${Array.from({ length: 30_000 }, (_, i) => `p${i}@example.com,Ännchen\n`).join('')}`;
    const list = await listOf(content);
    expect(list.bytes).toBe(Buffer.byteLength(content));
    expect(list.bytesRead()).toBe(0);
    const seen: number[] = [];
    for await (const _ of list.chunks(() => {})) seen.push(list.bytesRead());
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen[0]).toBeGreaterThan(0);
    expect(seen[0]).toBeLessThan(list.bytes);
    expect(list.bytesRead()).toBe(list.bytes);
  });

  test('people come 5,000 at a time, and those left out do not count', async () => {
    const rows = Array.from({ length: 12_345 }, (_, i) => (i % 100 === 7 ? 'nonsense\n' : `p${i}@example.com\n`));
    const result = await read(`email\n${rows.join('')}`);
    expect(result.chunks).toEqual([5000, 5000, 12_345 - 124 - 10_000]);
    expect(result.rejected).toHaveLength(124);
    expect(result.people.every(({ line, email }) => email === `p${line - 2}@example.com`)).toBe(true);
    expect((await read(`email\n${'a@example.com\n'.repeat(5000)}`)).chunks).toEqual([5000]);
    expect((await read('email\nx\n')).chunks).toEqual([]);
  });

  test('a list can be read twice, and be left in the middle', async () => {
    const list = await listOf(`email\n${'a@example.com\n'.repeat(20_000)}`);
    for await (const chunk of list.chunks(() => {})) {
      expect(chunk).toHaveLength(5000);
      break;
    }
    expect((await readAll(list)).people).toHaveLength(20_000);
  });
});

describe('people that are left out', () => {
  test('an address that is none, or not there, is told with its line', async () => {
    const result = await read(
      'name,email\nAnn,"ann@example.com"\nBob, \nEve,eve at example.com\n"a\nb",nobody@\nshort\nZoe,zoe@example.com\n',
    );
    expect(result.rejected).toEqual([
      { line: 3, reason: 'no-address', value: '' },
      { line: 4, reason: 'bad-address', value: 'eve at example.com' },
      { line: 5, reason: 'bad-address', value: 'nobody@' },
      { line: 7, reason: 'no-address', value: '' },
    ]);
    expect(lines(result)).toEqual([
      [2, 'ann@example.com'],
      [8, 'zoe@example.com'],
    ]);
  });

  test('an id that is not there, or as long as a novel, is told with its line', async () => {
    const long = 'x'.repeat(256);
    const result = await read(
      `email,id\na@example.com,\nb@example.com, \nc@example.com,${long}\nd@example.com,${long.slice(1)}\ne@example.com\nno,\n`,
      {
        idColumn: 'id',
      },
    );
    expect(result.rejected).toEqual([
      { line: 2, reason: 'no-id', value: '' },
      { line: 3, reason: 'no-id', value: '' },
      { line: 4, reason: 'bad-id', value: long.slice(1) },
      { line: 6, reason: 'no-id', value: '' },
      { line: 7, reason: 'no-id', value: '' },
    ]);
    expect(result.people.map(({ line, externalId }) => [line, externalId])).toEqual([[5, long.slice(1)]]);
  });

  test('lines of nothing but delimiters or spaces are people without an address', async () => {
    expect((await read('email,n\n,\n   \n\t,\n')).rejected.map(({ line, reason }) => [line, reason])).toEqual([
      [2, 'no-address'],
      [3, 'no-address'],
      [4, 'no-address'],
    ]);
  });
});

describe('a quote that is never closed', () => {
  test('is an error that names the line it is on', async () => {
    await expect(read('email,n\nann@example.com,1\nbob@example.com,"2\neve@example.com,3\nzoe@example.com,4\n')).rejects.toMatchObject(
      badInput('people.csv', 'line 3', 'uote'),
    );
  });

  test('is found soon in a large file, by its line', async () => {
    const content = `email,n\nann@example.com,"1\n${'bob@example.com,2\n'.repeat(1_000_000)}`;
    const list = await listOf(content);
    await expect(readAll(list)).rejects.toMatchObject(badInput('people.csv', 'line 2:'));
    expect(list.bytesRead()).toBeLessThan(list.bytes / 5);
  });

  test('in the header is an error of the first line', async () => {
    await expect(listOf('"email,n\nann@example.com,1\n')).rejects.toMatchObject(badInput('people.csv', 'line 1'));
  });
});

describe('any table', () => {
  interface Style {
    delimiter: string;
    end: string;
    bom: boolean;
    latin1: boolean;
    lastEnd: boolean;
  }

  const style: fc.Arbitrary<Style> = fc.record({
    delimiter: fc.constantFrom(',', ';', '\t'),
    end: fc.constantFrom('\n', '\r\n'),
    bom: fc.boolean(),
    latin1: fc.boolean(),
    lastEnd: fc.boolean(),
  });
  // Every character is one byte in windows-1252, where the euro sign is 0x80. A line break in a value is written as the line end of the
  // file.
  const value = fc
    .array(fc.oneof(fc.constantFrom('a', 'b', ' ', ',', ';', '\t', '"', '\n'), fc.constantFrom('é', 'ß', '€', '""', '\n\n', ' "', 'x')), {
      maxLength: 8,
    })
    .map((all) => all.join(''));
  const row = fc.record({
    person: fc.oneof(
      { weight: 5, arbitrary: fc.nat(99).map((n) => `p${n}@example.com`) },
      { weight: 1, arbitrary: fc.constantFrom('', 'nonsense', 'a\nb') },
    ),
    values: fc.array(value, { maxLength: 4 }),
    quoted: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    emptyLinesBefore: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) }),
  });

  function written(text: string, quote: boolean, { delimiter, end }: Style): string {
    const needed = text.includes(delimiter) || /["\n]/.test(text);
    return quote || needed ? `"${text.replaceAll('"', '""').replaceAll('\n', end)}"` : text;
  }

  test('is read back as it was written, with the same line numbers', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 12 }), style, fc.boolean(), async (rows, how, quotedHeader) => {
        const header = ['email', 'one', 'two', 'three', 'four'];
        let text = header.map((name) => written(name, quotedHeader, how)).join(how.delimiter);
        let line = 1;
        const expected: { line: number; values: string[] }[] = [];
        for (const { person, values, quoted, emptyLinesBefore } of rows) {
          const all = [person, ...values];
          // A record with one empty field is an empty line, even if the field is quoted.
          const isEmpty = all.length === 1 && person === '';
          text += how.end.repeat(emptyLinesBefore + 1);
          line += emptyLinesBefore + 1;
          text += all.map((field, i) => written(field, quoted[i] as boolean, how)).join(how.delimiter);
          if (!isEmpty) expected.push({ line, values: all.map((field) => field.replaceAll('\n', how.end)) });
          line += all.join('').split('\n').length - 1;
        }
        if (how.lastEnd) text += how.end;
        const bytes = how.latin1 ? Buffer.from(text.replaceAll('€', '\x80'), 'latin1') : Buffer.from(`${how.bom ? '\ufeff' : ''}${text}`);
        // Some lines in Latin-1 are also valid UTF-8 by chance. Their encoding cannot be detected, so such cases are skipped.
        const physicalLines = bytes.toString('latin1').split(/\r?\n/);
        fc.pre(!how.latin1 || physicalLines.every((line) => /^[\x00-\x7f]*$/.test(line) || !isUtf8(Buffer.from(line, 'latin1'))));
        const { header: names, people, rejected } = await read(bytes);
        expect(names).toEqual(header);
        const valid = expected.filter(({ values }) => (values[0] as string).endsWith('@example.com'));
        expect(people.map((person) => ({ line: person.line, values: person.values }))).toEqual(valid);
        expect(rejected.map((left) => ({ line: left.line, value: left.value }))).toEqual(
          expected.filter((it) => !valid.includes(it)).map(({ line: at, values }) => ({ line: at, value: values[0] })),
        );
      }),
      runs(300),
    );
  });
});
