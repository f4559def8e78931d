import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { authorSettings, BASE, insertCampaign, createDesk, expectJson, readCsv, trackedAddresses } from '../test/support/authors.ts';
import { clickledger, createDataDirectory } from '../test/support/commands.ts';
import { createDatabases, type Databases } from '../test/support/databases.ts';
import { runs } from '../test/support/runs.ts';
import { eventually } from '../test/support/servers.ts';
import { ClickledgerError, createTracker, type Tracker, type TrackerPerson } from './tracker.ts';

const SALE = 'https://shop.example/sale?a=1&b=2';
const HTML = `<html><body><p>Dear {{name}}, <a href="https://shop.example/sale?a=1&amp;b=2">the sale</a>
<a href="https://shop.example/unsubscribe">Unsubscribe</a> <a href="mailto:a@shop.example">write</a></p></body></html>`;
const TEXT = 'Dear {{name}}, https://shop.example/sale?a=1&b=2 is the sale\n';

let databases: Databases;
let tracker: Tracker;

beforeAll(async () => {
  databases = await createDatabases(1);
  tracker = await createTracker({ settings: authorSettings(databases) });
});
afterAll(() => tracker.close());

const failure = (code: string, message = '') =>
  expect.objectContaining({ name: 'ClickledgerError', code, message: expect.stringContaining(message) });
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const recipientCalled = async (email: string, optedOutAt = '') =>
  (
    await databases.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.recipient (email${optedOutAt && ', opted_out_at'}) VALUES ($1${optedOutAt}) RETURNING id::int`,
      [email],
    )
  )[0]?.id as number;

describe('the same as the commands', () => {
  test('addresses of links and pixels, for one person, shared, and by alias', async () => {
    const campaign = await tracker.campaign('spring', { fallback: 'https://shop.example/' });
    expect(await tracker.campaign('spring')).toBe(campaign);
    const at = { cwd: await createDesk({}), env: authorSettings(databases) };
    const by = async (...args: string[]) => (await clickledger([...args, '--campaign', 'spring'], at)).stdout.trim();
    const [url, shared, alias, pixel, sharedPixel] = await Promise.all([
      by('url', SALE, '--to', 'Ann@shop.example'),
      by('url', SALE),
      by('url', SALE, '--alias', 'the-sale'),
      by('pixel', '--to', 'ann@shop.example'),
      by('pixel'),
    ]);
    expect(await tracker.url(SALE, { campaign, to: 'ann@SHOP.example' })).toBe(url);
    expect(await tracker.url(SALE, { campaign: 'spring' })).toBe(shared);
    expect(await tracker.url(SALE, { campaign, alias: 'the-sale' })).toBe(alias);
    expect(await tracker.pixel({ campaign, to: 'ann@shop.example' })).toBe(pixel);
    expect(await tracker.pixel({ campaign })).toBe(sharedPixel);
    const footer = await tracker.url(SALE, { campaign, label: 'footer', expires: new Date('2031-01-01T00:00Z') });
    expect(footer).not.toBe(shared);
    const rows = await databases.query('catalog', `SELECT expires_at FROM catalog.link WHERE label = 'footer'`);
    expect(rows).toEqual([{ expires_at: new Date('2031-01-01T00:00Z') }]);
  });

  test('letters: every byte that `prepare --render` writes', async () => {
    await tracker.campaign('letter');
    const out = await recipientCalled('out@shop.example', ', now()');
    expect(out).toBeGreaterThan(0);
    const people = 'name,email\nAnn & <Ann>,ann@shop.example\nOut,out@shop.example\n';
    const at = await createDesk({ 'letter.html': HTML, 'letter.txt': TEXT, 'people.csv': people });
    const args = ['prepare', 'letter.html', '--text', 'letter.txt', '--campaign', 'letter', '--to', 'people.csv', '--render', '--json'];
    const options = ['--utm', 'source=letter', '--exclude', 'kept.example', '--pixel', 'top', '--track-unsubscribe'];
    const report = await expectJson<{ links: object[] }>(clickledger([...args, ...options], { cwd: at, env: authorSettings(databases) }));
    const letter = await tracker.prepare({
      campaign: 'letter',
      html: HTML,
      text: TEXT,
      utm: { source: 'letter' },
      exclude: ['kept.example'],
      pixel: 'top',
      trackUnsubscribe: true,
      fill: true,
    });
    expect(letter.links).toEqual(report.links);
    for (const [i, { name = '', email = '' }] of readCsv(people).entries()) {
      const { html, text } = await letter.for({ email, columns: { name, email } });
      expect(html).toBe(await readFile(join(at, 'prepared', `000000${i + 1}.html`), 'utf8'));
      expect(text).toBe(await readFile(join(at, 'prepared', `000000${i + 1}.txt`), 'utf8'));
      expect(html?.includes(BASE)).toBe(email !== 'out@shop.example');
    }
  });
});

describe('a prepared letter', () => {
  test('says what is tracked and what is not; has what all share', async () => {
    const campaign = await tracker.campaign('says');
    const letter = await tracker.prepare({ campaign, html: HTML, text: TEXT });
    expect(letter.links).toMatchObject([
      { part: 'html', target: SALE, label: '' },
      { part: 'text', target: SALE, label: 'text' },
    ]);
    expect(letter.kept).toEqual([
      { part: 'html', address: 'https://shop.example/unsubscribe', reason: 'unsubscribe' },
      { part: 'html', address: 'mailto:a@shop.example', reason: 'not-http' },
    ]);
    const { html, text } = letter.shared();
    expect(trackedAddresses(databases, `${html}${text}`).map(({ kind, link, recipient }) => [kind, link, recipient])).toEqual([
      ['u', letter.links[0]?.id, 0],
      ['r', expect.any(Number), 0],
      ['u', letter.links[1]?.id, 0],
    ]);
    expect(html).toContain('Dear {{name}}');
    const textOnly = await tracker.prepare({ campaign, text: TEXT });
    expect(Object.keys(textOnly.shared())).toEqual(['text']);
    expect(textOnly.links.map(({ id }) => id)).toEqual([letter.links[1]?.id]);
    expect(await databases.query('catalog', 'SELECT FROM catalog.mailing WHERE campaign_id = $1', [campaign])).toEqual([]);
  });

  test('its links are listed in the order of the letter that was prepared last, with those of other letters and of `url` after them', async () => {
    const page = fc.integer({ min: 1, max: 9 }).map((n) => `https://shop.example/${n}`);
    const letter = fc.record({ html: fc.uniqueArray(page, { minLength: 1, maxLength: 6 }), text: fc.uniqueArray(page, { maxLength: 6 }) });
    let campaigns = 0;
    await fc.assert(
      fc.asyncProperty(letter, letter, page, async (first, last, posted) => {
        const campaign = await tracker.campaign(`in order ${++campaigns}`);
        await tracker.url(posted, { campaign, label: 'posted' });
        for (const { html, text } of [first, last])
          await tracker.prepare({
            campaign,
            html: html.map((target) => `<a href="${target}">x</a>`).join('\n'),
            text: text.join('\n') || 'x',
          });
        const links = await databases.query<{ link: string; position: number | null }>(
          'catalog',
          `SELECT label || ' ' || target AS link, position FROM analytics.links WHERE campaign_id = $1 AND kind = 'url' ORDER BY position, link_id`,
          [campaign],
        );
        const wanted = [...last.html.map((target) => ` ${target}`), ...last.text.map((target) => `text ${target}`)];
        for (const [i, link] of wanted.entries()) expect(links).toContainEqual({ link, position: i + 1 });
        expect(links.filter(({ link }) => wanted.includes(link)).map(({ link }) => link)).toEqual(wanted);
        expect(links.at(-1)).toEqual({ link: `posted ${posted}`, position: null });
      }),
      runs(20),
    );
  });

  test('for thousands, in their order; who cannot be written to comes with the reason', async () => {
    const campaign = await tracker.campaign('thousands');
    await recipientCalled('p-out@many.example', ', now()');
    const letter = await tracker.prepare({ campaign, html: HTML, fill: true });
    const count = 3205;
    const people: (TrackerPerson & { n: number })[] = Array.from({ length: count }, (_, n) => ({
      n,
      email: `p${n}@many.example`,
      columns: { name: `N${n}` },
    }));
    const odd: [at: number, person: TrackerPerson, rejected: string | undefined][] = [
      [0, { email: 'nonsense' }, 'bad-address'],
      [1, {}, 'no-address'],
      [2, { id: '' }, 'no-id'],
      [3, { id: 'x'.repeat(256) }, 'bad-id'],
      [10, { email: 'one@many.example', id: 'many-1' }, undefined],
      [11, { email: 'two@many.example', id: 'many-2' }, undefined],
      [999, { email: '' }, 'bad-address'],
      [1000, { email: 'two@many.example', id: 'many-1' }, 'conflict'],
      [1001, { email: 'P5@MANY.example' }, undefined],
      [2000, { email: 'p-out@many.example' }, undefined],
      [count - 1, { email: 'a b@many.example' }, 'bad-address'],
    ];
    for (const [at, person] of odd) people[at] = { n: at, columns: { name: `N${at}` }, ...person };
    async function* arriving() {
      for (const person of people) yield person;
    }
    const results = await all(letter.forAll(arriving()));
    expect(results.map(({ person }) => person.n)).toEqual(people.map(({ n }) => n));
    expect(results.flatMap((result) => ('rejected' in result ? [[result.person.n, result.rejected]] : []))).toEqual(
      odd.filter(([, , rejected]) => rejected).map(([at, , rejected]) => [at, rejected]),
    );
    const stored = await databases.query<{ id: number; email: string }>(
      'catalog',
      `SELECT id::int, email FROM catalog.recipient WHERE email LIKE '%@many.example'`,
    );
    const idOf = new Map(stored.map(({ id, email }) => [email, id]));
    let tracked = 0;
    for (const result of results) {
      if ('rejected' in result) continue;
      const { person, letter: own } = result;
      const html = own.html ?? '';
      if (!html.includes(`Dear N${person.n}, `)) throw new Error(`not the letter of ${person.n}`);
      const recipients = trackedAddresses(databases, html).map(({ recipient }) => recipient);
      if (person.n === 2000) expect(recipients).toEqual([]);
      else if (recipients.length !== 2 || recipients.some((id) => id !== idOf.get((person.email ?? '').toLowerCase())))
        throw new Error(`wrong: ${person.n}`);
      else tracked++;
    }
    expect(tracked).toBe(count - 8);
    const [mailed] = await databases.query<{ n: number }>(
      'catalog',
      'SELECT count(*)::int AS n FROM catalog.mailing WHERE campaign_id = $1',
      [campaign],
    );
    // Mail is recorded for all people except the rejected ones. Two entries are the same person.
    expect(mailed?.n).toBe(count - 7 - 1);
    expect(await all(letter.forAll([]))).toEqual([]);
  });

  test('leaves a loop that is left early in good order', async () => {
    const letter = await tracker.prepare({ campaign: await tracker.campaign('early'), text: TEXT });
    const people = Array.from({ length: 2500 }, (_, n) => ({ email: `e${n}@early.example` }));
    for await (const { person } of letter.forAll(people)) {
      expect(person).toBe(people[0]);
      break;
    }
    expect((await letter.for({ email: 'e1@early.example' })).text).toContain(BASE);
  });

  test('for one person: by address, by id, or by both', async () => {
    const letter = await tracker.prepare({ campaign: await tracker.campaign('one'), text: TEXT });
    const whose = async (person: TrackerPerson) => trackedAddresses(databases, (await letter.for(person)).text ?? '')[0]?.recipient;
    const both = await whose({ email: 'both@one.example', id: 'both' });
    expect(both).toBeGreaterThan(0);
    expect(await whose({ id: 'both' })).toBe(both);
    expect(await whose({ email: ' BOTH@one.example' })).toBe(both);
    expect(await whose({ email: 'moved@one.example', id: 'both' })).toBe(both);
    const other = await whose({ email: 'both@one.example' });
    expect(other).not.toBe(both);
    await expect(letter.for({ email: 'both@one.example', id: 'both' })).rejects.toThrow(failure('conflict', 'both@one.example'));
    await expect(letter.for({ email: 'nonsense' })).rejects.toThrow(failure('bad-input', 'nonsense'));
    await expect(letter.for({})).rejects.toThrow(failure('bad-input', 'a person without email and id'));
  });

  test('fills in columns, and says which one is missing', async () => {
    const campaign = await tracker.campaign('columns');
    const letter = await tracker.prepare({ campaign, html: '<p>{{ a b }} {{ä}}</p>', text: '{{ a b }} {{ä}}', fill: true, pixel: 'none' });
    expect(await letter.for({ email: 'a@columns.example', columns: { 'a b': '<1> & "2"', ä: '{{ä}}' } })).toEqual({
      html: '<p>&lt;1&gt; &amp; &quot;2&quot; {{ä}}</p>',
      text: '<1> & "2" {{ä}}',
    });
    await expect(letter.for({ email: 'a@columns.example', columns: { 'a b': 'x' } })).rejects.toThrow(
      failure('bad-input', 'column {{ä}} does not exist. The person has: a b'),
    );
    expect(() => letter.shared()).toThrow(failure('bad-input', '{{a b}}'));
    const asItIs = await tracker.prepare({ campaign, text: '{{ a b }}' });
    expect(await asItIs.for({ email: 'a@columns.example', columns: { 'a b': 'x' } })).toEqual({ text: '{{ a b }}' });
  });

  test('a column that every object seems to have is missing like any other', async () => {
    const letter = await tracker.prepare({
      campaign: await tracker.campaign('prototype'),
      html: '{{constructor}}',
      text: '{{toString}}',
      fill: true,
    });
    await expect(letter.for({ email: 'a@columns.example', columns: { name: 'x' } })).rejects.toThrow(
      failure('bad-input', 'does not exist'),
    );
    expect(
      await letter.for({ email: 'a@columns.example', columns: { constructor: 'c', toString: 't' } as unknown as Record<string, string> }),
    ).toMatchObject({
      text: 't',
    });
  });
});

