import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runs } from '../test/support/runs.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { EXPORT_ADDRESS_COLUMNS, isAddressName, LOCAL_ADDRESS_COLUMNS } from './list-columns.ts';
import { openPeople, type PeopleColumns, type PeopleFile, type Person, type Rejected } from './list-file.ts';

interface Read {
  list: PeopleFile;
  people: Person[];
  rejected: Rejected[];
}

async function read(content: string | Buffer, columns: PeopleColumns = {}, name = 'people.csv'): Promise<Read> {
  const path = join(await temporaryDirectory(), name);
  await writeFile(path, content);
  const list = await openPeople(path, columns);
  const result: Read = { list, people: [], rejected: [] };
  for await (const chunk of list.chunks((rejected) => result.rejected.push(rejected))) result.people.push(...chunk);
  return result;
}

const emails = ({ people }: Read) => people.map(({ email }) => email);
const quoted = (field: string) => `"${field.replaceAll('"', '""')}"`;
const csv = (rows: readonly (readonly string[])[], delimiter = ',') => rows.map((row) => `${row.map(quoted).join(delimiter)}\n`).join('');

const NAMES = [...Object.values(EXPORT_ADDRESS_COLUMNS), ...Object.values(LOCAL_ADDRESS_COLUMNS)].flat();
/** Names of columns that do not have mail addresses, although the names are similar. */
const OTHER_NAMES = [
  'Emails sent,Email opt-in,Email Type,E-mail 1 - Type,E-mail 1 - Label,Email Status,Email verified,Email hash,Email domain',
  'has email,Email count,Email Marketing Consent,Email permission status,Email subscriber status,Unsubscribed from all email',
  'Email opened,Last email date,Email Format,email_md5,Mailing Street,Mailing list,Mail merge,gmail,Name,id,Phone,Town,Straße,住所',
  '名前,Телефон,Adresse,Do not email,Email language,Email frequency,Reply-to,Email bounced,email_disabled',
].flatMap((names) => names.split(','));

describe('the column of the mail addresses', () => {
  test('exports of at least 30 services and names in at least 40 languages are known', () => {
    expect(Object.keys(EXPORT_ADDRESS_COLUMNS).length).toBeGreaterThanOrEqual(30);
    expect(Object.keys(LOCAL_ADDRESS_COLUMNS).length).toBeGreaterThanOrEqual(40);
  });

  test('is found by every usual name, however it is spelled, beside any others', async () => {
    const spelled = fc
      .constantFrom(...NAMES)
      .chain((name) =>
        fc.constantFrom(
          name,
          name.toUpperCase(),
          name.toLowerCase(),
          name.replaceAll(' ', '_'),
          name.replaceAll(' ', '-'),
          ` ${name} `,
          `\u200b${name}\u00a0`,
          name.replaceAll(' ', '\u00a0'),
          name.normalize('NFD'),
          `\ufeff${name}`,
        ),
      );
    await fc.assert(
      fc.asyncProperty(
        spelled,
        fc.uniqueArray(fc.constantFrom(...OTHER_NAMES), { maxLength: 5 }),
        fc.nat(5),
        fc.constantFrom(',', ';', '\t', '|'),
        async (name, others, place, delimiter) => {
          const header = others.toSpliced(place, 0, name);
          const at = header.indexOf(name);
          const rows = [0, 1, 2].map((n) => header.map((_, i) => (i === at ? `p${n}@example.com` : 'x')));
          const result = await read(csv([header, ...rows], delimiter), { ignoreStatus: true });
          expect([name, ...emails(result)]).toEqual([name, 'p0@example.com', 'p1@example.com', 'p2@example.com']);
          expect(result.list.findings.otherEmailColumns).toEqual([]);
        },
      ),
      runs(500),
    );
  });

  test('every name is found alone', () => {
    expect(NAMES.filter((name) => !isAddressName(name))).toEqual([]);
    expect(OTHER_NAMES.filter((name) => isAddressName(name))).toEqual([]);
  });

  test('is one of many words for whose address it is', () => {
    const whose = fc.constantFrom(
      'user',
      'contact',
      'subscriber',
      'customer',
      'billing',
      'work',
      'primary',
      'member',
      'your',
      'buyer',
      'recipient',
    );
    fc.assert(
      fc.property(
        whose,
        fc.constantFrom('email', 'e-mail', 'Email Address', 'E-mail', 'EMAIL', 'email_address'),
        fc.constantFrom('_', ' ', '-', '.', ' - ', ': ', '__'),
        fc.constantFrom('', ' 1', '_2'),
        (person, mail, by, number) => {
          expect(isAddressName(`${person}${by}${mail}${number}`)).toBe(true);
          expect(isAddressName(`${person}${by}${mail} opt-in${number}`)).toBe(false);
        },
      ),
      runs(300),
    );
  });

  test('of several, the one with the most addresses is taken, and the others are reported', async () => {
    const candidates = ['Email', 'E-mail 1 - Value', 'E-mail 2 - Value', 'Work Email', 'user_email'];
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.constantFrom(...candidates), { minLength: 2 }),
        fc.array(fc.nat(31), { minLength: 1, maxLength: 20 }),
        async (header, masks) => {
          const rows = masks.map((mask, n) => header.map((_, i) => ((mask >> i) % 2 === 1 ? `c${i}n${n}@example.com` : '')));
          const counts = header.map((_, i) => rows.filter((row) => row[i] !== '').length);
          const { list } = await read(csv([header, ...rows]));
          const chosen = header.indexOf(list.findings.emailColumn as string);
          expect(counts[chosen]).toBe(Math.max(...counts));
          expect(list.findings.otherEmailColumns.toSorted()).toEqual(
            header.filter((_, i) => i !== chosen && (counts[i] as number) > 0).toSorted(),
          );
        },
      ),
      runs(100),
    );
    expect(
      (
        await read(
          csv([
            ['Secondary Email', 'Email'],
            ['a@example.com', 'b@example.com'],
          ]),
        )
      ).list.findings.emailColumn,
    ).toBe('Email');
  });

  test('a name that may mean something else counts only with addresses in it', async () => {
    for (const [name, other] of [
      ['Address', '1 Main Street'],
      ['Username', 'ann'],
      ['Subscriber', 'yes'],
      ['Recipient', 'Ann'],
    ] as const) {
      expect(emails(await read(csv([[name], ['ann@example.com']])))).toEqual(['ann@example.com']);
      expect(
        emails(
          await read(
            csv([
              [name, 'Email'],
              [other, 'ann@example.com'],
            ]),
          ),
        ),
      ).toEqual(['ann@example.com']);
      await expect(
        read(
          csv([
            [name, 'n'],
            [other, 'x'],
          ]),
        ),
      ).rejects.toMatchObject({ code: 'bad-input' });
    }
  });

  test('the error names a column that has addresses', async () => {
    await expect(read('Kontakt;Ort\nann@example.com;Köln\n')).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining("Its column 'Kontakt' has mail addresses. Give the column with --email-column."),
    });
  });
});

