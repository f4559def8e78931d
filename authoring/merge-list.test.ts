import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { parse as parseHtml, type DefaultTreeAdapterTypes } from 'parse5';
import { beforeAll, describe, expect, test } from 'vitest';
import { createPool, type Pool } from '../core/postgres.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { NO_PIXEL, SENDERS, type Sender } from './letter/senders.ts';
import type { PixelPlace } from './letter/plan.ts';
import { ensureCampaign } from './campaigns.ts';
import { createMerge, type Merge } from './merge-list.ts';
import { openPeople, type PeopleFile, type Person } from './list-file.ts';
import type { Recipient } from './resolve-recipients.ts';
import { arePrepared, planParts, type TrackedLetter, trackLetter } from './track-letter.ts';

const BASE = 'https://t.example.org';
const OPTIONS = { baseUrls: [BASE], exclude: [], trackUnsubscribe: false, utm: {} };

let databases: Databases;
let pool: Pool;
let campaign: number;

beforeAll(async () => {
  databases = await createDatabases(1);
  pool = createPool(databases.roleUrls.author, { max: 2, name: 'test' });
  campaign = (await ensureCampaign(pool, 'the campaign')).id;
  return () => pool.end();
});

async function letterOf(html: string | undefined, text: string | undefined, pixel: PixelPlace = 'bottom'): Promise<TrackedLetter> {
  const parts = { html: html === undefined ? undefined : Buffer.from(html), text: text === undefined ? undefined : Buffer.from(text) };
  return trackLetter({ pool, baseUrl: BASE, keys: databases.keys }, campaign, planParts(parts, { ...OPTIONS, pixel }));
}

async function listOf(content: string): Promise<{ people: PeopleFile; all: Person[] }> {
  const path = join(await temporaryDirectory(), 'people.csv');
  await writeFile(path, content);
  const people = await openPeople(path, {});
  const all: Person[] = [];
  for await (const chunk of people.chunks(() => {})) all.push(...chunk);
  return { people, all };
}

const HTML = `<html><body><p>Größe</p>
<a href="https://shop.example/?a=1&amp;b=2">one</a> <a href='https://shop.example/&quot;two&quot;'>two</a> <a href=https://shop.example/three>three</a>
<a href="https://shop.example/?a=1&#38;b=2">one again</a> <a href="mailto:a@shop.example">mail</a> <a href="https://shop.example/ü?x={y}&lt=z">four</a>
</body></html>`;
const TEXT = 'see https://shop.example/?a=1&b=2 or (https://shop.example/t), then https://shop.example/?a=1&b=2 again\n';

const tracked: Recipient = { id: 7, optedOut: false, isTest: false, unsubscribed: false };
const optedOut: Recipient = { id: 8, optedOut: true, isTest: false, unsubscribed: false };

