import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  authorSettings,
  BASE,
  insertCampaign,
  createDesk,
  expectJson,
  expectRefusal,
  listFiles,
  readCsv,
  trackedAddresses,
} from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { eventually } from '../../test/support/servers.ts';
import { startSite } from '../../test/support/web-site.ts';
import { withOutputFile, openOutputFile } from '../../authoring/output-files.ts';

const SALE = 'https://shop.example/sale?a=1&b=2';
const NEWS = 'https://shop.example/new';
const LETTER = `<!doctype html><html><body>
<p>Dear {{name}},</p>
<p><a href="https://shop.example/sale?a=1&amp;b=2">The sale</a> and <a href='https://shop.example/new'>new things</a>,
once more <a href="https://shop.example/sale?a=1&amp;b=2">the sale</a>.</p>
<p><a href="https://shop.example/unsubscribe?u=1">Unsubscribe</a> <a href="mailto:us@shop.example">write</a>
<a data-no-track href="https://shop.example/plain">plain</a></p>
</body></html>
`;
const TEXT = `Dear {{name}},

the sale: https://shop.example/sale?a=1&b=2
To unsubscribe: https://shop.example/unsubscribe?u=1
`;
const PEOPLE = `name,email
Ann,Ann@Example.com
"O'Neil & <Sons>",bob@example.com
Out,out@example.com
Test,test@example.com
`;

let databases: Databases;
let ids: { ann: number; bob: number; out: number; test: number };

beforeAll(async () => {
  databases = await createDatabases(1);
  const rows = await databases.query<{ id: number }>(
    'catalog',
    `INSERT INTO catalog.recipient (email, opted_out_at, is_test)
     VALUES ('ann@example.com', NULL, false), ('bob@example.com', NULL, false), ('out@example.com', now(), false), ('test@example.com', NULL, true) RETURNING id`,
  );
  const [ann = 0, bob = 0, out = 0, tester = 0] = rows.map(({ id }) => Number(id));
  ids = { ann, bob, out, test: tester };
});

const run = (desk: string, ...args: string[]): Promise<CommandResult> =>
  clickledger(['prepare', ...args], { cwd: desk, env: authorSettings(databases) });
/** Splits a line into arguments. The arguments must not contain spaces. */
const words = (line: string): string[] => line.split(' ');
const desk = (more: Record<string, string | Buffer> = {}) =>
  createDesk({ 'letter.html': LETTER, 'letter.txt': TEXT, 'people.csv': PEOPLE, ...more });
const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

/** Returns the ids of a campaign's links by label and original URL. */
async function linksOf(campaign: number): Promise<Record<string, number>> {
  const rows = await databases.query<{ id: number; kind: string; label: string; original: string }>(
    'catalog',
    'SELECT id, kind, label, original FROM catalog.link WHERE campaign_id = $1',
    [campaign],
  );
  return Object.fromEntries(
    rows.map(({ id, kind, label, original }) => [kind === 'pixel' ? 'pixel' : `${label}${label && ' '}${original}`, Number(id)]),
  );
}

async function mailedIn(campaign: number): Promise<number[]> {
  const rows = await databases.query<{ recipient_id: number }>(
    'catalog',
    'SELECT recipient_id FROM catalog.mailing WHERE campaign_id = $1 ORDER BY recipient_id',
    [campaign],
  );
  return rows.map(({ recipient_id }) => Number(recipient_id));
}

interface Report {
  out: string;
  campaign: number;
  prepared: number;
  opted_out: number;
  tests: number;
  rejected: { line: number; reason: string; value: string }[];
  rejected_total: number;
  links: { id: number; part: string; label: string; target: string }[];
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
const withoutPixel = (html: string) => html.replace(/<img [^>]*height="1"[^>]*>/, '');

describe('a dry run', () => {
  test('shows every link and why it is kept, without a database, and changes nothing', async () => {
    const at = await desk();
    const nowhere = { cwd: at, env: { BASE_URL: BASE, AUTHOR_URL: 'postgres://author:x@127.0.0.1:1/nowhere' } };
    const [table, json] = await Promise.all([
      clickledger(['prepare', 'letter.html', '--text', 'letter.txt', '--dry-run'], nowhere),
      clickledger(['prepare', 'letter.html', '--dry-run', '--json'], { cwd: at, env: { BASE_URL: BASE } }),
    ]);
    expect({ code: table.code, stderr: table.stderr }).toEqual({
      code: 0,
      stderr:
        '4 of 8 links would be tracked, and a pixel would be added\n  not tracked: 2 unsubscribe, 1 not-http, 1 no-track (--dry-run lists them)\n',
    });
    const lines = table.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^part +line +what +address +words$/);
    expect(lines).toHaveLength(9);
    expect(lines[1]).toMatch(/^html +3 +tracked +https:\/\/shop\.example\/sale\?a=1&b=2 +The sale$/);
    expect(lines[4]).toMatch(/^html +5 +kept: unsubscribe +https:/);
    expect(lines[8]).toMatch(/^text +4 +kept: unsubscribe +https:/);
    expect(table.stdout).not.toContain('\x1b');
    const { links, pixel } = await expectJson<{ links: { line: number; what: string; address: string }[]; pixel: boolean }>(
      Promise.resolve(json),
    );
    expect(pixel).toBe(true);
    expect(links.map(({ line, what, address }) => [line, what, address])).toEqual([
      [3, 'tracked', SALE],
      [3, 'tracked', NEWS],
      [4, 'tracked', SALE],
      [5, 'unsubscribe', 'https://shop.example/unsubscribe?u=1'],
      [5, 'not-http', 'mailto:us@shop.example'],
      [6, 'no-track', 'https://shop.example/plain'],
    ]);
    expect(await listFiles(at)).toEqual(['letter.html', 'letter.txt', 'people.csv']);
  });
});

