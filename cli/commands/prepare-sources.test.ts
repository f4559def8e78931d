import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  authorSettings,
  BASE,
  createDesk,
  expectJson,
  expectRefusal,
  insertCampaign,
  listFiles,
  readCsv,
} from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

// Tests letters in Markdown and MJML, and text parts that are made from the HTML.

const MARKDOWN = `# Dear {{name}}

Our [spring *sale*](https://shop.example/sale?a=1&b=2) has begun. Your code: [{{code}}](https://shop.example/?c={{code}})

<a data-no-track href="https://shop.example/plain">plain</a> – [No more]({{unsubscribe}})
`;
const MJML = `<mjml><mj-body><mj-section><mj-column>
<mj-text>Dear {{name}}, <a href="https://shop.example/sale?a=1&amp;b=2">sale</a></mj-text>
<mj-button href="https://shop.example/buy">Buy</mj-button>
<mj-text><a href="{{unsubscribe}}">No more</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
`;
const HTML = `<html><body><p>Dear {{name}}, <a href="https://shop.example/sale">sale</a>
<a data-no-track href="https://shop.example/plain">plain</a></p></body></html>
`;
const PEOPLE = `email,name,code
ann@example.com,Ann,A&1
out@example.com,Out,O2
`;
const MESSAGE = ['--render', '--eml', '--from', 'Shop <news@shop.example>', '--subject', 'x'];

let databases: Databases;

beforeAll(async () => {
  databases = await createDatabases(1);
  await databases.query('catalog', `INSERT INTO catalog.recipient (email, opted_out_at) VALUES ('out@example.com', now())`);
});

async function setUp(campaign: string) {
  await insertCampaign(databases, campaign);
  const at = await createDesk({ 'letter.md': MARKDOWN, 'letter.mjml': MJML, 'letter.html': HTML, 'people.csv': PEOPLE });
  const run = (...args: string[]): Promise<CommandResult> =>
    clickledger(['prepare', ...args, '--campaign', campaign, '--to', 'people.csv', '--out', 'made'], {
      cwd: at,
      env: authorSettings(databases),
    });
  const mail = async (number: number) => PostalMime.parse(await readFile(join(at, 'made', `000000${number}.eml`)));
  return { at, run, mail };
}

const click = expect.stringMatching(new RegExp(`^${BASE}/u/\\w+$`));
const leave = expect.stringMatching(new RegExp(`^${BASE}/o/\\w+$`));
const hrefs = (html: string | undefined): string[] =>
  Array.from((html ?? '').matchAll(/<a\s[^>]*href="([^"]*)"/g), ([, address]) => address as string);
/** The addresses in a text, in brackets or not. */
const addressesIn = (text: string | undefined): string[] => (text ?? '').match(/https:\/\/[^\s()]+/g) ?? [];

