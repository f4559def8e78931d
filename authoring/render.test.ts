import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { ensureCampaign } from './campaigns.ts';
import type { Addressee } from './addressees.ts';
import { withOutputDirectory, withOutputFile } from './output-files.ts';
import { openPeople, type PeopleColumns, type PeopleFile } from './list-file.ts';
import type { Envelope } from './letter/envelope.ts';
import { planParts, type TrackedLetter, trackLetter } from './track-letter.ts';
import { createEmlWriter, createFilesWriter, createMboxWriter, createRenderer, type LetterWriter } from './render.ts';

const BASE = 'https://t.example.org';

let databases: Databases;
let pool: Pool;
let campaign: number;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 2, name: 'test' });
  campaign = (await ensureCampaign(pool, 'the campaign')).id;
  return () => pool.end();
});

async function letterOf(html: string | Buffer | undefined, text: string | undefined): Promise<TrackedLetter> {
  const parts = { html: html === undefined ? undefined : Buffer.from(html), text: text === undefined ? undefined : Buffer.from(text) };
  const options = { baseUrls: [BASE], exclude: [], trackUnsubscribe: false, utm: {}, pixel: 'bottom' } as const;
  return trackLetter({ pool, baseUrl: BASE, keys: databases.keys }, campaign, planParts(parts, options));
}

const LIST = 'email,name\nann@example.com,"Ann <A> & ""B"""\nbob@example.com,Bob\neve@example.com,Ünï 🎉\n';

/** Writes a list to a file, reads it, and gives each person a recipient id, counting from 1. The person called Bob has opted out. */
async function listOf(content = LIST, columns: PeopleColumns = {}): Promise<{ people: PeopleFile; addressees: Addressee[] }> {
  const path = join(await temporaryDirectory(), 'people.csv');
  await writeFile(path, content);
  const people = await openPeople(path, columns);
  const addressees: Addressee[] = [];
  for await (const chunk of people.chunks(() => {}))
    for (const person of chunk)
      addressees.push({
        person,
        recipient: { id: addressees.length + 1, optedOut: person.values.includes('Bob'), isTest: false, unsubscribed: false },
      });
  return { people, addressees };
}

const HTML = '<html><body><p>Hello {{name}}</p><a href="https://shop.example/?a=1&amp;b=2" title="{{ name }}">x</a></body></html>';
const TEXT = 'Hello {{name}}, see https://shop.example/t\n';
const ENVELOPE: Envelope = {
  from: 'News <news@shop.example>',
  subject: 'For {{name}}',
  headers: [{ key: 'X-Who', value: '{{email}}' }],
};

