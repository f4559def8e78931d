import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { decode } from 'fast-png';
import type JsQr from 'jsqr';
import nodemailer from 'nodemailer';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { trackMail } from '../../authoring/nodemailer.ts';
import { createTracker, type Tracker } from '../../authoring/tracker.ts';
import { createSlugCodec } from '../../core/slug.ts';
import { authorSettings, BASE, createDesk, expectJson, expectRefusal, listFiles } from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

// Tests the base URL of a campaign: the commands that set and show it, and every way to make a URL.

const jsQr = createRequire(import.meta.url)('jsqr') as typeof JsQr.default;

const OTHER = 'https://click.brand.example';
const TARGET = 'https://shop.example/sale';
const LETTER = `<html><body><p><a href="${TARGET}">Sale</a> <a href="{{unsubscribe}}">Unsubscribe</a></p></body></html>`;
const PEOPLE = 'email\nann@example.com\n';
/** A URL at a host. The first group is the kind of the URL, the second is its slug or alias. */
const ADDRESS = /https:\/\/[^/"]+\/([uro])\/([0-9A-Za-z_-]+)/g;

let databases: Databases;
let tracker: Tracker;

const settings = (changes: Record<string, string> = {}) => ({ ...authorSettings(databases), BASE_URLS: `${OTHER}/`, ...changes });

beforeAll(async () => {
  databases = await createDatabases(1);
  tracker = await createTracker({ data: '/nowhere', settings: settings() });
});

afterAll(() => tracker.close());

async function runIn(desk: string, args: readonly string[], changes: Record<string, string> = {}): Promise<CommandResult> {
  return clickledger(args, { cwd: desk, env: settings(changes) });
}
const run = async (...args: string[]): Promise<CommandResult> => runIn(await createDesk({}), args);

async function output(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
  return stdout.trim();
}

async function newCampaign(name: string, ...options: string[]): Promise<string> {
  await output('campaign', 'create', name, ...options);
  return name;
}

const baseUrlOf = async (name: string): Promise<unknown> =>
  (JSON.parse(await output('campaign', 'list', '--json')) as { name: string; base_url: unknown }[]).find((one) => one.name === name)
    ?.base_url;

/** The URLs of a text, without their hosts, in order. Throws if a slug has no valid signature. */
function kindsAt(text: string, base: string): string[] {
  const slugs = createSlugCodec(databases.keys);
  return Array.from(text.matchAll(ADDRESS), ([address, kind, slug]) => {
    expect(address).toMatch(new RegExp(`^${base}/`));
    expect(slugs.verify(slug as string).ok).toBe(true);
    return kind as string;
  });
}

describe('the base URL of a campaign', () => {
  test('is set, shown, changed and removed', async () => {
    const name = await newCampaign('set', '--base-url', 'HTTPS://click.brand.example/');
    expect(await baseUrlOf(name)).toBe(OTHER);
    expect(await output('campaign', 'list')).toMatch(new RegExp(`set .*${OTHER}$`, 'm'));
    await output('campaign', 'create', name);
    await output('campaign', 'edit', name, '--pass-query');
    expect(await baseUrlOf(name)).toBe(OTHER);
    const { stderr } = await run('campaign', 'edit', name, '--base-url', BASE);
    expect(stderr).toBe(`'set': new URLs begin with ${BASE}\n`);
    expect(await baseUrlOf(name)).toBe(BASE);
    expect(JSON.parse(await output('campaign', 'edit', name, '--no-base-url', '--json'))).toMatchObject({ name, base_url: null });
    expect(await baseUrlOf(name)).toBeNull();
    expect(await baseUrlOf(await newCampaign('without'))).toBeNull();
  });

  test('must be one of the settings', async () => {
    const known = `'https://nowhere.example' is not one of the base URLs: ${BASE}, ${OTHER}`;
    await expectRefusal(run('campaign', 'create', 'refused', '--base-url', 'https://nowhere.example'), known);
    expect(await baseUrlOf('refused')).toBeUndefined();
    const name = await newCampaign('kept', '--base-url', OTHER);
    await expectRefusal(run('campaign', 'edit', name, '--base-url', 'https://nowhere.example', '--pass-query'), known);
    expect(await baseUrlOf(name)).toBe(OTHER);
    await expect(tracker.campaign('refused', { baseUrl: 'https://nowhere.example' })).rejects.toMatchObject({ code: 'bad-input' });
    // The catalog itself refuses what is no base URL.
    for (const text of ['nowhere', 'ftp://x.example', 'https://x.example/', 'https://', 'https://x.example/\r\nx'])
      await expect(databases.query('catalog', 'UPDATE catalog.campaign SET base_url = $1', [text]), text).rejects.toMatchObject({
        code: '23514',
      });
  });

  test('that the settings do not have any more stops everything that makes URLs, and nothing else', async () => {
    const name = await newCampaign('removed', '--base-url', OTHER);
    const link = JSON.parse(await output('url', TARGET, '--campaign', name, '--json')) as { link: number };
    const desk = await createDesk({ 'letter.html': LETTER, 'people.csv': PEOPLE });
    const removed = { BASE_URLS: 'https://third.example' };
    const prepare = ['prepare', 'letter.html', '--campaign', name, '--to', 'people.csv', '--render', '--out', 'made'];
    for (const args of [
      ['url', TARGET, '--campaign', name],
      ['url', 'https://shop.example/new', '--campaign', name],
      ['pixel', '--campaign', name],
      ['link', 'alias', String(link.link), 'old-host'],
      ['link', 'qr', String(link.link)],
      prepare,
    ])
      await expectRefusal(runIn(desk, args, removed), `'removed' has the base URL ${OTHER}, which is not in the settings`);
    const links = await expectJson<{ kind: string; aliases: string[] }[]>(
      runIn(desk, ['link', 'list', '--campaign', name, '--json'], removed),
    );
    expect(links).toMatchObject([{ kind: 'url', aliases: [] }]);
    expect(await listFiles(desk)).toEqual(['letter.html', 'people.csv']);
    expect((await runIn(desk, ['campaign', 'edit', name, '--no-base-url'], removed)).code).toBe(0);
    expect((await runIn(desk, ['url', TARGET, '--campaign', name], removed)).stdout).toMatch(new RegExp(`^${BASE}/u/`));
  });
});

describe('URLs of a campaign begin with its base URL', () => {
  test('in `url`, `pixel`, `link alias` and `link qr`; a change changes the host and not the slug', async () => {
    const name = await newCampaign('urls', '--base-url', OTHER);
    const args = ['url', TARGET, '--campaign', name, '--to', 'ann@example.com'];
    const { url, link } = JSON.parse(await output(...args, '--json')) as { url: string; link: number };
    expect(kindsAt(url, OTHER)).toEqual(['u']);
    expect(kindsAt(await output('pixel', '--campaign', name), OTHER)).toEqual(['r']);
    expect(await output('url', TARGET, '--campaign', name, '--alias', 'brand-sale')).toBe(`${OTHER}/u/brand-sale`);
    expect(await output('link', 'alias', String(link), 'brand-spring')).toBe(`${OTHER}/u/brand-spring`);
    const desk = await createDesk({});
    for (const [id, address] of [
      ['brand-sale', `${OTHER}/u/brand-sale`],
      [String(link), await output('url', TARGET, '--campaign', name)],
    ] as const) {
      expect((await runIn(desk, ['link', 'qr', id, '--format', 'png', '--out', 'qr.png'])).code).toBe(0);
      const { data, width, height } = decode(await readFile(join(desk, 'qr.png')));
      const rgba = Uint8ClampedArray.from(Array.from(data).flatMap((grey) => [grey, grey, grey, 255]));
      expect(jsQr(rgba, width, height)?.data).toBe(address);
    }
    await output('campaign', 'edit', name, '--no-base-url');
    expect(await output(...args)).toBe(url.replace(OTHER, BASE));
  });

  test.each(['--render', '--merge'])('in letters of `prepare %s`', async (format) => {
    const name = await newCampaign(`letters ${format}`, '--base-url', OTHER);
    const desk = await createDesk({ 'letter.html': LETTER, 'people.csv': PEOPLE });
    const options = format === '--render' ? ['--render', '--eml', '--from', 'news@shop.example', '--subject', 'x'] : ['--merge', 'generic'];
    const prepared = await runIn(desk, ['prepare', 'letter.html', '--campaign', name, '--to', 'people.csv', ...options, '--out', 'made']);
    expect([prepared.code, prepared.stderr]).toEqual([0, expect.any(String)]);
    const texts = await Promise.all((await listFiles(join(desk, 'made'))).map((file) => readFile(join(desk, 'made', file), 'utf8')));
    // Quoted-printable breaks long lines.
    const kinds = kindsAt(texts.join('\n').replaceAll('=\r\n', ''), OTHER);
    expect(kinds.toSorted()).toEqual(format === '--render' ? ['o', 'o', 'r', 'u'] : ['o', 'r', 'u']);
  });

  test('in letters of the library and of the plugin for Nodemailer', async () => {
    const campaign = await tracker.campaign('library', { baseUrl: `${OTHER}/` });
    expect(kindsAt(await tracker.url(TARGET, { campaign, to: 'ann@example.com' }), OTHER)).toEqual(['u']);
    expect(await tracker.url(TARGET, { campaign, alias: 'library-sale' })).toBe(`${OTHER}/u/library-sale`);
    expect(kindsAt(await tracker.pixel({ campaign }), OTHER)).toEqual(['r']);
    const letter = await tracker.prepare({ campaign, html: LETTER });
    const { html = '', unsubscribe = '' } = await letter.for({ email: 'ann@example.com' });
    expect(kindsAt(html, OTHER)).toEqual(['u', 'o', 'r']);
    expect(kindsAt(unsubscribe, OTHER)).toEqual(['o']);
    const transport = nodemailer.createTransport({ streamTransport: true, buffer: true });
    onTestFinished(() => transport.close());
    transport.use('compile', trackMail(tracker, { campaign }));
    const { message } = await transport.sendMail({ from: 'news@shop.example', to: 'ann@example.com', subject: 'x', html: LETTER });
    expect(kindsAt((message as Buffer).toString().replaceAll('=\n', '').replaceAll('=\r\n', ''), OTHER).toSorted()).toEqual([
      'o',
      'o',
      'r',
      'u',
    ]);
    await tracker.campaign('library', { baseUrl: null });
    expect(kindsAt(await tracker.url(TARGET, { campaign }), BASE)).toEqual(['u']);
  });
});

test('a letter whose URLs begin with another base URL is already tracked, whichever campaign it is for', async () => {
  const made = await newCampaign('made at one host', '--base-url', OTHER);
  const desk = await createDesk({ 'letter.html': LETTER.replace(/ <a href="{{.*?<\/a>/, ''), 'people.csv': PEOPLE });
  const prepare = (letter: string, name: string, out: string) =>
    runIn(desk, ['prepare', letter, '--campaign', name, '--to', 'people.csv', '--render', '--out', out, '--json']);
  expect((await prepare('letter.html', made, 'first')).code).toBe(0);
  const again = join('first', (await listFiles(join(desk, 'first'))).find((file) => file.endsWith('.html')) as string);
  for (const name of [made, await newCampaign('made at the default host')])
    expect(JSON.parse((await prepare(again, name, 'second')).stdout)).toEqual({ already_prepared: true });
  const shown = await runIn(desk, ['prepare', again, '--dry-run', '--json']);
  expect(JSON.parse(shown.stdout)).toMatchObject({ links: [{ what: 'already-tracked' }], pixel: false });
});