describe('what an author should know', () => {
  test('links that lead nowhere are listed with their line, at a dry run and when the letters are written', async () => {
    await insertCampaign(databases, 'mistakes');
    const at = await desk({
      'mistakes.html':
        '<p><a href="https://shop.example/">x</a>\n<a href="www.shop.example">x</a><a href="htps://shop.example/">x</a>\n<a href="file:///C:/x.html">x</a>',
    });
    const expected = [
      '  not tracked: 1 relative, 2 not-http (--dry-run lists them)',
      '  these addresses lead nowhere, check their spelling:',
      '    html, line 2: www.shop.example',
      '    html, line 2: htps://shop.example/',
      '    html, line 3: file:///C:/x.html',
    ];
    const [dry, written] = await Promise.all([
      run(at, 'mistakes.html', '--dry-run'),
      run(at, 'mistakes.html', '--campaign', 'mistakes', '--to', 'people.csv', '--merge', 'generic', '--json'),
    ]);
    for (const { code, stderr } of [dry, written])
      expect({ code, lines: stderr.split('\n') }).toEqual({ code: 0, lines: expect.arrayContaining(expected) });
    expect(JSON.parse(written.stdout)).toMatchObject({
      kept: { relative: 1, 'not-http': 2 },
      suspicious: [{ line: 2 }, { line: 2 }, { line: 3 }],
    });
  });

  test('Gmail cuts off by the bytes that go out, not by the characters of the letter', async () => {
    await insertCampaign(databases, 'long');
    const filler = (length: number, character: string) => `<p>${character.repeat(length)}</p><a href="https://shop.example/">x</a>`;
    const at = await desk({
      'short.html': filler(100_000, 'x'),
      // This letter has 60,000 characters, but 120,000 bytes.
      'umlauts.html': filler(60_000, 'ü'),
      // The tracked links are longer than the original ones.
      'links.html': '<a href="http://a.de">x</a>'.repeat(3_000),
    });
    const results = await Promise.all(
      ['short', 'umlauts', 'links'].map((name) => run(at, `${name}.html`, '--campaign', 'long', '--out', `made-${name}`)),
    );
    expect(results.map(({ stderr }) => /the letter has \d+ kB .*Gmail cuts off/.test(stderr))).toEqual([false, true, true]);
  });

  test('tags that readers would see are listed when letters are rendered', async () => {
    await insertCampaign(databases, 'tags');
    const at = await desk({ 'tags.html': '<p>Dear {{name},\n*|FNAME|* {{name|there}}</p>' });
    const { code, stderr } = await run(at, 'tags.html', '--campaign', 'tags', '--to', 'people.csv', '--render');
    expect(code).toBe(0);
    expect(stderr).toContain('  html, line 1: {{name}\n  html, line 2: *|FNAME|* (a tag of Mailchimp)\n');
  });

  test('thousands of links are listed', async () => {
    const at = await desk({
      'many.html': Array.from({ length: 20_000 }, (_, i) => `<a href="https://shop.example/${i}">${i}</a>`).join('\n'),
    });
    const { code, stdout } = await run(at, 'many.html', '--dry-run');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(20_001);
  });
});

describe('a hidden link', () => {
  const HIDDEN = /<a href="([^"]*)" style="display:none" aria-hidden="true" tabindex="-1"><\/a>/g;

  test('is in the letter of each person, and not in the text part or in letters of people who opted out', async () => {
    const campaign = await insertCampaign(databases, 'hidden');
    const at = await desk();
    const arguments_ = words('letter.html --text letter.txt --to people.csv --render --honeypot --campaign hidden --out');
    const { stderr } = await run(at, ...arguments_, 'made');
    expect(stderr).toContain('prepared for 4 people: 3 links and a hidden link and a pixel\n');
    const links = await linksOf(campaign);
    const [ann, out, text] = await Promise.all(
      ['0000001.html', '0000003.html', '0000001.txt'].map((name) => readFile(join(at, 'made', name), 'utf8')),
    );
    const hidden = Array.from((ann as string).matchAll(HIDDEN), ([, address]) => address as string);
    expect(trackedAddresses(databases, hidden.join(' '))).toEqual([{ kind: 'u', link: links[''], recipient: ids.ann }]);
    expect((ann as string).indexOf('<body>') + '<body>'.length).toBe((ann as string).search(HIDDEN));
    expect(out).not.toMatch(HIDDEN);
    expect(trackedAddresses(databases, text as string)).toHaveLength(1);
    // The hidden link redirects to the target of the first link.
    expect(
      await databases.query('catalog', 'SELECT kind, target FROM catalog.link JOIN catalog.link_version ON link_id = id WHERE id = $1', [
        links[''],
      ]),
    ).toEqual([{ kind: 'honeypot', target: SALE }]);
    // A second run uses the same hidden link.
    await run(at, ...arguments_, 'again');
    expect(await linksOf(campaign)).toEqual(links);
  });

  test('has a column in a merged list', async () => {
    await insertCampaign(databases, 'hidden merged');
    const at = await desk();
    await run(at, ...words('letter.html --to people.csv --merge mailchimp --honeypot --out made --campaign'), 'hidden merged');
    const [html, list] = await Promise.all(['letter.html', 'people.csv'].map((name) => readFile(join(at, 'made', name), 'utf8')));
    expect(Array.from((html as string).matchAll(HIDDEN), ([, address]) => address)).toEqual(['*|CL_HIDDEN|*']);
    const rows = readCsv(list as string);
    expect(Object.keys(rows[0] as object)).toEqual(['name', 'email', 'CL_1', 'CL_2', 'CL_HIDDEN', 'CL_PIXEL']);
    expect(trackedAddresses(databases, rows[1]?.['CL_HIDDEN'] as string)).toMatchObject([{ kind: 'u', recipient: ids.bob }]);
    expect(rows[2]?.['CL_HIDDEN']).toBe('#');
  });

  test('is not inserted again if an earlier run inserted it', async () => {
    await insertCampaign(databases, 'hidden again');
    const at = await desk();
    await run(at, ...words('letter.html --to people.csv --honeypot --out made --merge generic --campaign'), 'hidden again');
    const html = await readFile(join(at, 'made', 'letter.html'), 'utf8');
    await writeFile(join(at, 'more.html'), html.replace('</body>', '<a href="https://shop.example/more">more</a></body>'));
    await run(at, ...words('more.html --honeypot --out again --campaign'), 'hidden again');
    expect((await readFile(join(at, 'again', 'more.html'), 'utf8')).match(HIDDEN)).toHaveLength(1);
  });

  test('needs a link of the letter', async () => {
    const at = await desk({ 'empty.html': '<p>no links</p>' });
    const { stderr } = await run(at, 'empty.html', '--honeypot', '--dry-run');
    expect(stderr).toBe('0 of 0 links would be tracked, and a pixel would be added\n');
  });
});