async function writeAll(
  opening: Promise<LetterWriter>,
  letter: TrackedLetter,
  people: PeopleFile,
  addressees: Iterable<Addressee> | AsyncIterable<Addressee>,
  columns: readonly string[] = people.header,
): Promise<void> {
  const writer = await opening;
  try {
    const render = createRenderer(letter, columns);
    for await (const addressee of addressees)
      await writer.write(
        addressee,
        render(addressee.recipient, (name) => people.value(addressee.person, name)),
      );
    await writer.end();
  } finally {
    await writer.abandon();
  }
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
const indexOf = async (directory: string) =>
  parseCsv(await readFile(join(directory, 'index.csv')), { columns: true }) as Record<string, string>[];

/** The expected letters, written by hand. */
function expectedOf(letter: TrackedLetter) {
  const own = [1, 2, 3].map((id) => letter.addressesOf(id));
  const pixel = (i: number) => `<img src="${own[i]?.pixel}" width="1" height="1" alt="" style="border:0;width:1px;height:1px" />`;
  const html = (name: string, link: string, image: string) =>
    `<html><body><p>Hello ${name}</p><a href="${link}" title="${name}">x</a>${image}</body></html>`;
  return {
    html: [
      html('Ann &lt;A&gt; &amp; &quot;B&quot;', own[0]?.links[0] ?? '', pixel(0)),
      html('Bob', 'https://shop.example/?a=1&amp;b=2', ''),
      html('&#220;n&#239; &#127881;', own[2]?.links[0] ?? '', pixel(2)),
    ],
    text: [
      `Hello Ann <A> & "B", see ${own[0]?.links[1]}\n`,
      'Hello Bob, see https://shop.example/t\n',
      `Hello Ünï 🎉, see ${own[2]?.links[1]}\n`,
    ],
  };
}

describe('a letter for one person', () => {
  test('has own addresses and values; who has opted out has the letter’s addresses and no pixel', async () => {
    const letter = await letterOf(HTML, TEXT);
    const { people, addressees } = await listOf();
    const render = createRenderer(letter, people.header);
    const letters = addressees.map(({ person, recipient }) => render(recipient, (name) => people.value(person, name)));
    const expected = expectedOf(letter);
    expect(letters.map(({ html }) => html?.toString())).toEqual(expected.html);
    expect(letters.map(({ text }) => text?.toString())).toEqual(expected.text);
  });

  test('braces that no column was asked for stay as they are', async () => {
    const render = createRenderer(await letterOf(undefined, 'Hello {{name}} {{ nobody }}'));
    expect(render({ id: 1, optedOut: false }, () => 'never').text?.toString()).toBe('Hello {{name}} {{ nobody }}');
  });

  test('a column that the list does not have is an error before anything is made', async () => {
    const letter = await letterOf('<p>{{nobody}}</p>', undefined);
    expect(() => createRenderer(letter, ['email', 'name'])).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(/nobody.*email, name/) }),
    );
    expect(createRenderer(letter, 'any')({ id: 1, optedOut: false }, (name) => `<${name}>`).html?.toString()).toContain(
      '<p>&lt;nobody&gt;</p>',
    );
  });
});