describe('a letter in Markdown', () => {
  test('becomes messages with both parts, and only the links that the author wants are tracked in both', async () => {
    const { run, mail } = await setUp('markdown');
    const { links } = await expectJson<{ links: { part: string; target: string }[] }>(run('letter.md', ...MESSAGE, '--json'));
    expect(links.map(({ part, target }) => [part, target])).toEqual([
      ['html', 'https://shop.example/sale?a=1&b=2'],
      ['text', 'https://shop.example/sale?a=1&b=2'],
    ]);
    const ann = await mail(1);
    expect(hrefs(ann.html)).toEqual([click, 'https://shop.example/?c=A%261', 'https://shop.example/plain', leave]);
    expect(ann.html).toContain('<h1>Dear Ann</h1>');
    expect(ann.html).toContain('>A&amp;1</a>');
    expect(addressesIn(ann.text)).toEqual([click, 'https://shop.example/?c=A%261', 'https://shop.example/plain', leave]);
    expect(ann.text).toMatch(/^Dear Ann\n\nOur spring sale \(https:.*\) has begun\. Your code: A&1 \(/);
    expect(addressesIn(ann.text)[0]).not.toBe(hrefs(ann.html)[0]);
    const out = await mail(2);
    expect(hrefs(out.html).slice(0, 1)).toEqual(['https://shop.example/sale?a=1&amp;b=2']);
    expect(addressesIn(out.text)).toEqual([
      'https://shop.example/sale?a=1&b=2',
      'https://shop.example/?c=O2',
      'https://shop.example/plain',
      leave,
    ]);
    expect(out.html).not.toContain('/r/');
  });

  test('becomes a merged letter and separate files with the endings of their formats', async () => {
    const { at, run } = await setUp('merged markdown');
    await run('letter.md', '--merge', 'generic');
    expect(await listFiles(join(at, 'made'))).toEqual(['letter.html', 'letter.txt', 'people.csv']);
    const html = await readFile(join(at, 'made', 'letter.html'), 'utf8');
    expect(hrefs(html)).toEqual(['{{CL_1}}', 'https://shop.example/?c={{code}}', 'https://shop.example/plain', '{{CL_UNSUB}}']);
    expect(await readFile(join(at, 'made', 'letter.txt'), 'utf8')).toContain('sale ({{CL_T1}}) has begun');
    expect(Object.keys(readCsv(await readFile(join(at, 'made', 'people.csv')))[0] ?? {})).toEqual([
      'email',
      'name',
      'code',
      'CL_1',
      'CL_T1',
      'CL_PIXEL',
      'CL_UNSUB',
    ]);
  });

  test('keeps its own text part, if there is one, and an encoding that is named', async () => {
    const { at, run } = await setUp('own text');
    const other = await createDesk({
      'letter.md': Buffer.from('Gr\xfc\xdfe an {{name}}', 'latin1'),
      'own.txt': Buffer.from('Gr\xfc\xdfe', 'latin1'),
    });
    const { code } = await run(join(other, 'letter.md'), '--text', join(other, 'own.txt'), '--charset', 'latin1', ...MESSAGE);
    expect(code).toBe(0);
    const mail = await PostalMime.parse(await readFile(join(at, 'made', '0000001.eml')));
    expect([mail.html?.includes('<p>Grüße an Ann</p>'), mail.text?.trim()]).toEqual([true, 'Grüße']);
  });
});

test('a letter in MJML becomes messages with both parts', async () => {
  const { run, mail } = await setUp('mjml');
  expect((await run('letter.mjml', ...MESSAGE)).code).toBe(0);
  const ann = await mail(1);
  expect(hrefs(ann.html)).toEqual([click, click, leave]);
  expect(ann.text?.trim()).toMatch(
    /^Dear Ann, sale \(https:\/\/t\.example\.org\/u\/\w+\)\s+Buy \(https:\/\/t.*\)\s+No more \(https:\/\/t\.example\.org\/o\/\w+\)$/,
  );
});

test('mistakes in MJML are shown with their lines, and nothing is written', async () => {
  const { at, run } = await setUp('mistakes');
  const other = await createDesk({ 'letter.mjml': MJML.replace('<mj-button', '<mj-button colour="red"') });
  const { code, stderr } = await run(join(other, 'letter.mjml'), '--render');
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/not valid MJML\.\n {2}line 3: mj-button: Attribute colour is illegal\n/),
  });
  expect(await listFiles(at)).not.toContain('made');
});

describe('--make-text', () => {
  test('makes the text part of an HTML letter, which has none without it', async () => {
    const { at, run } = await setUp('make text');
    expect((await run('letter.html', ...MESSAGE, '--make-text')).code).toBe(0);
    const mail = await PostalMime.parse(await readFile(join(at, 'made', '0000001.eml')));
    expect(mail.text?.trim()).toMatch(/^Dear Ann, sale \(https:\/\/t\.example\.org\/u\/\w+\) plain \(https:\/\/shop\.example\/plain\)$/);
    const without = await setUp('no text');
    expect((await without.run('letter.html', ...MESSAGE)).code).toBe(0);
    expect((await without.mail(1)).text).toBeUndefined();
  });

  test('is not for a letter that has a text', async () => {
    const { run } = await setUp('two texts');
    const { code, stderr } = await run('letter.html', '--text', 'letter.md', '--make-text', '--render');
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("'--text' and '--make-text' exclude each other") });
    await expectRefusal(run('letter.html', '--text', 'letter.md', '--render'), 'letter.md is Markdown');
  });
});