describe('what goes wrong has a code', () => {
  test('settings that are missing, wrong, or lead nowhere', async () => {
    const settings = authorSettings(databases);
    const data = await createDesk({});
    const attempt = (changes: Record<string, string>) => createTracker({ data, settings: { ...settings, ...changes } });
    const { SLUG_KEYS: _, ...withoutKeys } = settings;
    await expect(createTracker({ data, settings: withoutKeys })).rejects.toThrow(failure('bad-settings', 'SLUG_KEYS'));
    await expect(createTracker({ data: join(data, 'nowhere'), settings: { BASE_URL: BASE } })).rejects.toThrow(
      failure('bad-settings', 'AUTHOR_URL'),
    );
    await expect(attempt({ BASE_URL: '/' })).rejects.toThrow(failure('bad-settings', 'BASE_URL'));
    await expect(attempt({ SLUG_KEYS: '99'.repeat(32) })).rejects.toThrow(failure('bad-settings', 'clickledger migrate'));
    await expect(attempt({ AUTHOR_URL: settings['AUTHOR_URL']?.replace(/:\d+\//, ':1/') ?? '' })).rejects.toThrow(failure('unavailable'));
    await expect(attempt({ AUTHOR_URL: settings['AUTHOR_URL']?.replace(/\/[^/]*$/, '/nowhere') ?? '' })).rejects.toThrow(
      failure('wrong-database'),
    );
  });

  test('settings are read from a data directory', async () => {
    const data = await createDataDirectory(databases);
    // The environment of the tests has another BASE_URL, which takes precedence over the directory.
    const fromFile = await createTracker({ data, settings: { BASE_URL: `${BASE}/` } });
    try {
      const campaign = await fromFile.campaign('file');
      expect(await fromFile.url(SALE, { campaign })).toBe(await tracker.url(SALE, { campaign }));
    } finally {
      await fromFile.close();
    }
  });

  test('targets, people, campaigns and letters', async () => {
    const campaign = await tracker.campaign('wrong');
    const closed = await tracker.campaign('closed');
    await databases.query('catalog', 'UPDATE catalog.campaign SET closed_at = now() WHERE id = $1', [closed]);
    await recipientCalled('opted@out.example', ', now()');
    const url = (target: string, overrides: Partial<Parameters<Tracker['url']>[1]> = {}) => tracker.url(target, { campaign, ...overrides });
    await expect(url('shop.example')).rejects.toThrow(failure('bad-input', 'begins with http'));
    await expect(url(SALE, { to: 'nonsense' })).rejects.toThrow(failure('bad-input', 'nonsense'));
    await expect(url(SALE, { to: 'a@b.example', alias: 'x-y' })).rejects.toThrow(failure('bad-input', 'alias'));
    await expect(url(SALE, { alias: 'noalias' })).rejects.toThrow(failure('bad-input', 'noalias'));
    await url(SALE, { alias: 'taken-name' });
    await expect(url('https://other.example', { alias: 'taken-name' })).rejects.toThrow(failure('conflict', 'taken-name'));
    await expect(url(SALE, { to: 'opted@out.example' })).rejects.toThrow(failure('conflict', 'opted out'));
    await expect(url(SALE, { campaign: 'nope' })).rejects.toThrow(failure('not-found', 'nope'));
    await expect(tracker.pixel({ campaign: 999_999 })).rejects.toThrow(failure('not-found'));
    await expect(url(SALE, { campaign: 'closed' })).rejects.toThrow(failure('conflict', 'closed'));
    await expect(tracker.prepare({ campaign: closed, text: TEXT })).rejects.toThrow(failure('conflict', 'closed'));
    await expect(tracker.prepare({ campaign })).rejects.toThrow(failure('bad-input', 'the letter has no part'));
    await expect(tracker.campaign(' ')).rejects.toThrow(failure('bad-input'));
    const error = await url('x').catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ClickledgerError);
  });

  test('a fallback that is no address is refused as `campaign create` refuses it', async () => {
    await expect(tracker.campaign('bad fallback', { fallback: 'nowhere' })).rejects.toThrow(failure('bad-input', 'begins with http'));
    await expect(tracker.campaign('spaced fallback', { fallback: 'https://shop.example/a b' })).rejects.toThrow(failure('bad-input'));
  });
});

test('the number of a campaign means that campaign, whatever others are called', async () => {
  const id = await tracker.campaign('numbered');
  await insertCampaign(databases, String(id));
  const [link] = (await tracker.prepare({ campaign: id, text: TEXT })).links;
  const [row] = await databases.query<{ campaign_id: number }>('catalog', 'SELECT campaign_id::int FROM catalog.link WHERE id = $1', [
    link?.id,
  ]);
  expect(row?.campaign_id).toBe(id);
});

test('close ends every connection, and what comes after it is an error with a code', async () => {
  const own = await createDatabases(1);
  const closing = await createTracker({ settings: authorSettings(own) });
  const letter = await closing.prepare({ campaign: await closing.campaign('c'), text: TEXT });
  await Promise.all(Array.from({ length: 6 }, (_, i) => letter.for({ email: `c${i}@close.example` })));
  const connections = async () => {
    const [row] = await own.query<{ n: number }>(
      'catalog',
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'clickledger tracker'`,
    );
    return row?.n ?? -1;
  };
  expect(await connections()).toBeGreaterThan(0);
  expect(await connections()).toBeLessThanOrEqual(4);
  await closing.close();
  await eventually('no connection is left', async () => (await connections()) === 0);
  await expect(closing.campaign('d')).rejects.toThrow(expect.objectContaining({ code: expect.any(String) }));
});