describe('files', () => {
  test('one of each part a person, and an index that says whose they are', async () => {
    const letter = await letterOf(HTML, TEXT);
    const { people, addressees } = await listOf();
    const directory = join(await temporaryDirectory(), 'deep', 'out');
    await withOutputDirectory(directory, () => writeAll(createFilesWriter(directory, people, letter), letter, people, addressees));
    const names = ['0000001', '0000002', '0000003'];
    expect((await readdir(directory)).toSorted()).toEqual([...names.flatMap((name) => [`${name}.html`, `${name}.txt`]), 'index.csv']);
    const expected = expectedOf(letter);
    for (const [i, name] of names.entries()) {
      expect(await readFile(join(directory, `${name}.html`), 'utf8')).toBe(expected.html[i]);
      expect(await readFile(join(directory, `${name}.txt`), 'utf8')).toBe(expected.text[i]);
    }
    expect(await indexOf(directory)).toEqual([
      { file: '0000001.html', email: 'ann@example.com', name: 'Ann <A> & "B"' },
      { file: '0000002.html', email: 'bob@example.com', name: 'Bob' },
      { file: '0000003.html', email: 'eve@example.com', name: 'Ünï 🎉' },
    ]);
  });

  test('nobody else may read them', async () => {
    const letter = await letterOf(HTML, TEXT);
    const { people, addressees } = await listOf();
    const directory = join(await temporaryDirectory(), 'out');
    await withOutputDirectory(directory, () => writeAll(createFilesWriter(directory, people, letter), letter, people, addressees));
    expect(await modeOf(directory)).toBe(0o700);
    for (const name of await readdir(directory)) expect([name, await modeOf(join(directory, name))]).toEqual([name, 0o600]);
  });

  test('of a text alone', async () => {
    const letter = await letterOf(undefined, TEXT);
    const { people, addressees } = await listOf();
    const directory = await temporaryDirectory();
    await withOutputDirectory(directory, () => writeAll(createFilesWriter(directory, people, letter), letter, people, addressees));
    expect((await readdir(directory)).toSorted()).toEqual(['0000001.txt', '0000002.txt', '0000003.txt', 'index.csv']);
    expect((await indexOf(directory)).map(({ file }) => file)).toEqual(['0000001.txt', '0000002.txt', '0000003.txt']);
  });

  test('the index has every value under its name, also of short and long lines', async () => {
    const letter = await letterOf(undefined, 'x');
    const { people, addressees } = await listOf(
      'email,name,town\nann@example.com\nbob@example.com,Bob,Köln,more\neve@example.com,"E\nve",\n',
    );
    const directory = await temporaryDirectory();
    await withOutputDirectory(directory, () => writeAll(createFilesWriter(directory, people, letter), letter, people, addressees));
    expect(await indexOf(directory)).toEqual([
      { file: '0000001.txt', email: 'ann@example.com', name: '', town: '' },
      { file: '0000002.txt', email: 'bob@example.com', name: 'Bob', town: 'Köln' },
      { file: '0000003.txt', email: 'eve@example.com', name: 'E\nve', town: '' },
    ]);
  });

  test('for nobody there is an index of nobody', async () => {
    const letter = await letterOf(undefined, 'x');
    const { people } = await listOf('email,name\n');
    const directory = await temporaryDirectory();
    await withOutputDirectory(directory, () => writeAll(createFilesWriter(directory, people, letter), letter, people, []));
    expect(await readFile(join(directory, 'index.csv'), 'utf8')).toBe('file,email,name\r\n');
  });

  test('thousands of them', async () => {
    const letter = await letterOf(undefined, 'Hello {{name}}');
    const { people, addressees } = await listOf(
      `email,name\n${Array.from({ length: 2000 }, (_, i) => `p${i}@example.com,${'n'.repeat(100)}${i}\n`).join('')}`,
    );
    const directory = await temporaryDirectory();
    await withOutputDirectory(directory, () => writeAll(createFilesWriter(directory, people, letter), letter, people, addressees));
    const index = await indexOf(directory);
    expect(index).toHaveLength(2000);
    const { file, name } = index[1234] ?? {};
    expect(await readFile(join(directory, file as string), 'utf8')).toBe(`Hello ${name}`);
  });
});

