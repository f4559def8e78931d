import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, test } from 'vitest';
import { createTracker } from '../../authoring/tracker.ts';
import { createSlugCodec } from '../../core/slug.ts';
import { authorSettings, BASE, createDesk, insertCampaign, readCsv } from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

// Tests what authors see of unsubscribing: letters with `{{unsubscribe}}`, and lists with people who have unsubscribed.

const LETTER = `<html><body><p>Dear {{name}}, <a href="https://shop.example/">our shop</a></p>
<p><a href="{{unsubscribe}}">No more of these</a></p></body></html>
`;
const TEXT = `Dear {{name}}, no more of these: {{ unsubscribe }}
`;
const PEOPLE = `name,email
Ann,ann@example.com
Out,out@example.com
Gone,gone@example.com
Back,back@example.com
`;

let databases: Databases;
let ids: Record<string, number>;
let campaign: number;
let link: number;

/** Stores a request to unsubscribe, as a worker does. */
const unsubscribe = (recipient: number, at: Date): Promise<unknown> =>
  databases.query(
    recipient % 2 === 0 ? 'a' : 'b',
    `INSERT INTO shard.unsubscribe (at, off, gen, rid, recipient_id, link_id, campaign_id) VALUES ($1, 0, gen_random_uuid(), gen_random_uuid(), $2, $3, $4)`,
    [at, recipient, link, campaign],
  );

beforeAll(async () => {
  databases = await createDatabases(2);
  const rows = await databases.query<{ id: number; name: string }>(
    'catalog',
    `INSERT INTO catalog.recipient (email, opted_out_at)
     SELECT name || '@example.com', CASE name WHEN 'out' THEN now() END FROM unnest('{ann,out,gone,back}'::text[]) AS name RETURNING id::int, split_part(email, '@', 1) AS name`,
  );
  ids = Object.fromEntries(rows.map(({ id, name }) => [name, id]));
  campaign = await insertCampaign(databases, 'earlier');
  const links = await databases.query<{ id: number }>(
    'catalog',
    `INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'unsubscribe', '') RETURNING id::int`,
    [campaign],
  );
  link = links[0]?.id as number;
  await unsubscribe(ids['gone'] as number, new Date('2026-10-01T08:00:00Z'));
  await unsubscribe(ids['gone'] as number, new Date('2026-10-02T08:00:00Z'));
  await unsubscribe(ids['back'] as number, new Date('2026-10-01T08:00:00Z'));
  await databases.query('catalog', `UPDATE catalog.recipient SET resubscribed_at = '2026-10-05' WHERE id = $1`, [ids['back']]);
});

const run = (desk: string, line: string): Promise<CommandResult> =>
  clickledger(line.split(' '), { cwd: desk, env: authorSettings(databases) });
const desk = (more: Record<string, string> = {}) =>
  createDesk({ 'letter.html': LETTER, 'letter.txt': TEXT, 'people.csv': PEOPLE, ...more });

/** The URLs for unsubscribing in a text, by the link and the recipient. */
function addressesIn(text: string): { link: number; recipient: number }[] {
  const slugs = createSlugCodec(databases.keys);
  return Array.from(text.matchAll(new RegExp(`${BASE}/o/([0-9A-Za-z]+)`, 'g')), ([, slug]) => {
    const result = slugs.verify(slug as string);
    if (!result.ok) throw new Error(`${slug} is not valid`);
    return result.ids;
  });
}

const linkOf = async (name: string): Promise<number | undefined> =>
  (
    await databases.query<{ id: number }>(
      'catalog',
      `SELECT l.id::int FROM catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id WHERE c.name = $1 AND l.kind = 'unsubscribe'`,
      [name],
    )
  )[0]?.id;
const mailed = async (id: number): Promise<number[]> =>
  (
    await databases.query<{ id: number }>(
      'catalog',
      'SELECT recipient_id::int AS id FROM catalog.mailing WHERE campaign_id = $1 ORDER BY 1',
      [id],
    )
  ).map((row) => row.id);