describe('one letter and a list for a sender', () => {
  test.each([
    ['mailchimp', '*|CL_1|*', '*|CL_T1|*', false],
    ['sendgrid', '{{CL_1}}', '{{{CL_T1}}}', true],
    ['ses', '{{CL_1}}', '{{{CL_T1}}}', true],
    ['mailjet', '{{data:CL_1}}', '{{data:CL_T1}}', false],
    ['generic', '{{CL_1}}', '{{CL_T1}}', false],
  ])('%s: tags in both parts, a column for each link', async (sender, tag, textTag, escapes) => {
    const campaign = await insertCampaign(databases, `merge ${sender}`);
    const at = await desk();
    const { code, stdout, stderr } = await run(
      at,
      ...words(`letter.html --text letter.txt --to people.csv --merge ${sender} --out made --campaign`),
      `merge ${sender}`,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${join(at, 'made')}\n` });
    expect(stderr).toBe(
      'prepared for 4 people: 3 links and a pixel\n  1 opted out of tracking: untracked links, no pixel\n  1 test recipient: left out of all counts\n  not tracked: 2 unsubscribe, 1 not-http, 1 no-track (--dry-run lists them)\n',
    );
    expect(await listFiles(join(at, 'made'))).toEqual(['letter.html', 'letter.txt', 'people.csv']);
    const [html, text, list] = await Promise.all(
      ['letter.html', 'letter.txt', 'people.csv'].map((name) => readFile(join(at, 'made', name), 'utf8')),
    );
    expect(html?.split(tag)).toHaveLength(3);
    expect(text).toBe(TEXT.replace(SALE, textTag));
    expect(html).toContain(`<img src="${tag.replace('CL_1', 'CL_PIXEL')}"`);
    expect(`${html}${text}`).not.toContain(BASE);

    const rows = readCsv(list as string);
    expect(Object.keys(rows[0] as object)).toEqual(['name', 'email', 'CL_1', 'CL_2', 'CL_T1', 'CL_PIXEL']);
    expect(rows.map(({ name, email }) => [name, email])).toEqual([
      ['Ann', 'Ann@Example.com'],
      ["O'Neil & <Sons>", 'bob@example.com'],
      ['Out', 'out@example.com'],
      ['Test', 'test@example.com'],
    ]);
    const links = await linksOf(campaign);
    for (const [row, recipient] of [
      [rows[0], ids.ann],
      [rows[1], ids.bob],
      [rows[3], ids.test],
    ] as const)
      expect(trackedAddresses(databases, ['CL_1', 'CL_2', 'CL_T1', 'CL_PIXEL'].map((name) => row?.[name]).join(' '))).toEqual([
        { kind: 'u', link: links[SALE], recipient },
        { kind: 'u', link: links[NEWS], recipient },
        { kind: 'u', link: links[`text ${SALE}`], recipient },
        { kind: 'r', link: links['pixel'], recipient },
      ]);

    // The letter that the sender produces for a recipient who opted out is equal to the original letter.
    const out = rows[2] as Record<string, string>;
    expect(Object.values(out).join(' ')).not.toContain(BASE);
    const merged = (html as string)
      .replace(tag.replace('CL_1', 'CL_2'), out['CL_2'] as string)
      .replaceAll(tag, escapes ? escaped(out['CL_1'] as string) : (out['CL_1'] as string));
    expect(withoutPixel(merged)).toBe(LETTER);
    expect(out['CL_T1']).toBe(SALE);
    expect(out['CL_PIXEL']).toMatch(/^data:image\/gif;base64,/);
    expect(await mailedIn(campaign)).toEqual(Object.values(ids));
  });

  test('everything is readable by its owner alone', async () => {
    await insertCampaign(databases, 'owner');
    const at = await desk();
    await Promise.all([
      run(at, 'letter.html', '--campaign', 'owner', '--to', 'people.csv', '--merge', 'generic', '--out', 'merged'),
      run(at, 'letter.html', '--campaign', 'owner', '--out', 'shared'),
    ]);
    const written = ['merged', 'merged/letter.html', 'merged/people.csv', 'shared', 'shared/letter.html'];
    expect(await Promise.all(written.map((name) => modeOf(join(at, name))))).toEqual(['700', '600', '600', '700', '600']);
  });

  test('many thousand people: each one once, in their order, with addresses of their own', async () => {
    await insertCampaign(databases, 'many');
    const count = 12_001;
    const people = `email\n${Array.from({ length: count }, (_, i) => `p${i}@many.example\n`).join('')}`;
    const at = await desk({ 'people.csv': people });
    const args = ['letter.html', '--campaign', 'many', '--to', 'people.csv', '--merge', 'generic'];
    const { code, stderr } = await run(at, ...args);
    const kept = '  not tracked: 1 unsubscribe, 1 not-http, 1 no-track (--dry-run lists them)';
    expect({ code, stderr }).toEqual({ code: 0, stderr: `prepared for ${count} people: 2 links and a pixel\n${kept}\n` });
    const rows = readCsv(await readFile(join(at, 'prepared', 'people.csv')));
    expect(rows.map(({ email }) => email)).toEqual(Array.from({ length: count }, (_, i) => `p${i}@many.example`));
    const recipients = rows.map((row) => trackedAddresses(databases, Object.values(row).join(' ')).map(({ recipient }) => recipient));
    expect(recipients.every(([first, ...others]) => others.length === 2 && others.every((other) => other === first))).toBe(true);
    expect(new Set(recipients.flat()).size).toBe(count);
    const stored = await databases.query<{ id: number; email: string }>(
      'catalog',
      `SELECT id, email FROM catalog.recipient WHERE email LIKE '%@many.example'`,
    );
    const idOf = new Map(stored.map(({ id, email }) => [email, Number(id)]));
    expect(rows.every(({ email = '' }, i) => idOf.get(email) === recipients[i]?.[0])).toBe(true);
  });

  test('a list that has our columns already is refused', async () => {
    await insertCampaign(databases, 'twice');
    const at = await desk({ 'people.csv': 'email,CL_1\na@example.com,x\n' });
    await expectRefusal(run(at, 'letter.html', '--campaign', 'twice', '--to', 'people.csv', '--merge', 'ses'), 'original list');
    expect(await listFiles(at)).toEqual(['letter.html', 'letter.txt', 'people.csv']);
  });
});

describe('a finished letter for every person', () => {
  const rendering = (campaign: string, ...more: string[]) => [
    ...words('letter.html --text letter.txt --to people.csv --render --campaign'),
    campaign,
    ...more,
  ];

  test('files, numbered, with columns filled in; the same command gives the same bytes', async () => {
    const campaign = await insertCampaign(databases, 'render');
    const at = await desk();
    const report = await expectJson<Report>(run(at, ...rendering('render', '--json')));
    const again = await run(at, ...rendering('render', '--out', 'again'));
    expect(again.stderr).toBe(
      'prepared for 4 people: 3 links and a pixel\n  1 opted out of tracking: untracked links, no pixel\n  1 test recipient: left out of all counts\n  not tracked: 2 unsubscribe, 1 not-http, 1 no-track (--dry-run lists them)\n',
    );
    const links = await linksOf(campaign);
    expect(report).toEqual({
      campaign,
      out: join(at, 'prepared'),
      prepared: 4,
      opted_out: 1,
      tests: 1,
      rejected: [],
      rejected_total: 0,
      list: expect.objectContaining({ encoding: 'utf-8', header: true, email_column: 'email', other_lines: null, not_subscribed: {} }),
      links: [
        { id: links[SALE], part: 'html', label: '', target: SALE },
        { id: links[NEWS], part: 'html', label: '', target: NEWS },
        { id: links[`text ${SALE}`], part: 'text', label: 'text', target: SALE },
      ],
      kept: { unsubscribe: 2, 'not-http': 1, 'no-track': 1 },
      suspicious: [],
    });
    expect(Object.keys(links)).toHaveLength(4);

    const files = await listFiles(join(at, 'prepared'));
    expect(files).toEqual([...[1, 2, 3, 4].flatMap((n) => [`000000${n}.html`, `000000${n}.txt`]), 'index.csv']);
    const read = async (name: string) => readFile(join(at, 'prepared', name), 'utf8');
    for (const name of files) {
      expect(await readFile(join(at, 'again', name), 'utf8')).toBe(await read(name));
      expect([name, await modeOf(join(at, 'prepared', name))]).toEqual([name, '600']);
    }
    expect(await modeOf(join(at, 'prepared'))).toBe('700');
    expect(readCsv(await read('index.csv'))).toEqual(readCsv(PEOPLE).map((row, i) => ({ file: `000000${i + 1}.html`, ...row })));

    for (const [n, name, recipient] of [
      [1, 'Ann', ids.ann],
      [2, "O'Neil & <Sons>", ids.bob],
      [4, 'Test', ids.test],
    ] as const) {
      const html = await read(`000000${n}.html`);
      expect(trackedAddresses(databases, html)).toEqual([
        { kind: 'u', link: links[SALE], recipient },
        { kind: 'u', link: links[NEWS], recipient },
        { kind: 'u', link: links[SALE], recipient },
        { kind: 'r', link: links['pixel'], recipient },
      ]);
      expect(html).toContain(`<p>Dear ${escaped(name)},</p>`);
      const text = await read(`000000${n}.txt`);
      expect(trackedAddresses(databases, text)).toEqual([{ kind: 'u', link: links[`text ${SALE}`], recipient }]);
      expect(text).toContain(`Dear ${name},\n`);
    }
    expect(await read('0000003.html')).toBe(LETTER.replace('{{name}}', 'Out'));
    expect(await read('0000003.txt')).toBe(TEXT.replace('{{name}}', 'Out'));
    expect(await mailedIn(campaign)).toEqual(Object.values(ids));

    // The merged list has the same URLs as the rendered letters.
    await run(at, ...rendering('render').filter((arg) => arg !== '--render'), '--merge', 'generic', '--out', 'merged');
    const [ann] = readCsv(await readFile(join(at, 'merged', 'people.csv')));
    expect(await read('0000001.html')).toContain(`href="${ann?.['CL_1']}"`);
  });

  test('whole messages, as files and in one mbox', async () => {
    const campaign = await insertCampaign(databases, 'messages');
    const at = await desk();
    const envelope = ['--from', 'Shöp <news@shop.example>', '--subject', 'Für {{name}}', '--header', 'Reply-To: {{email}}'];
    const [eml, mbox] = await Promise.all([
      run(at, ...rendering('messages', '--eml', ...envelope, '--header', 'X-Campaign: spring')),
      run(at, ...rendering('messages', '--mbox', ...envelope)),
    ]);
    expect([eml.code, eml.stdout, mbox.code, mbox.stdout]).toEqual([0, `${join(at, 'prepared')}\n`, 0, `${join(at, 'prepared.mbox')}\n`]);
    expect(await listFiles(join(at, 'prepared'))).toEqual([...[1, 2, 3, 4].map((n) => `000000${n}.eml`), 'index.csv']);
    expect([await modeOf(join(at, 'prepared.mbox')), await modeOf(join(at, 'prepared', '0000001.eml'))]).toEqual(['600', '600']);
    const links = await linksOf(campaign);
    const box = await readFile(join(at, 'prepared.mbox'), 'latin1');
    const entries = box.split(/^From news@shop\.example .*\n/m).slice(1);
    expect(entries).toHaveLength(4);
    for (const [i, [name, to, recipient]] of (
      [
        ['Ann', 'ann@example.com', ids.ann],
        ["O'Neil & <Sons>", 'bob@example.com', ids.bob],
        ['Out', 'out@example.com', undefined],
        ['Test', 'test@example.com', ids.test],
      ] as const
    ).entries()) {
      const file = await readFile(join(at, 'prepared', `000000${i + 1}.eml`));
      for (const message of [file, Buffer.from(entries[i] as string, 'latin1')]) {
        const mail = await PostalMime.parse(message);
        expect(mail.subject).toBe(`Für ${name}`);
        expect(mail.from).toMatchObject({ name: 'Shöp', address: 'news@shop.example' });
        expect(mail.to).toMatchObject([{ address: to }]);
        expect(mail.replyTo?.[0]?.address?.toLowerCase()).toBe(to);
        expect(mail.text).toContain(`Dear ${name},`);
        expect(mail.html).toContain(`Dear ${escaped(name)},`);
        const tracked = trackedAddresses(databases, `${mail.html} ${mail.text}`).map(({ link, recipient: whose }) => [link, whose]);
        const all = [links[SALE], links[NEWS], links[SALE], links['pixel'], links[`text ${SALE}`]];
        expect(tracked).toEqual(recipient === undefined ? [] : all.map((link) => [link, recipient]));
        if (recipient === undefined) expect(`${mail.html} ${mail.text}`).not.toContain(BASE);
      }
      expect(file.toString('latin1')).toContain('\r\nX-Campaign: spring\r\n');
      expect(
        file
          .toString('latin1')
          .split('\r\n')
          .every((line) => line.length <= 76 || /^[\w-]+:/.test(line)),
      ).toBe(true);
    }
  });

  test('a column that the list does not have is an error that names those it has, and leaves nothing behind', async () => {
    await insertCampaign(databases, 'columns');
    const wrong = LETTER.replace('{{name}}', '{{ first name }}');
    const envelope = ['--from', 'a@shop.example', '--subject', 'x'];
    const at = await desk({ 'wrong.html': wrong });
    const before = await listFiles(at);
    const args = ['--campaign', 'columns', '--to', 'people.csv', '--render'];
    const why = 'column {{first name}} does not exist. The list has: name, email';
    await Promise.all([
      expectRefusal(run(at, 'wrong.html', ...args, '--out', 'files'), why),
      expectRefusal(run(at, 'wrong.html', ...args, '--eml', ...envelope, '--out', 'eml'), why),
    ]);
    await Promise.all([
      expectRefusal(run(at, 'wrong.html', ...args, '--mbox', ...envelope), why),
      expectRefusal(
        run(at, 'letter.html', ...args, '--mbox', '--from', 'a@shop.example', '--subject', '{{first name}}', '--out', 'b.mbox'),
        why,
      ),
    ]);
    expect(await listFiles(at)).toEqual(before);
  });

  test('a file that is given up as soon as it is begun is gone, however fast', async () => {
    const at = await desk();
    for (let i = 0; i < 400; i++) {
      const path = join(at, `${i}.mbox`);
      const failing = withOutputFile(path, async () => {
        await (await openOutputFile(path)).abandon();
        throw new Error('no such column');
      });
      await expect(failing).rejects.toThrow('no such column');
    }
    // File operations that are still running on another thread complete within this time.
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await listFiles(at)).toEqual(['letter.html', 'letter.txt', 'people.csv']);
  });

  test('messages to people without an address are refused', async () => {
    await insertCampaign(databases, 'no addresses');
    const at = await desk({ 'people.csv': 'id,name\n1,One\n' });
    const args = ['letter.html', '--campaign', 'no addresses', '--to', 'people.csv', '--no-emails', '--render'];
    await expectRefusal(run(at, ...args, '--eml', '--from', 'a@shop.example', '--subject', 'x'), 'need mail addresses');
    expect(await listFiles(at)).toEqual(['letter.html', 'letter.txt', 'people.csv']);
  });

  test('just one person, to look at it: nothing is recorded', async () => {
    const campaign = await insertCampaign(databases, 'only');
    const at = await desk();
    const [one, nobody, nobodyMerged] = await Promise.all([
      expectJson<Report>(run(at, ...rendering('only', '--only', 'BOB@example.com', '--json'))),
      run(at, ...rendering('only', '--only', 'who@example.com', '--out', 'nobody')),
      run(at, 'letter.html', '--campaign', 'only', '--to', 'people.csv', '--merge', 'ses', '--only', 'who@example.com', '--out', 'merged'),
    ]);
    expect(one).toMatchObject({ prepared: 1, opted_out: 0, tests: 0 });
    expect(await listFiles(join(at, 'prepared'))).toEqual(['0000001.html', '0000001.txt', 'index.csv']);
    const tracked = trackedAddresses(databases, await readFile(join(at, 'prepared', '0000001.html'), 'utf8'));
    expect(new Set(tracked.map(({ recipient }) => recipient))).toEqual(new Set([ids.bob]));
    for (const ended of [nobody, nobodyMerged]) await expectRefusal(Promise.resolve(ended), 'who@example.com is not in people.csv');
    expect((await readdir(at)).toSorted()).toEqual(['letter.html', 'letter.txt', 'people.csv', 'prepared']);
    expect(await mailedIn(campaign)).toEqual([]);
  });
});

describe('people who cannot be written to', () => {
  test('are told with the number of their line: on stderr, in a file, and in JSON', async () => {
    await insertCampaign(databases, 'rejects');
    const people = 'email,name\nann@example.com,"two\nlines"\nnonsense,x\n,nobody\nANN@example.com,again\nbob@example.com,b\n';
    const at = await desk({ 'people.csv': people });
    const args = ['letter.html', '--campaign', 'rejects', '--to', 'people.csv', '--render', '--rejects', 'left-out.csv'];
    const result = await run(at, ...args);
    expect(result.code).toBe(0);
    expect(result.stderr.split('\n').toSorted()).toEqual(
      [
        '',
        'prepared for 2 people: 2 links and a pixel',
        '  not tracked: 1 unsubscribe, 1 not-http, 1 no-track (--dry-run lists them)',
        '3 lines were left out:',
        '  line 4: nonsense: this is not a mail address',
        '  line 5: the mail address is missing',
        '  line 6: ann@example.com: this person is on an earlier line',
      ].toSorted(),
    );
    const expected = [
      { line: 4, reason: 'bad-address', value: 'nonsense' },
      { line: 5, reason: 'no-address', value: '' },
      { line: 6, reason: 'duplicate', value: 'ann@example.com' },
    ];
    const rows = readCsv(await readFile(join(at, 'left-out.csv')));
    expect(rows.toSorted((a, b) => Number(a['line']) - Number(b['line']))).toEqual(
      expected.map((row) => ({ ...row, line: String(row.line), status: '' })),
    );
    expect(await modeOf(join(at, 'left-out.csv'))).toBe('600');
    const json = await expectJson<Report>(run(at, ...args.slice(0, -2), '--out', 'json', '--json'));
    expect(json).toMatchObject({ prepared: 2, rejected_total: 3 });
    expect(json.rejected.toSorted((a, b) => a.line - b.line)).toEqual(expected);
  });
});

describe('letters of all kinds', () => {
  test('Latin-1 stays Latin-1, byte for byte', async () => {
    await insertCampaign(databases, 'latin-1');
    const letter = Buffer.from('<p>F\xfcr {{name}} \x80 <a href="https://shop.example/\xfc">h\xf6r</a></p>\n', 'latin1');
    const at = await desk({ 'letter.html': letter, 'people.csv': 'email,name\nann@example.com,Zoë Žižek 李\nout@example.com,Ö\n' });
    const { code } = await run(at, 'letter.html', '--campaign', 'latin-1', '--to', 'people.csv', '--render');
    expect(code).toBe(0);
    const ann = await readFile(join(at, 'prepared', '0000001.html'), 'latin1');
    expect(ann.replace(/https:\/\/t\.example\.org\/u\/\w+/, 'U').replace(/<img [^>]*>/, '')).toBe(
      '<p>F\xfcr Zo\xeb \x8ei\x9eek &#26446; \x80 <a href="U">h\xf6r</a></p>\n',
    );
    expect(await readFile(join(at, 'prepared', '0000002.html'), 'latin1')).toBe(letter.toString('latin1').replace('{{name}}', '\xd6'));
    const [link] = await databases.query<{ target: string }>('catalog', `SELECT target FROM catalog.link_version WHERE target LIKE '%ü'`);
    expect(link?.target).toBe('https://shop.example/ü');
  });

  test('a plain-text letter alone', async () => {
    const campaign = await insertCampaign(databases, 'text alone');
    const at = await desk();
    const args = ['letter.txt', '--campaign', 'text alone', '--to', 'people.csv', '--render'];
    expect(await expectJson(run(at, ...args, '--json'))).toMatchObject({ links: [{ part: 'text', target: SALE }] });
    expect(await listFiles(join(at, 'prepared'))).toEqual([...[1, 2, 3, 4].map((n) => `000000${n}.txt`), 'index.csv']);
    expect(readCsv(await readFile(join(at, 'prepared', 'index.csv')))[0]).toMatchObject({ file: '0000001.txt' });
    const links = await linksOf(campaign);
    expect(Object.keys(links)).toEqual([`text ${SALE}`]);
    const ann = await readFile(join(at, 'prepared', '0000001.txt'), 'utf8');
    expect(trackedAddresses(databases, ann)).toEqual([{ kind: 'u', link: links[`text ${SALE}`], recipient: ids.ann }]);
    expect(ann.replace(/https:\/\/t\.example\.org\/u\/\w+/, SALE)).toBe(TEXT.replace('{{name}}', 'Ann'));
  });

  test('without a list the links are shared by all, and the same as `url` and `pixel` give', async () => {
    const campaign = await insertCampaign(databases, 'shared');
    const at = await desk();
    const { code, stdout, stderr } = await run(at, 'letter.html', '--text', 'letter.txt', '--campaign', 'shared', '--out', 'made/here');
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: `${join(at, 'made/here')}\n`,
      stderr: 'prepared 3 links, shared by all\n  not tracked: 2 unsubscribe, 1 not-http, 1 no-track (--dry-run lists them)\n',
    });
    expect(await listFiles(join(at, 'made/here'))).toEqual(['letter.html', 'letter.txt']);
    const [html, text] = await Promise.all(['letter.html', 'letter.txt'].map((name) => readFile(join(at, 'made/here', name), 'utf8')));
    const links = await linksOf(campaign);
    expect(trackedAddresses(databases, `${html}${text}`).map(({ link, recipient }) => [link, recipient])).toEqual(
      [links[SALE], links[NEWS], links[SALE], links['pixel'], links[`text ${SALE}`]].map((link) => [link, 0]),
    );
    expect(html).toContain('Dear {{name}},');
    const env = { env: authorSettings(databases), cwd: at };
    const [url, pixel] = await Promise.all([
      clickledger(['url', SALE, '--campaign', 'shared'], env),
      clickledger(['pixel', '--campaign', 'shared'], env),
    ]);
    expect(html).toContain(`"${url.stdout.trim()}"`);
    expect(html).toContain(`"${pixel.stdout.trim()}"`);
    expect(await mailedIn(campaign)).toEqual([]);
  });

  test('parameters, excluded domains, the place of the pixel, unsubscribe links and an end, as asked for', async () => {
    const campaign = await insertCampaign(databases, 'options');
    const letter = `<html><body class="x"><a href="https://shop.example/a?x=1#top">a</a> <a href="https://www.partner.example/b">b</a>
      <a href="https://other.example/c">c</a> <a href="https://shop.example/unsubscribe">Unsubscribe</a></body></html>`;
    const at = await desk({ 'letter.html': letter });
    const [one, two] = await Promise.all([
      run(
        at,
        'letter.html',
        '--campaign',
        'options',
        '--utm',
        'source=letter,utm_medium=e mail',
        '--exclude',
        'partner.example, other.example',
        ...words('--exclude nowhere.example --pixel top --track-unsubscribe --expires 2031-01-02T03:04Z --out one'),
      ),
      run(at, 'letter.html', '--campaign', 'options', '--pixel', 'none', '--out', 'two'),
    ]);
    expect([one.code, two.code]).toEqual([0, 0]);
    const html = await readFile(join(at, 'one', 'letter.html'), 'utf8');
    expect(html).toMatch(/^<html><body class="x"><img src="https:\/\/t\.example\.org\/r\//);
    expect(html).toContain('"https://www.partner.example/b"');
    expect(html).toContain('"https://other.example/c"');
    const rows = await databases.query<{ original: string; expires_at: Date | null }>(
      'catalog',
      `SELECT original, expires_at FROM catalog.link WHERE campaign_id = $1 AND original LIKE '%utm_%' ORDER BY original`,
      [campaign],
    );
    expect(rows).toEqual(
      [
        'https://shop.example/a?x=1&utm_source=letter&utm_medium=e%20mail#top',
        'https://shop.example/unsubscribe?utm_source=letter&utm_medium=e%20mail',
      ].map((original) => ({ original, expires_at: new Date('2031-01-02T03:04Z') })),
    );
    const plain = await readFile(join(at, 'two', 'letter.html'), 'utf8');
    expect(plain).not.toContain('<img');
    expect(plain).toContain('"https://shop.example/unsubscribe"');
    expect(trackedAddresses(databases, plain)).toHaveLength(3);
  });

  test('a letter that is prepared already is left as it is, and nothing is made', async () => {
    const campaign = await insertCampaign(databases, 'prepared');
    const at = await desk();
    const args = ['--text', 'letter.txt', '--campaign', 'prepared', '--to', 'people.csv'];
    await Promise.all([
      run(at, 'letter.html', ...args, '--merge', 'mailchimp', '--out', 'merged'),
      run(at, 'letter.html', ...args, '--render', '--out', 'rendered'),
    ]);
    const before = await linksOf(campaign);
    const again = (letter: string, text: string, ...more: string[]) =>
      run(at, letter, '--text', text, '--campaign', 'prepared', '--to', 'people.csv', ...more, '--out', 'again');
    const ended = await Promise.all([
      again('merged/letter.html', 'merged/letter.txt', '--merge', 'mailchimp'),
      again('rendered/0000001.html', 'rendered/0000001.txt', '--render'),
    ]);
    for (const { code, stdout, stderr } of ended)
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: '',
        stderr: 'nothing to do: this letter is already prepared and was not changed\n',
      });
    expect((await readdir(at)).toSorted()).toEqual(['letter.html', 'letter.txt', 'merged', 'people.csv', 'rendered']);
    expect(await linksOf(campaign)).toEqual(before);
  });
});

describe('what is refused', () => {
  test('without a change to anything, in one line', async () => {
    await insertCampaign(databases, 'refused');
    const closed = await insertCampaign(databases, 'closed');
    await databases.query('catalog', 'UPDATE catalog.campaign SET closed_at = now() WHERE id = $1', [closed]);
    const at = await desk({
      'full/something': 'x',
      'full.mbox': 'x',
      'message.html': 'From: a@shop.example\r\nSubject: hello\r\n\r\n<a href="https://shop.example/">x</a>',
      'nameless.csv': 'a,b\n1,2\n',
      'letter.docx': 'PK\x03\x04[Content_Types].xml',
    });
    const before = await listFiles(at);
    const merge = ['--to', 'people.csv', '--merge', 'generic'];
    const refusals: [why: string | RegExp, ...args: string[]][] = [
      ['not empty', 'letter.html', '--campaign', 'refused', ...merge, '--out', 'full'],
      [
        'exists',
        ...words('letter.html --campaign refused --to people.csv --render --mbox --from a@b.example --subject x'),
        ...words('--out full.mbox'),
      ],
      ['reopen "closed"', 'letter.html', '--campaign', 'closed', ...merge],
      ['campaign create "nope"', 'letter.html', '--campaign', 'nope', ...merge],
      ['nope.html does not exist', 'nope.html', '--campaign', 'refused', ...merge],
      ['nope.txt', 'letter.html', '--text', 'nope.txt', '--campaign', 'refused', ...merge],
      ['nope.csv does not exist', 'letter.html', '--campaign', 'refused', '--to', 'nope.csv', '--merge', 'ses'],
      ['--email-column', 'letter.html', '--campaign', 'refused', '--to', 'nameless.csv', '--merge', 'ses'],
      [
        "column 'mail' does not exist",
        'letter.html',
        '--campaign',
        'refused',
        '--to',
        'people.csv',
        '--merge',
        'ses',
        '--email-column',
        'mail',
      ],
      ['whole message', 'message.html', '--campaign', 'refused', ...merge],
      ['whole message', 'message.html', '--dry-run'],
      ['not a utm parameter', 'letter.html', '--dry-run', '--utm', 'source'],
      ['is not a day or a time', 'letter.html', '--dry-run', '--expires', 'soon'],
      ['a ZIP file', 'letter.docx', '--dry-run'],
      ["charset 'klingon' is not supported", 'letter.html', '--dry-run', '--charset', 'klingon'],
      [
        "cannot give 'Content-Type'",
        ...words('letter.html --campaign refused --to people.csv --render --eml --from a@b.example --subject x --header'),
        'Content-Type: text/html',
      ],
      [
        "--from 'Shop' must have exactly one mail address",
        ...words('letter.html --campaign refused --to people.csv --render --eml --from Shop --subject x'),
      ],
      [
        'not a header',
        ...words('letter.html --campaign refused --to people.csv --render --eml --from a@b.example --subject x'),
        '--header',
        'Reply to me',
        '--out',
        'eml',
      ],
    ];
    for (let i = 0; i < refusals.length; i += 4)
      await Promise.all(refusals.slice(i, i + 4).map(([why, ...args]) => expectRefusal(run(at, ...args), why)));
    expect(await listFiles(at)).toEqual(before);
  });

  test('options that make no sense together: exit code 2, and how it is used', async () => {
    const at = await desk();
    const to = ['--campaign', 'x', '--to', 'people.csv'];
    const wrong: [why: string, ...args: string[]][] = [
      ['--campaign', 'letter.html'],
      ['exclude each other', 'letter.html', ...to, '--merge', 'ses', '--render'],
      ['the format is missing', 'letter.html', ...to],
      ["'--to <people.csv>'", 'letter.html', '--campaign', 'x', '--render'],
      ["'--to <people.csv>'", 'letter.html', '--campaign', 'x', '--only', 'a@b.example'],
      ['exclude each other', 'letter.html', ...to, '--render', '--eml', '--mbox', '--from', 'a', '--subject', 'b'],
      ["only for '--render'", 'letter.html', ...to, '--merge', 'ses', '--eml'],
      ["need '--from <address>'", 'letter.html', ...to, '--render', '--eml', '--subject', 'x'],
      ['Allowed choices', 'letter.html', ...to, '--merge', 'pigeon'],
      ['missing required argument'],
    ];
    for (let i = 0; i < wrong.length; i += 4)
      await Promise.all(
        wrong.slice(i, i + 4).map(async ([why, ...args]) => {
          const { code, stdout, stderr } = await run(at, ...args);
          expect({ args, code, stdout, stderr }).toEqual({ args, code: 2, stdout: '', stderr: expect.stringContaining(why) });
          expect(stderr).toContain('--help');
        }),
      );
    expect(await listFiles(at)).toEqual(['letter.html', 'letter.txt', 'people.csv']);
  });

  test('places that cannot be written to, in one line that does not blame the database', async () => {
    await insertCampaign(databases, 'places');
    const at = await desk({ 'people.csv': 'email\nnonsense\nann@example.com\n', 'letter.html': LETTER.replace('{{name}}', '') });
    const before = await listFiles(at);
    const to = ['letter.html', '--campaign', 'places', '--to', 'people.csv'];
    const mbox = ['--render', '--mbox', '--from', 'a@b.example', '--subject', 'x'];
    const ended = await Promise.all([
      run(at, ...to, '--merge', 'ses', '--out', 'people.csv/x'),
      run(at, ...to, '--merge', 'ses', '--rejects', 'missing/left-out.csv'),
      run(at, ...to, ...mbox, '--out', 'missing/x.mbox'),
      run(at, 'letter.html', '--campaign', 'places', '--to', '.', '--merge', 'ses'),
    ]);
    for (const { code, stdout, stderr } of ended) {
      expect.soft({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^clickledger: [^\n]+\n$/) });
      expect.soft(stderr).not.toContain('database');
    }
    // If the file of --rejects cannot be written, the directory with the letters may already exist. The test ignores this directory.
    expect((await listFiles(at)).filter((name) => !name.startsWith('prepared'))).toEqual(before);
  });
});

describe('a run that ends early', () => {
  /** Starts a run that waits for a lock of the test, interrupts the run with `interrupt`, and returns its result and its directory. */
  async function runInterrupted(campaign: string, args: readonly string[], interrupt: (pid: number) => Promise<void> | void) {
    await insertCampaign(databases, campaign);
    const at = await desk();
    const client = new pg.Client({ connectionString: databases.ownerUrl });
    await client.connect();
    try {
      await client.query('SELECT pg_advisory_lock(4718230)');
      const main = fileURLToPath(new URL('../main.ts', import.meta.url));
      const child = spawn(process.execPath, [main, 'prepare', 'letter.html', '--campaign', campaign, '--to', 'people.csv', ...args], {
        cwd: at,
        env: authorSettings(databases),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
      await eventually('the run waits', async () => (await waiting(client)) > 0);
      await interrupt(child.pid as number);
      const [code, signal] = await closed;
      return { at, code, signal, stdout, stderr };
    } finally {
      await client.end();
    }
  }

  async function waiting(client: pg.Client): Promise<number> {
    const { rowCount } = await client.query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
    return rowCount ?? 0;
  }

  test('by Ctrl-C: nothing that looks finished', async () => {
    const { at, code, stdout } = await runInterrupted('interrupted', ['--merge', 'generic'], (pid) => void process.kill(pid, 'SIGINT'));
    expect({ failed: code !== 0, stdout }).toEqual({ failed: true, stdout: '' });
    const left = await listFiles(at);
    expect(left).not.toContain('prepared/people.csv');
    const next = await run(at, 'letter.html', '--campaign', 'interrupted', '--to', 'people.csv', '--merge', 'generic', '--out', 'next');
    expect(next.code).toBe(0);
  });

  test('because the database goes away: one line, and nothing', async () => {
    const { at, code, stdout, stderr } = await runInterrupted('cut off', ['--render'], async () => {
      await databases.query(
        'catalog',
        `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
    });
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(/^clickledger: [^\n]+\n$/) });
    expect(await listFiles(at)).toEqual(['letter.html', 'letter.txt', 'people.csv']);
  });
});