describe('a list without a header', () => {
  const value: fc.Arbitrary<string> = fc.constantFrom('Ann', 'Zoë', '', '1', 'Köln, DE', 'a;b');
  test('loses nobody: the first record is a person', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(value, { maxLength: 4 }), { minLength: 1, maxLength: 8 }),
        fc.nat(4),
        fc.constantFrom(
          (it: string) => it,
          (it: string) => `Ann Lee <${it}>`,
          (it: string) => `<${it}>`,
          (it: string) => ` ${it.toUpperCase()} `,
          (it: string) => `mailto:${it}`,
          (it: string) => `\u200b${it}`,
        ),
        fc.constantFrom(',', ';', '\t', '|'),
        async (others, place, wrap, delimiter) => {
          const width = Math.max(...others.map(({ length }) => length));
          const at = Math.min(place, width);
          const rows = others.map((row, n) =>
            Array.from({ length: width }, (_, i) => row[i] ?? '').toSpliced(at, 0, wrap(`p${n}@example.com`)),
          );
          const result = await read(csv(rows, delimiter));
          expect(emails(result)).toEqual(others.map((_, n) => `p${n}@example.com`));
          expect(result.people.map(({ line }) => line)).toEqual(others.map((_, n) => n + 1));
          expect(result.list.findings).toMatchObject({ hasHeader: false, emailColumn: 'email' });
          expect(result.list.header).toEqual(Array.from({ length: width + 1 }, (_, i) => (i === at ? 'email' : `column_${i + 1}`)));
        },
      ),
      runs(200),
    );
  });

  test('has columns that can be named', async () => {
    const content = 'a@example.com,4711,b@example.com\nc@example.com,4712,d@example.com\n';
    expect((await read(content, { idColumn: 'column_2' })).people.map(({ email, externalId }) => [email, externalId])).toEqual([
      ['a@example.com', '4711'],
      ['c@example.com', '4712'],
    ]);
    expect(emails(await read(content, { emailColumn: 'column_3' }))).toEqual(['b@example.com', 'd@example.com']);
    expect((await read(content, { emails: false, idColumn: 'column_2' })).people).toHaveLength(2);
    await expect(read(content, { emails: false })).rejects.toMatchObject({
      message: expect.stringContaining('column_1, column_2, column_3'),
    });
  });

  test('a header with an address in it is a header if it has a usual name', async () => {
    expect(emails(await read('email,contact@shop.example\na@example.com,yes\n'))).toEqual(['a@example.com']);
    expect(emails(await read('contact@shop.example,kontakt\nyes,a@example.com\n', { emailColumn: 'kontakt' }))).toEqual(['a@example.com']);
  });
});