describe('a letter with {{unsubscribe}}', () => {
  test('has the link of each person, also of those who opted out of tracking; who has unsubscribed is left out', async () => {
    const id = await insertCampaign(databases, 'rendered');
    const at = await desk();
    const { stderr, code } = await run(at, 'prepare letter.html --text letter.txt --to people.csv --render --campaign rendered --out made');
    expect({ stderr, code }).toMatchObject({ code: 0 });
    expect(stderr).toContain('prepared for 3 people');
    expect(stderr).toMatch(/line 4.*gone@example\.com.*this person has unsubscribed/);
    const own = await linkOf('rendered');
    for (const [file, name] of [
      ['0000001', 'ann'],
      ['0000002', 'out'],
      ['0000003', 'back'],
    ] as const)
      for (const part of ['html', 'txt'])
        expect(addressesIn(await readFile(join(at, 'made', `${file}.${part}`), 'utf8'))).toEqual([{ link: own, recipient: ids[name] }]);
    expect((await readdir(join(at, 'made'))).filter((name) => name.endsWith('.html'))).toHaveLength(3);
    expect(await mailed(id)).toEqual([ids['ann'], ids['out'], ids['back']]);
  });

  test('gets the headers of RFC 8058 in messages', async () => {
    await insertCampaign(databases, 'messages');
    const at = await desk();
    const command = 'prepare letter.html --to people.csv --render --eml --from news@shop.example --subject News --campaign messages --out';
    await run(at, `${command} made`);
    const mail = await PostalMime.parse(await readFile(join(at, 'made', '0000001.eml')));
    const header = (key: string): string | undefined => mail.headers.find((one) => one.key === key)?.value;
    expect(header('list-unsubscribe')).toMatch(/^<\S+>$/);
    expect(addressesIn(header('list-unsubscribe') as string)).toEqual([{ link: await linkOf('messages'), recipient: ids['ann'] }]);
    expect(header('list-unsubscribe-post')).toBe('List-Unsubscribe=One-Click');

    const own = await clickledger([...`${command} own`.split(' '), '--header', 'List-Unsubscribe: <mailto:leave@shop.example>'], {
      cwd: at,
      env: authorSettings(databases),
    });
    expect(own.code).toBe(0);
    const message = await readFile(join(at, 'own', '0000001.eml'), 'utf8');
    expect(message.match(/^List-Unsubscribe.*/gim)).toEqual(['List-Unsubscribe: <mailto:leave@shop.example>']);
    const plain = await createDesk({
      'letter.html': LETTER.replace('{{unsubscribe}}', 'https://shop.example/leave'),
      'people.csv': PEOPLE,
    });
    await run(plain, `${command} made`);
    expect(await readFile(join(plain, 'made', '0000001.eml'), 'utf8')).not.toMatch(/List-Unsubscribe/i);
  });

  test('gets a tag and a column for a sender', async () => {
    await insertCampaign(databases, 'merged');
    for (const [sender, html, text] of [
      ['mailchimp', '*|CL_UNSUB|*', '*|CL_UNSUB|*'],
      ['sendgrid', '{{CL_UNSUB}}', '{{{CL_UNSUB}}}'],
    ] as const) {
      const at = await desk();
      const { stderr } = await run(
        at,
        `prepare letter.html --text letter.txt --to people.csv --merge ${sender} --campaign merged --out made`,
      );
      expect(stderr).toContain('prepared for 3 people');
      expect(await readFile(join(at, 'made', 'letter.html'), 'utf8')).toContain(`<a href="${html}">No more`);
      const made = await readFile(join(at, 'made', 'letter.txt'), 'utf8');
      expect(made).toBe(`Dear {{name}}, no more of these: ${text}\n`);
      const rows = readCsv(await readFile(join(at, 'made', 'people.csv'), 'utf8'));
      expect(Object.keys(rows[0] as object)).toEqual(['name', 'email', 'CL_1', 'CL_PIXEL', 'CL_UNSUB']);
      expect(rows.map((row) => addressesIn(row['CL_UNSUB'] as string)[0]?.recipient)).toEqual([ids['ann'], ids['out'], ids['back']]);
    }
  });

  test('keeps the tag without a list, and gets the link of a person when it is prepared again', async () => {
    await insertCampaign(databases, 'shared');
    const at = await desk();
    const { stderr } = await run(at, 'prepare letter.html --campaign shared --out made');
    expect(stderr).toContain('{{unsubscribe}} stays in the letter');
    expect(await readFile(join(at, 'made', 'letter.html'), 'utf8')).toContain('href="{{unsubscribe}}"');
    const again = await run(at, 'prepare made/letter.html --to people.csv --render --campaign shared --out again');
    expect(again).toMatchObject({ code: 0 });
    expect(addressesIn(await readFile(join(at, 'again', '0000001.html'), 'utf8'))).toEqual([
      { link: await linkOf('shared'), recipient: ids['ann'] },
    ]);
  });

  test.each(['--render', '--merge mailchimp', '--render --eml --from news@shop.example --subject News'])(
    'does not get what a column of this name has: %s',
    async (format) => {
      const name = `own ${format.length}`;
      await insertCampaign(databases, name);
      const at = await desk({
        'flag.csv': 'name,email,unsubscribe\nAnn,ann@example.com,no\nBack,back@example.com,yes\n',
        'own.csv': 'name,email,unsubscribe\nAnn,ann@example.com,https://shop.example/leave/2025\n',
      });
      const prepare = (list: string) =>
        clickledger([...`prepare letter.html --to ${list} --out made ${format} --campaign`.split(' '), name], {
          cwd: at,
          env: authorSettings(databases),
        });
      const own = await prepare('own.csv');
      expect(own).toMatchObject({ code: 1, stderr: expect.stringContaining('rename the column and the tag') });
      expect(await prepare('flag.csv')).toMatchObject({ code: 0, stderr: expect.stringContaining('prepared for 1 people') });
      const files = await readdir(join(at, 'made'));
      const texts = await Promise.all(files.filter((file) => file !== 'index.csv').map((file) => readFile(join(at, 'made', file), 'utf8')));
      const found = addressesIn(texts.join('\n').replaceAll(/=\r?\n/g, ''));
      expect(found.length).toBeGreaterThan(0);
      for (const address of found) expect(address).toEqual({ link: await linkOf(name), recipient: ids['ann'] });
    },
  );

  test.each([
    ['<a href="http://{{unsubscribe}}">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href=" https://{{ unsubscribe }}">a</a>', /^<a href=" URL">a<\/a>$/],
    [
      '<a href="https://shop.example/?leave={{unsubscribe}}">a</a>',
      /^<a href="https:\/\/shop\.example\/\?leave=https%3A%2F%2F[^"]+">a<\/a>$/,
    ],
    ['<p>{{unsubscribe}}</p>', /^<p>URL<\/p>$/],
    ['<a href="{{{ unsubscribe }}}">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href="%7B%7Bunsubscribe%7D%7D">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href="http://%7b%7b%20unsubscribe%20%7d%7d">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href="%7B%7B%7Bunsubscribe%7D%7D%7D">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href="%7B%7B+unsubscribe+%7D%7D">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href="//{{unsubscribe}}">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href="/{{unsubscribe}}">a</a>', /^<a href="URL">a<\/a>$/],
    ['<a href="http:/{{{unsubscribe}}}">a</a>', /^<a href="URL">a<\/a>$/],
  ])('may have the tag inside an address: %s', async (html, expected) => {
    const tracker = await createTracker({ settings: authorSettings(databases) });
    try {
      await tracker.campaign('inside');
      const letter = await tracker.prepare({ campaign: 'inside', html, fill: true, pixel: 'none' });
      const made = await letter.for({ email: 'ann@example.com' });
      expect(made.unsubscribe).toMatch(new RegExp(`^${BASE}/o/[0-9A-Za-z]+$`));
      expect((made.html as string).replace(made.unsubscribe as string, 'URL')).toMatch(expected);
    } finally {
      await tracker.close();
    }
  });

  test('has the tag of a sender as it is, also inside an address', async () => {
    await insertCampaign(databases, 'inside merged');
    const at = await desk({
      'in.html':
        '<a href="http://{{unsubscribe}}">a</a> <a href="https://shop.example/?l={{unsubscribe}}">b</a> <a href="{{{unsubscribe}}}">c</a>',
    });
    await clickledger([...'prepare in.html --to people.csv --merge mailchimp --out made --campaign'.split(' '), 'inside merged'], {
      cwd: at,
      env: authorSettings(databases),
    });
    expect(await readFile(join(at, 'made', 'in.html'), 'utf8')).toMatch(
      /^<a href="\*\|CL_UNSUB\|\*">a<\/a> <a href="https:\/\/shop\.example\/\?l=\*\|CL_UNSUB\|\*">b<\/a> <a href="\{\{\{unsubscribe\}\}\}">c<\/a>/,
    );
  });

  test('can be prepared by a program', async () => {
    const tracker = await createTracker({ settings: authorSettings(databases) });
    try {
      await tracker.campaign('by program');
      const letter = await tracker.prepare({ campaign: 'by program', html: LETTER, fill: true });
      const { html } = await letter.for({ email: 'ann@example.com', columns: { name: 'Ann' } });
      expect(addressesIn(html as string)).toEqual([{ link: await linkOf('by program'), recipient: ids['ann'] }]);
      await expect(letter.for({ email: 'gone@example.com', columns: { name: 'Gone' } })).rejects.toMatchObject({ code: 'conflict' });
      const nameless = await tracker.prepare({ campaign: 'by program', html: LETTER.replace('{{name}}', 'reader'), fill: true });
      expect(() => nameless.shared()).toThrow('the link is for one person');
    } finally {
      await tracker.close();
    }
  });
});