test('--check lists the links that do not answer, and writes nothing with --dry-run', async () => {
  const shop = await startSite(({ url }, response) => void response.writeHead(url === '/gone' ? 410 : 200).end());
  const at = await desk({
    'letter.html': `<a href="${shop.url}/sale">Sale</a> <a href="${shop.url}/gone">Gone</a> <a href="http://127.0.0.1:1/closed">Closed</a> <a href="${shop.url}/leave">Unsubscribe</a>`,
  });
  const toRead = await run(at, 'letter.html', '--dry-run', '--check', '--track-unsubscribe');
  expect(toRead.code).toBe(0);
  expect(toRead.stderr).toContain(
    `1 of 3 links answer\n  these do not:\n    ${shop.url}/gone: status 410\n    http://127.0.0.1:1/closed: `,
  );
  expect(await expectJson(run(at, 'letter.html', '--dry-run', '--check', '--json'))).toMatchObject({
    checked: [
      { target: `${shop.url}/sale`, result: 'ok', status: 200, error: null },
      { target: `${shop.url}/gone`, result: 'dead', status: 410, error: null },
      { target: 'http://127.0.0.1:1/closed', result: 'dead', status: null, error: expect.any(String) },
    ],
  });
  const asked = shop.asked.filter((request) => !request.endsWith('/robots.txt'));
  expect(asked.toSorted()).toEqual(['GET /gone', 'GET /gone', 'HEAD /gone', 'HEAD /gone', 'HEAD /sale', 'HEAD /sale']);
});