describe('messages', () => {
  const parsed = async (bytes: Buffer | string) => {
    const { from, to, subject, html, text, headers } = await PostalMime.parse(bytes);
    const who = headers.find(({ key }) => key === 'x-who')?.value;
    return { from: from?.address, to: to?.map(({ address }) => address), subject, html: html?.trimEnd(), text: text?.trimEnd(), who };
  };

  const expectedMessages = (letter: TrackedLetter) => {
    const { html, text } = expectedOf(letter);
    return [
      ['ann@example.com', 'Ann <A> & "B"'],
      ['bob@example.com', 'Bob'],
      ['eve@example.com', 'Ünï 🎉'],
    ].map(([email, name], i) => ({
      from: 'news@shop.example',
      to: [email],
      subject: `For ${name}`,
      html: html[i],
      text: text[i]?.trimEnd(),
      who: email,
    }));
  };

  test('one file each', async () => {
    const letter = await letterOf(HTML, TEXT);
    const { people, addressees } = await listOf();
    const directory = join(await temporaryDirectory(), 'out');
    await withOutputDirectory(directory, () => writeAll(createEmlWriter(directory, people, letter, ENVELOPE), letter, people, addressees));
    expect((await readdir(directory)).toSorted()).toEqual(['0000001.eml', '0000002.eml', '0000003.eml', 'index.csv']);
    const messages = await Promise.all(['1', '2', '3'].map(async (n) => parsed(await readFile(join(directory, `000000${n}.eml`)))));
    expect(messages).toEqual(expectedMessages(letter));
    expect((await indexOf(directory)).map(({ file, email }) => [file, email])).toEqual([
      ['0000001.eml', 'ann@example.com'],
      ['0000002.eml', 'bob@example.com'],
      ['0000003.eml', 'eve@example.com'],
    ]);
    for (const name of await readdir(directory)) expect([name, await modeOf(join(directory, name))]).toEqual([name, 0o600]);
  });

  test('all in one file', async () => {
    const letter = await letterOf(HTML, TEXT);
    const { people, addressees } = await listOf();
    const directory = await temporaryDirectory();
    const path = join(directory, 'letters.mbox');
    await withOutputFile(path, () => writeAll(createMboxWriter(path, people, letter, ENVELOPE), letter, people, addressees));
    expect(await readdir(directory)).toEqual(['letters.mbox']);
    expect(await modeOf(path)).toBe(0o600);
    const mbox = await readFile(path, 'latin1');
    const messages = mbox.split(/(?:^|\n\n)From [^\n]*\n/).slice(1);
    expect(await Promise.all(messages.map((message) => parsed(Buffer.from(message, 'latin1'))))).toEqual(expectedMessages(letter));
  });

  test('go to the address as it is stored', async () => {
    const letter = await letterOf(undefined, 'x');
    const { people, addressees } = await listOf('email,name\n ANN@MÜNCHEN.example ,Ann\n');
    const directory = await temporaryDirectory();
    await withOutputDirectory(directory, () => writeAll(createEmlWriter(directory, people, letter, ENVELOPE), letter, people, addressees));
    expect((await parsed(await readFile(join(directory, '0000001.eml')))).to).toEqual(['ann@xn--mnchen-3ya.example']);
  });

  test('a Latin-1 letter is read as it was written', async () => {
    const letter = await letterOf(Buffer.from('<p>Gr\xf6\xdfe {{name}}</p>', 'latin1'), undefined);
    const { people, addressees } = await listOf('email,name\nann@example.com,Änn 🎉\n');
    const directory = await temporaryDirectory();
    await withOutputDirectory(directory, () => writeAll(createEmlWriter(directory, people, letter, ENVELOPE), letter, people, addressees));
    expect((await parsed(await readFile(join(directory, '0000001.eml')))).html).toMatch(/<p>Größe Änn &#127881;<\/p>/);
  });

  test('a value with a line break is no header', async () => {
    const letter = await letterOf(undefined, 'the text');
    const { people, addressees } = await listOf('email,name\nann@example.com,"x\r\nBcc: eve@example.com\r\n\r\nx"\n');
    const envelope = { ...ENVELOPE, headers: [{ key: 'X-Name', value: '{{name}}' }] };
    const directory = await temporaryDirectory();
    await withOutputDirectory(directory, () => writeAll(createEmlWriter(directory, people, letter, envelope), letter, people, addressees));
    const mail = await PostalMime.parse(await readFile(join(directory, '0000001.eml')));
    expect(mail.headers.filter(({ key }) => key === 'bcc')).toEqual([]);
    expect(mail.text?.trimEnd()).toBe('the text');
  });

  test('need an address', async () => {
    const letter = await letterOf(undefined, 'x');
    const { people, addressees } = await listOf('id,name\n1,Ann\n', { emails: false });
    const directory = join(await temporaryDirectory(), 'out');
    const envelope = { ...ENVELOPE, headers: [] };
    const run = withOutputDirectory(directory, () =>
      writeAll(createEmlWriter(directory, people, letter, envelope), letter, people, addressees),
    );
    await expect(run).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('address') });
  });

  test.each([
    { subject: 'For {{nobody}}', headers: [] },
    { subject: 'x', headers: [{ key: 'X-Who', value: '{{nobody}}' }] },
  ])('a column that the list does not have is an error at once: %j', async (subjectAndHeaders) => {
    const letter = await letterOf(undefined, 'x');
    const { people } = await listOf();
    const directory = await temporaryDirectory();
    const envelope = { from: 'news@shop.example', ...subjectAndHeaders };
    for (const createWriter of [createEmlWriter, createMboxWriter])
      await expect(createWriter(join(directory, 'x'), people, letter, envelope)).rejects.toMatchObject({
        code: 'bad-input',
        message: expect.stringContaining('nobody'),
      });
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('a place', () => {
  test('that is not empty is refused and left as it is', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'mine'), 'x');
    let ran = false;
    const work = async () => {
      ran = true;
    };
    await expect(withOutputDirectory(directory, work)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('--out'),
    });
    await expect(withOutputFile(join(directory, 'mine'), work)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('--out'),
    });
    expect(ran).toBe(false);
    expect(await readFile(join(directory, 'mine'), 'utf8')).toBe('x');
  });

  test('that is there and empty is used', async () => {
    const directory = join(await temporaryDirectory(), 'out');
    await mkdir(directory);
    expect(await withOutputDirectory(directory, async () => 7)).toBe(7);
  });
});

