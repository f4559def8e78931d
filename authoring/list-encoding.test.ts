import { isUtf8 } from 'node:buffer';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { encode } from './letter/encoding.ts';
import { openPeople, type ListFindings, type PeopleColumns } from './list-file.ts';

interface Read {
  names: (string | undefined)[];
  findings: ListFindings;
}

async function read(content: string | Buffer, columns: PeopleColumns = {}): Promise<Read> {
  const path = join(await temporaryDirectory(), 'people.csv');
  await writeFile(path, content);
  const list = await openPeople(path, columns);
  const names: string[] = [];
  for await (const chunk of list.chunks(() => {})) names.push(...chunk.map((person) => list.value(person, 'name')));
  return { names, findings: list.findings };
}

const row = (name: string, i: number) => `p${i}@example.com,${name}`;
/** The bytes of a list whose lines are in different encodings. */
const listOf = (rows: readonly { name: string; encoding: string }[], end = '\n'): Buffer =>
  Buffer.concat([
    Buffer.from(`email,name${end}`),
    ...rows.map(({ name, encoding }, i) => encode(`${row(name, i)}${end}`, encoding, () => '?')),
  ]);

const WESTERN = ['Jürgen', 'Renée', 'Núñez', 'Søren', 'Åsa', 'Müller-Lüdenscheidt', 'François', 'Ærø', '€uro', '“Zoë”'];
/** Names for each encoding. If a list of these names is read as windows-1252, the result makes no sense. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'windows-1250': ['Łukasz', 'Dvořák', 'Čapek', 'Kőszegi', 'Żółć', 'Świątek', 'Ionuţ', 'Đorđe'],
  'windows-1251': ['Иван', 'Алексей', 'Ольга', 'Юрий', 'Ліна', 'Їжак', 'Київ', 'Стоян'],
  'iso-8859-2': ['Łukasz', 'Dvořák', 'Čapek', 'Kőszegi', 'Żółć', 'Świątek', 'Ionuţ'],
  'iso-8859-5': ['Иван', 'Алексей', 'Ольга', 'Юрий', 'Стоян'],
  'koi8-r': ['Иван', 'Алексей', 'Ольга', 'Юрий', 'Стоян'],
  'windows-1253': ['Γιώργος', 'Ελένη', 'Νίκος', 'Δήμητρα'],
  'windows-1254': ['Şükrü', 'İbrahim', 'Gülşah', 'Çağla', 'Doğan'],
  'windows-1255': ['משה', 'דוד', 'שרה', 'רחל'],
  'windows-1256': ['محمد', 'فاطمة', 'علي', 'سارة'],
  'windows-1257': ['Jānis', 'Žanis', 'Ķēniņš', 'Šarūnas', 'Õie'],
  shift_jis: ['山田太郎', '鈴木', 'ソニー', '表', '佐藤花子', '能登'],
  'euc-jp': ['山田太郎', '鈴木', 'ソニー', '佐藤花子'],
  'iso-2022-jp': ['山田太郎', '鈴木', 'ソニー', '佐藤花子'],
  gbk: ['王小明', '李娜', '张伟', '联通', '刘洋'],
  gb18030: ['王小明', '李娜', '张伟', '联通', '刘洋'],
  big5: ['王小明', '陳大文', '許功蓋', '林志玲'],
  'euc-kr': ['김철수', '이영희', '박지성', '홍길동'],
};
const UTF8_NAMES = [...WESTERN, ...Object.values(NAMES).flat(), '🎉 Zoë', 'Nguyễn'];
const lineEnd = fc.constantFrom('\n', '\r\n', '\r');

describe('a line that is not UTF-8', () => {
  test('does not change the others, and is reported with its number and an example', async () => {
    const person = fc.oneof(
      { weight: 3, arbitrary: fc.record({ name: fc.constantFrom(...UTF8_NAMES), encoding: fc.constant('utf-8') }) },
      { weight: 2, arbitrary: fc.record({ name: fc.constantFrom('Ann', 'Bob'), encoding: fc.constant('utf-8') }) },
      { weight: 1, arbitrary: fc.record({ name: fc.constantFrom(...WESTERN), encoding: fc.constant('windows-1252') }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(person, { minLength: 1, maxLength: 30 }), lineEnd, fc.boolean(), async (rows, end, bom) => {
        const bytes = Buffer.concat([Buffer.from(bom ? '\ufeff' : ''), listOf(rows, end)]);
        const others = rows.flatMap(({ encoding }, i) => (encoding === 'windows-1252' ? [i + 2] : []));
        const { names, findings } = await read(bytes);
        expect(names).toEqual(rows.map(({ name }) => name));
        const isUtf8List =
          bom || rows.some(({ name, encoding }) => encoding === 'utf-8' && /[^\x00-\x7f]/.test(name)) || others.length === 0;
        const example = { line: others[0], text: rows[(others[0] ?? 2) - 2]?.name };
        if (isUtf8List && others.length > 0)
          expect(findings.encoding).toMatchObject({
            encoding: 'utf-8',
            other: { encoding: 'windows-1252', count: others.length, first: others.slice(0, 10), example },
          });
        else if (isUtf8List) expect(findings.encoding).toMatchObject({ encoding: 'utf-8', other: undefined, example: undefined });
        else expect(findings.encoding).toMatchObject({ encoding: 'windows-1252', source: 'fallback', example });
      }),
      runs(200),
    );
  });

  test('is decoded as the author says, and the UTF-8 lines beside it stay', async () => {
    for (const [charset, legacyNames] of Object.entries(NAMES).filter(([name]) => name !== 'iso-2022-jp')) {
      const rows = [...legacyNames, ...legacyNames].map((name, i) => ({ name, encoding: i < legacyNames.length ? 'utf-8' : charset }));
      const { names, findings } = await read(listOf(rows), { listCharset: charset });
      expect([charset, ...names]).toEqual([charset, ...rows.map(({ name }) => name)]);
      expect(findings.encoding.other?.count).toBeGreaterThan(0);
    }
  });

  test('in a quoted field with line breaks does not break the record', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ name: fc.constantFrom(...WESTERN, 'plain', ''), encoding: fc.constantFrom('utf-8', 'windows-1252') }), {
          minLength: 2,
          maxLength: 6,
        }),
        lineEnd,
        async (parts, end) => {
          const name = parts.map((part) => part.name).join(end);
          const bytes = Buffer.concat([
            Buffer.from(`email,name${end}a@example.com,"`),
            ...parts.map((part, i) => encode(`${i > 0 ? end : ''}${part.name}`, part.encoding)),
            Buffer.from(`"${end}b@example.com,Zoë${end}`),
          ]);
          expect((await read(bytes)).names).toEqual([name, 'Zoë']);
        },
      ),
      runs(100),
    );
  });

  test('is found anywhere in a long list, and no more than ten numbers are kept', async () => {
    const rows = Array.from({ length: 40_000 }, (_, i) =>
      i % 1000 === 999 ? { name: 'Jürgen', encoding: 'windows-1252' } : { name: i % 3 === 0 ? 'Zoë' : 'Ann', encoding: 'utf-8' },
    );
    const { names, findings } = await read(listOf(rows));
    expect(names).toEqual(rows.map(({ name }) => name));
    expect(findings.encoding.other).toEqual({
      encoding: 'windows-1252',
      count: 40,
      first: Array.from({ length: 10 }, (_, i) => i * 1000 + 1001),
      example: { line: 1001, text: 'Jürgen' },
    });
  });
});

describe('a list in another encoding', () => {
  test.each(Object.keys(NAMES))('%s is read right with --list-charset', async (charset) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...(NAMES[charset] as string[]), 'Ann'), { minLength: 1, maxLength: 20 }),
        lineEnd,
        async (names, end) => {
          const bytes = listOf(
            names.map((name) => ({ name, encoding: charset })),
            end,
          );
          const result = await read(bytes, { listCharset: charset });
          expect(result.names).toEqual(names);
          expect(result.findings.encoding).toMatchObject(
            charset === 'iso-2022-jp' || !isUtf8(bytes) ? { encoding: charset, source: 'charset', damaged: 0 } : {},
          );
        },
      ),
      runs(30),
    );
  });

  test.each(Object.keys(NAMES).filter((name) => name !== 'iso-2022-jp'))(
    '%s is a guess without it, and the guess is reported',
    async (charset) => {
      const { findings } = await read(listOf((NAMES[charset] as string[]).map((name) => ({ name, encoding: charset }))));
      const { encoding, source, example, other } = findings.encoding;
      expect(other ? other.encoding : encoding).toBe('windows-1252');
      expect((example ?? other?.example)?.text).not.toBe('');
      expect(other ? 'bytes' : 'fallback').toBe(source);
    },
  );

  test('names that are valid UTF-8 by chance are read as the author says', async () => {
    // CB B3 is "Лі" in windows-1251, and U+02F3 in UTF-8.
    const bytes = Buffer.concat([Buffer.from('email,name\na@example.com,'), Buffer.from([0xcb, 0xb3]), Buffer.from('\n')]);
    expect((await read(bytes, { listCharset: 'cp1251' })).names).toEqual(['Лі']);
  });

  test('a list in UTF-8 stays UTF-8 if the author gives another charset', async () => {
    const { names, findings } = await read('email,name\na@example.com,Zoë Müller\nb@example.com,José Núñez\n', {
      listCharset: 'windows-1251',
    });
    expect(names).toEqual(['Zoë Müller', 'José Núñez']);
    expect(findings.encoding).toMatchObject({ encoding: 'utf-8', source: 'bytes' });
  });

  test('bytes that the charset does not have are counted', async () => {
    const bytes = Buffer.from('email,name\na@example.com,\xff\xfe\nb@example.com,Ann\n', 'latin1');
    expect((await read(bytes, { listCharset: 'shift_jis' })).findings.encoding.damaged).toBe(1);
    expect((await read(bytes, { listCharset: 'utf-8' })).findings.encoding).toMatchObject({
      encoding: 'utf-8',
      damaged: 1,
      other: undefined,
    });
  });

  test('an unknown charset is refused', async () => {
    await expect(read('email\n', { listCharset: 'klingon' })).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining("'klingon'"),
    });
  });
});

describe('UTF-16', () => {
  test('is read with and without a byte order mark, in both byte orders', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...UTF8_NAMES, 'Ann'), { minLength: 1, maxLength: 30 }),
        lineEnd,
        fc.boolean(),
        fc.boolean(),
        async (names, end, bom, big) => {
          const text = Buffer.from(`${bom ? '\ufeff' : ''}email,name${end}${names.map(row).join(end)}`, 'utf16le');
          const result = await read(big ? text.swap16() : text);
          expect(result.names).toEqual(names);
          expect(result.findings.encoding).toMatchObject({ encoding: big ? 'utf-16be' : 'utf-16le', source: bom ? 'bom' : 'bytes' });
        },
      ),
      runs(60),
    );
  });

  test('a stray NUL does not make a list UTF-16', async () => {
    expect((await read('email,name\na@example.com,A\0nn\nb@example.com,Zoë\n')).names).toEqual(['A\0nn', 'Zoë']);
  });
});

test('a file with one endless line is refused, not collected in memory', async () => {
  await expect(read(`email,name\n${'x'.repeat(30_000_000)}`)).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(/line 2: .*longer than/),
  });
});