describe('a person who has unsubscribed', () => {
  test('is in the list of these people, until subscribed again', async () => {
    const at = await desk();
    const listed = async (): Promise<unknown[]> => JSON.parse((await run(at, 'recipient list --unsubscribed --json')).stdout) as unknown[];
    expect(await listed()).toEqual([
      {
        recipient: ids['gone'],
        email: 'gone@example.com',
        external_id: null,
        opted_out_at: null,
        unsubscribed_at: '2026-10-02T08:00:00.000Z',
      },
    ]);
    const { stdout } = await run(at, 'recipient list');
    expect(readCsv(stdout).map(({ email, unsubscribed_at }) => [email, unsubscribed_at])).toEqual([
      ['ann@example.com', ''],
      ['out@example.com', ''],
      ['gone@example.com', '2026-10-02T08:00:00.000Z'],
      ['back@example.com', ''],
    ]);
    const again = await run(at, 'recipient resubscribe gone@example.com');
    expect(again).toMatchObject({ code: 0, stderr: 'not unsubscribed: `prepare` includes this person\n' });
    expect(await listed()).toEqual([]);
    // A later request counts.
    await unsubscribe(ids['gone'] as number, new Date(Date.now() + 60_000));
    expect(await listed()).toHaveLength(1);
  });

  test('stays unsubscribed if the list is imported again', async () => {
    const at = await desk();
    expect((await run(at, 'recipient import people.csv')).code).toBe(0);
    await insertCampaign(databases, 'after import');
    const { stderr } = await run(at, 'prepare letter.html --to people.csv --render --campaign after --out made');
    expect(stderr).toContain("campaign 'after' does not exist");
    const prepared = await clickledger(
      [...'prepare letter.html --to people.csv --render --out made --campaign'.split(' '), 'after import'],
      { cwd: at, env: authorSettings(databases) },
    );
    expect(prepared.stderr).toContain('prepared for 3 people');
  });

  test('is not left out by the list of all recipients, which tells who opted out of tracking', async () => {
    await insertCampaign(databases, 'listed');
    const at = await desk();
    await writeFile(join(at, 'all.csv'), (await run(at, 'recipient list')).stdout);
    const { stderr } = await run(at, 'prepare letter.html --to all.csv --merge mailchimp --campaign listed --out made');
    expect(stderr).toContain('prepared for 3 people');
    const rows = readCsv(await readFile(join(at, 'made', 'all.csv'), 'utf8'));
    expect(rows.map(({ email }) => email)).toEqual(['ann@example.com', 'out@example.com', 'back@example.com']);
  });

  test('gets no letter while a part of the logs is missing in a shard, unless the author accepts this', async () => {
    const id = await insertCampaign(databases, 'hole');
    const gen = '33333333-3333-3333-3333-333333333333';
    await databases.query('a', `INSERT INTO shard.ledger (gen, committed, size) VALUES ('${gen}', '{[0,100)}', 100)`);
    await databases.query('b', `INSERT INTO shard.ledger (gen, committed, size) VALUES ('${gen}', '{[0,60)}', NULL)`);
    const at = await desk();
    const command = 'prepare letter.html --to people.csv --render --out made --campaign hole';
    expect(await run(at, command)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/it is not known who has unsubscribed, because 40 bytes .*--despite-missing/),
    });
    expect(await mailed(id)).toEqual([]);
    const tracker = await createTracker({ settings: authorSettings(databases) });
    try {
      await expect(tracker.prepare({ campaign: id, html: LETTER })).rejects.toMatchObject({ code: 'unavailable' });
      expect(await tracker.prepare({ campaign: id, html: LETTER, despiteMissing: true })).toBeDefined();
    } finally {
      await tracker.close();
    }
    expect(await run(at, `${command} --despite-missing`)).toMatchObject({ code: 0 });
    await databases.query('b', `UPDATE shard.ledger SET committed = '{[0,100)}' WHERE gen = '${gen}'`);
    expect(await run(at, `${command} --out again`)).toMatchObject({ code: 0 });
  });

  test('gets no letter while an agent or a worker does not answer', async () => {
    await insertCampaign(databases, 'part away');
    const at = await desk();
    const { code, stderr } = await clickledger(
      [...'prepare letter.html --to people.csv --render --out made --campaign'.split(' '), 'part away'],
      { cwd: at, env: { ...authorSettings(databases), PARTS: 'log-agent=http://127.0.0.1:1' } },
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/it is not known who has unsubscribed: log-agent: the part does not answer.*--despite-missing/);
  });

  test('gets no letter while a shard does not answer', async () => {
    const id = await insertCampaign(databases, 'shard away');
    const at = await desk();
    await databases.query('catalog', `ALTER SERVER shard_b OPTIONS (SET port '1')`);
    const { code, stderr } = await clickledger(
      [...'prepare letter.html --to people.csv --render --out made --campaign'.split(' '), 'shard away'],
      { cwd: at, env: authorSettings(databases) },
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain('it is not known who has unsubscribed, because a shard does not answer');
    // The option does not help here.
    expect(stderr).not.toContain('--despite-missing');
    expect(await mailed(id)).toEqual([]);
    expect(await readdir(at)).not.toContain('made');
  });
});