describe('a run that fails', () => {
  async function* failing(addressees: readonly Addressee[]) {
    yield* addressees;
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new Error('the database is gone');
  }

  async function runInto(
    kind: 'files' | 'eml' | 'mbox',
    parent: string,
    letter: TrackedLetter,
    fails: 'at once' | 'at the end',
  ): Promise<void> {
    const { people, addressees } = await listOf();
    const out = join(parent, 'out');
    const open = (): Promise<LetterWriter> =>
      kind === 'files'
        ? createFilesWriter(out, people, letter)
        : kind === 'eml'
          ? createEmlWriter(out, people, letter, ENVELOPE)
          : createMboxWriter(out, people, letter, ENVELOPE);
    const work = () => writeAll(open(), letter, people, failing(addressees), fails === 'at once' ? [] : people.header);
    await (kind === 'mbox' ? withOutputFile(out, work) : withOutputDirectory(out, work));
  }

  test.each(['files', 'eml', 'mbox'] as const)('leaves nothing behind: %s', async (kind) => {
    const letter = await letterOf(HTML, TEXT);
    const parent = await temporaryDirectory();
    await expect(runInto(kind, parent, letter, 'at the end')).rejects.toThrow('the database is gone');
    expect(await readdir(parent)).toEqual([]);
  });

  test.each(['files', 'eml', 'mbox'] as const)('before its first letter leaves nothing behind: %s', async (kind) => {
    const letter = await letterOf(HTML, TEXT);
    for (let i = 0; i < 20; i++) {
      const parent = await temporaryDirectory();
      await expect(runInto(kind, parent, letter, 'at once')).rejects.toMatchObject({ code: 'bad-input' });
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await readdir(parent)).toEqual([]);
    }
  });

  test.each(['files', 'eml'] as const)('into a directory that was there leaves it empty: %s', async (kind) => {
    const letter = await letterOf(HTML, TEXT);
    const parent = await temporaryDirectory();
    await mkdir(join(parent, 'out'));
    for (const fails of ['at the end', 'at once'] as const) {
      await expect(runInto(kind, parent, letter, fails)).rejects.toThrow();
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(await readdir(join(parent, 'out'))).toEqual([]);
    }
  });

  test('into a place that cannot be written says so', async () => {
    const letter = await letterOf(HTML, TEXT);
    const { people, addressees } = await listOf();
    const path = join(await temporaryDirectory(), 'missing', 'letters.mbox');
    await expect(
      withOutputFile(path, () => writeAll(createMboxWriter(path, people, letter, ENVELOPE), letter, people, addressees)),
    ).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('can be run again at the same place', async () => {
    const letter = await letterOf(HTML, TEXT);
    const { people, addressees } = await listOf();
    const parent = await temporaryDirectory();
    await expect(runInto('mbox', parent, letter, 'at the end')).rejects.toThrow('the database is gone');
    const path = join(parent, 'out');
    await withOutputFile(path, () => writeAll(createMboxWriter(path, people, letter, ENVELOPE), letter, people, addressees));
    expect((await readFile(path, 'latin1')).match(/^From /gm)).toHaveLength(3);
  });
});