describe('a first line sep=', () => {
  test('gives the delimiter, and lines are counted with it', async () => {
    const delimiter = fc.constantFrom(';', ',', '\t', '|', ':', '~', '^');
    await fc.assert(
      fc.asyncProperty(
        delimiter,
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        async (by, end, isQuoted, bom, hasHeader) => {
          const first = isQuoted ? `"sep=${by}"` : `SEP=${by}`;
          const rows = [
            ...(hasHeader ? [['name', 'E-Mail', 'note']] : []),
            ['Ann', 'ann@example.com', 'a,b;c|d'],
            ['Bob', 'bob@example.com', ''],
          ];
          const body = rows.map((row) => row.map((field) => (/[,;|]/.test(field) ? quoted(field) : field)).join(by)).join(end);
          const result = await read(`${bom ? '\ufeff' : ''}${first}${end}${body}${end}`);
          const firstLine = hasHeader ? 3 : 2;
          expect(result.people.map(({ line, values }) => [line, ...values])).toEqual([
            [firstLine, 'Ann', 'ann@example.com', 'a,b;c|d'],
            [firstLine + 1, 'Bob', 'bob@example.com', ''],
          ]);
          expect(result.list.header).toEqual(hasHeader ? ['name', 'E-Mail', 'note'] : ['column_1', 'email', 'column_3']);
        },
      ),
      runs(100),
    );
  });

  test('may be padded by a spreadsheet program, and in UTF-16', async () => {
    expect(emails(await read('sep=;;;\nname;email;x\nAnn;ann@example.com;1\n'))).toEqual(['ann@example.com']);
    expect(emails(await read(Buffer.from('\ufeffsep=\t\nname\temail\nAnn\tann@example.com\n', 'utf16le')))).toEqual(['ann@example.com']);
    await expect(read('sep=;\n')).rejects.toMatchObject({ message: expect.stringContaining('empty') });
  });
});

describe('an address in its field', () => {
  test('is alone in the values of the person, and the change is reported', async () => {
    const { list, people } = await read(
      'email,name\n"Lee, Ann <Ann@Example.com>",Ann\n mailto:bob@example.com ,Bob\n eve@example.com ,Eve\n\u200bzoe@example.com,Zoë\n',
    );
    expect(people.map(({ email, values }) => [email, values[0]])).toEqual(
      [
        ['ann@example.com', 'Lee, Ann <Ann@Example.com>'],
        ['bob@example.com', 'bob@example.com'],
        ['eve@example.com', ' eve@example.com '],
        ['zoe@example.com', 'zoe@example.com'],
      ].map(([email, field], i) => (i === 0 ? [email, 'Ann@Example.com'] : [email, field])),
    );
    expect(list.findings.cleaned).toEqual({ count: 3, example: { line: 2, from: 'Lee, Ann <Ann@Example.com>', to: 'Ann@Example.com' } });
    for await (const _ of list.chunks(() => {}));
    expect(list.findings.cleaned.count).toBe(3);
  });
});

describe('a file that is not CSV', () => {
  const ascii = (text: string) => Buffer.from(text, 'latin1');
  test.each([
    ['people.xlsx', ascii('PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml'), 'Excel workbook (.xlsx)', 'CSV UTF-8'],
    ['people.xlsx', ascii('PK\x03\x04\x14\0\0\0\x08\0xl/worksheets/sheet1.xml'), 'Excel workbook (.xlsx)', 'CSV UTF-8'],
    ['people.xls', ascii('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0'), 'Excel workbook (.xls)', 'CSV UTF-8'],
    ['people.csv', ascii('PK\x03\x04\x14\0\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheetPK'), '(.ods)', 'LibreOffice'],
    ['people.numbers', ascii('PK\x03\x04\x14\0\0\0Index/Document.iwa'), 'Numbers', 'Export To'],
    ['people.docx', ascii('PK\x03\x04\x14\0\0\0[Content_Types].xml word/document.xml'), 'Word', 'as CSV'],
    ['people.zip', ascii('PK\x03\x04\x14\0\0\0\x08\0people.csv'), 'ZIP', 'CSV file inside'],
    ['people.csv.gz', ascii('\x1f\x8b\x08\0'), 'compressed', 'Unpack'],
    ['people.pdf', ascii('%PDF-1.7\n'), 'PDF', 'CSV'],
    ['people.json', ascii('[{"email":"ann@example.com"}]'), 'JSON', 'CSV'],
    ['people.xls', ascii('<html><table><tr><td>email</td></tr></table>'), 'HTML', 'Excel'],
    ['people.vcf', ascii('BEGIN:VCARD\r\nVERSION:3.0'), 'vCard', 'CSV'],
    ['people.rtf', ascii('{\\rtf1\\ansi'), 'RTF', 'CSV'],
  ])('%s is recognised, and the error says what to do', async (name, bytes, kind, advice) => {
    await expect(read(bytes, {}, name)).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining(name) });
    await expect(read(bytes, {}, name)).rejects.toMatchObject({ message: expect.stringContaining(kind) });
    await expect(read(bytes, {}, name)).rejects.toMatchObject({ message: expect.stringContaining(advice) });
  });

  test.each([
    'PK,email\n1,a@example.com\n',
    'ID;email\n1;a@example.com\n',
    '<ann@example.com>\n',
    'html,email\n1,a@example.com\n',
    '"{x}",email\n1,a@example.com\n',
  ])('%j is CSV', async (content) => {
    expect((await read(content)).people).toHaveLength(1);
  });
});