/** Returns the rows of a list by column, as a strict CSV parser reads them. */
function rowsOf(merge: Merge, rows: readonly string[]): Record<string, string>[] {
  return parseCsv(merge.header + rows.join(''), { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[];
}

const escaped: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
  '`': '&#x60;',
  '=': '&#x3D;',
};
/**
 * Fills in the merge tags as the sender does for one row. Handlebars escapes values in two braces. The other senders insert values
 * unchanged.
 */
function mergeAsSender(sender: Sender, letter: string, row: Record<string, string>): string {
  const value = (name: string) => {
    const found = row[name];
    if (found === undefined) throw new Error(`no column ${name}`);
    return found;
  };
  switch (sender) {
    case 'mailchimp':
      return letter.replace(/\*\|(\w+)\|\*/g, (_, name: string) => value(name));
    case 'sendgrid':
    case 'ses':
      return letter.replace(/\{\{\{(\w+)\}\}\}|\{\{(\w+)\}\}/g, (_, raw: string | undefined, name: string) =>
        raw === undefined ? value(name).replace(/[&<>"'`=]/g, (character) => escaped[character] as string) : value(raw),
      );
    case 'mailjet':
      return letter.replace(/\{\{data:(\w+)\}\}/g, (_, name: string) => value(name));
    case 'generic':
      return letter.replace(/\{\{(\w+)\}\}/g, (_, name: string) => value(name));
  }
}

/** Returns the URLs of the links and images of a letter, as a browser reads them. */
function addressesIn(html: string): { links: string[]; images: string[] } {
  const found = { links: [] as string[], images: [] as string[] };
  const visit = (node: DefaultTreeAdapterTypes.Node): void => {
    if ('attrs' in node)
      for (const { name, value } of node.attrs) {
        if (name === 'href') found.links.push(value);
        if (name === 'src') found.images.push(value);
      }
    if ('childNodes' in node) node.childNodes.forEach(visit);
  };
  visit(parseHtml(html));
  return found;
}

const TAGS: Readonly<Record<Sender, (name: string) => [html: string, text: string]>> = {
  mailchimp: (name) => [`*|${name}|*`, `*|${name}|*`],
  sendgrid: (name) => [`{{${name}}}`, `{{{${name}}}}`],
  ses: (name) => [`{{${name}}}`, `{{{${name}}}}`],
  mailjet: (name) => [`{{data:${name}}}`, `{{data:${name}}}`],
  generic: (name) => [`{{${name}}}`, `{{${name}}}`],
};

describe.each(SENDERS)('for %s', (sender) => {
  test('the letter has a tag where each address was, and everything else as it was', async () => {
    const { people } = await listOf('email\nann@example.com\n');
    const merge = createMerge(await letterOf(HTML, TEXT), sender, people);
    const html = (name: string) => TAGS[sender](name)[0];
    const text = (name: string) => TAGS[sender](name)[1];
    expect(merge.columns).toEqual(['CL_1', 'CL_2', 'CL_3', 'CL_4', 'CL_T1', 'CL_T2', 'CL_PIXEL']);
    expect(merge.html?.toString().replace(/<img [^>]*>/, '')).toBe(
      HTML.replace('https://shop.example/?a=1&amp;b=2', html('CL_1'))
        .replace('https://shop.example/&quot;two&quot;', html('CL_2'))
        .replace('https://shop.example/three', html('CL_3'))
        .replace('https://shop.example/?a=1&#38;b=2', html('CL_1'))
        .replace('https://shop.example/ü?x={y}&lt=z', html('CL_4')),
    );
    expect(merge.html?.toString()).toContain(`<img src="${html('CL_PIXEL')}" width="1" height="1"`);
    expect(merge.text?.toString()).toBe(
      TEXT.replaceAll('https://shop.example/?a=1&b=2', text('CL_T1')).replace('https://shop.example/t', text('CL_T2')),
    );
  });

  test('names of columns are none that it would refuse', async () => {
    const { people } = await listOf('email\nann@example.com\n');
    const many = Array.from({ length: 120 }, (_, i) => `<a href="https://shop.example/${i}">x</a>`).join('');
    const { columns } = createMerge(await letterOf(many, 'https://shop.example/'), sender, people);
    expect(columns).toHaveLength(122);
    expect(new Set(columns).size).toBe(122);
    for (const column of columns) expect(column).toMatch(/^[A-Z][A-Z0-9_]{0,9}$/);
  });

  test('filled in as it does, the letter of somebody who is tracked leads through our addresses', async () => {
    const { people, all } = await listOf('email\nann@example.com\n');
    const letter = await letterOf(HTML, TEXT);
    const merge = createMerge(letter, sender, people);
    const [row] = rowsOf(merge, [merge.row(all[0] as Person, tracked)]);
    const own = letter.addressesOf(7);
    const [one, two, three, four, textOne, textTwo] = own.links;
    expect(addressesIn(mergeAsSender(sender, String(merge.html), row ?? {}))).toEqual({
      links: [one, two, three, one, 'mailto:a@shop.example', four],
      images: [own.pixel],
    });
    expect(mergeAsSender(sender, String(merge.text), row ?? {})).toBe(`see ${textOne} or (${textTwo}), then ${textOne} again\n`);
    expect(new Set(own.links).size).toBe(6);
  });

  test('filled in as it does, the letter of somebody who has opted out leads where the original leads', async () => {
    const { people, all } = await listOf('email\nann@example.com\n');
    const merge = createMerge(await letterOf(HTML, TEXT), sender, people);
    const [row] = rowsOf(merge, [merge.row(all[0] as Person, optedOut)]);
    expect(addressesIn(mergeAsSender(sender, String(merge.html), row ?? {}))).toEqual({
      links: addressesIn(HTML).links,
      images: [NO_PIXEL],
    });
    expect(mergeAsSender(sender, String(merge.text), row ?? {})).toBe(TEXT);
  });

  test('who has opted out has the addresses as they are spelled, or as they are read where values are escaped', async () => {
    const { people, all } = await listOf('email\nann@example.com\n');
    const merge = createMerge(await letterOf(HTML, TEXT), sender, people);
    const [row] = rowsOf(merge, [merge.row(all[0] as Person, optedOut)]);
    const read = sender === 'sendgrid' || sender === 'ses';
    expect(row).toEqual({
      email: 'ann@example.com',
      CL_1: read ? 'https://shop.example/?a=1&b=2' : 'https://shop.example/?a=1&amp;b=2',
      CL_2: read ? 'https://shop.example/"two"' : 'https://shop.example/&quot;two&quot;',
      CL_3: 'https://shop.example/three',
      CL_4: 'https://shop.example/ü?x={y}&lt=z',
      CL_T1: 'https://shop.example/?a=1&b=2',
      CL_T2: 'https://shop.example/t',
      CL_PIXEL: NO_PIXEL,
    });
    expect(JSON.stringify(row)).not.toContain(BASE);
  });

  test.each([
    ['both parts', HTML, TEXT],
    ['HTML alone', HTML, undefined],
    ['text alone', undefined, TEXT],
  ])('a letter that was merged is known to be, and has nothing left to do: %s', async (_, html, text) => {
    const { people } = await listOf('email\nann@example.com\n');
    const merge = createMerge(await letterOf(html, text), sender, people);
    const plans = planParts({ html: merge.html, text: merge.text }, { ...OPTIONS, pixel: 'bottom' });
    expect([...(plans.html?.tracked ?? []), ...(plans.text?.tracked ?? [])]).toEqual([]);
    expect(plans.html?.pixelAt).toBeUndefined();
    expect(arePrepared(plans)).toBe(true);
  });
});

describe('columns', () => {
  test('without a pixel there is no column for one, and none for a part that is not there', async () => {
    const { people, all } = await listOf('email\nann@example.com\n');
    const one = createMerge(await letterOf('<a href="https://shop.example/">x</a>', undefined, 'none'), 'generic', people);
    expect(one.columns).toEqual(['CL_1']);
    expect(one.text).toBeUndefined();
    expect(rowsOf(one, [one.row(all[0] as Person, optedOut)])).toEqual([{ email: 'ann@example.com', CL_1: 'https://shop.example/' }]);
    const other = createMerge(await letterOf(undefined, 'https://shop.example/'), 'generic', people);
    expect(other.columns).toEqual(['CL_T1']);
    expect(other.html).toBeUndefined();
  });

  test('a letter without links has only its pixel', async () => {
    const { people, all } = await listOf('email\nann@example.com\n');
    const letter = await letterOf('<p>Hello</p>', undefined);
    const merge = createMerge(letter, 'mailchimp', people);
    expect(merge.columns).toEqual(['CL_PIXEL']);
    expect(rowsOf(merge, [merge.row(all[0] as Person, tracked)])).toEqual([
      { email: 'ann@example.com', CL_PIXEL: letter.addressesOf(7).pixel },
    ]);
  });

  test('two people have different addresses, one person the same every time', async () => {
    const { people, all } = await listOf('email\nann@example.com\nbob@example.com\n');
    const merge = createMerge(await letterOf(HTML, TEXT), 'generic', people);
    const [ann, bob] = all as [Person, Person];
    expect(merge.row(ann, tracked)).toBe(merge.row(ann, tracked));
    const [one, two] = rowsOf(merge, [merge.row(ann, tracked), merge.row(bob, { ...tracked, id: 9 })]);
    for (const column of merge.columns) expect(one?.[column]).not.toBe(two?.[column]);
  });

  test('everything that was in the list is still there, and ours stand under their names, also behind short and long lines', async () => {
    const { people, all } = await listOf(
      'email;name;"a;b";\nann@example.com;"Ann ""A"" B";" x "\nbob@example.com\neve@example.com;"two\nlines";c;d;e;f\nzoe@example.com;=1+1;#;\n',
    );
    const letter = await letterOf('<a href="https://shop.example/">x</a>', undefined);
    const merge = createMerge(letter, 'generic', people);
    const own = { CL_1: letter.addressesOf(7).links[0], CL_PIXEL: letter.addressesOf(7).pixel };
    expect(
      rowsOf(
        merge,
        all.map((person) => merge.row(person, tracked)),
      ),
    ).toEqual([
      { email: 'ann@example.com', name: 'Ann "A" B', 'a;b': ' x ', '': '', ...own },
      { email: 'bob@example.com', name: '', 'a;b': '', '': '', ...own },
      { email: 'eve@example.com', name: 'two\nlines', 'a;b': 'c', '': 'd', ...own },
      { email: 'zoe@example.com', name: '=1+1', 'a;b': '#', '': '', ...own },
    ]);
    // The field is quoted because some CSV readers remove spaces around unquoted fields.
    expect(merge.row(all[0] as Person, tracked)).toMatch(/^ann@example\.com,"Ann ""A"" B"," x ",,https:/);
  });

  test.each(['CL_1', 'CL_T2', 'CL_PIXEL'])('a list that has a column %s already is refused', async (column) => {
    const { people } = await listOf(`email,${column}\nann@example.com,x\n`);
    const letter = await letterOf(HTML, TEXT);
    expect(() => createMerge(letter, 'generic', people)).toThrow(
      expect.objectContaining({ code: 'conflict', message: expect.stringContaining(column) }),
    );
  });

  test('a list that was made by a run before is refused', async () => {
    const { people, all } = await listOf('email,name\nann@example.com,Ann\n');
    const letter = await letterOf(HTML, TEXT);
    const merge = createMerge(letter, 'generic', people);
    const second = await listOf(merge.header + merge.row(all[0] as Person, tracked));
    expect(() => createMerge(letter, 'generic', second.people)).toThrow(expect.objectContaining({ code: 'conflict' }));
  });

  test('values that are longer than a sender keeps are counted', async () => {
    const { people, all } = await listOf('email\nann@example.com\n');
    const long = `https://shop.example/${'x'.repeat(300)}`;
    const letter = await letterOf(
      `<a href="${long}">x</a><a href="https://shop.example/${'ü'.repeat(120)}">x</a><a href="https://shop.example/">x</a>`,
      undefined,
    );
    for (const [sender, expected] of [
      ['mailchimp', 2],
      ['generic', 0],
    ] as const) {
      const merge = createMerge(letter, sender, people);
      merge.row(all[0] as Person, tracked);
      expect(merge.tooLongCount()).toBe(0);
      const [row] = rowsOf(merge, [merge.row(all[0] as Person, optedOut)]);
      expect(row?.['CL_1']).toBe(long);
      expect(merge.tooLongCount()).toBe(expected);
    }
  });

  // An audience of Mailchimp can have 30 fields. With the largest plan, it can have 80 fields.
  test('more columns than a sender takes are warned of, and no fewer', async () => {
    for (const [own, links] of [
      [27, 2],
      [28, 2],
      [1, 28],
      [1, 29],
      [1, 100],
    ] as const) {
      const { people } = await listOf(`email${',x'.repeat(own - 1)}\nann@example.com\n`);
      const html = Array.from({ length: links }, (_, i) => `<a href="https://shop.example/${i}">x</a>`).join('');
      const letter = await letterOf(html, undefined);
      const count = own + links + 1;
      const warnings =
        count > 30 ? [expect.stringMatching(new RegExp(`^the list has ${count} columns, ${links + 1} of .* 30 \\(80 with`))] : [];
      expect(createMerge(letter, 'mailchimp', people).warnings).toEqual(warnings);
      expect(createMerge(letter, 'generic', people).warnings).toEqual([]);
    }
  });

  test('a tag that is too long for the sender is warned of if the letter has it', async () => {
    const { people } = await listOf('email,FAVOURITES,FAVOURITE_X,OTHER_COLUMN\nann@example.com\n');
    const letter = await letterOf('<p>*|FAVOURITES|* *|favourite_x|*</p><a href="https://shop.example/">x</a>', undefined);
    expect(createMerge(letter, 'mailchimp', people).warnings).toEqual([expect.stringContaining('The letter has *|FAVOURITE_X|*: rename')]);
    expect(createMerge(letter, 'sendgrid', people).warnings).toEqual([]);
  });

  test('a letter in Latin-1 stays in it', async () => {
    const { people, all } = await listOf('email\nann@example.com\n');
    const bytes = Buffer.from('<p>Gr\xf6\xdfe \x80</p><a href="https://shop.example/\xfc">x</a>', 'latin1');
    const letter = await trackLetter(
      { pool, baseUrl: BASE, keys: databases.keys },
      campaign,
      planParts({ html: bytes }, { ...OPTIONS, pixel: 'none' }),
    );
    const merge = createMerge(letter, 'generic', people);
    expect(merge.html?.toString('latin1')).toBe('<p>Gr\xf6\xdfe \x80</p><a href="{{CL_1}}">x</a>');
    expect(rowsOf(merge, [merge.row(all[0] as Person, optedOut)])[0]?.['CL_1']).toBe('https://shop.example/ü');
  });
});
