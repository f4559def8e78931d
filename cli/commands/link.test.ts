import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode } from 'fast-png';
import type JsQr from 'jsqr';
import { parseFragment } from 'parse5';
import { encodeQR } from 'qr';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  authorSettings,
  BASE,
  insertCampaign,
  createDesk,
  expectJson,
  expectRefusal,
  trackedAddresses,
} from '../../test/support/authors.ts';
import { clickledger, type CommandResult } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';

const jsQr = createRequire(import.meta.url)('jsqr') as typeof JsQr.default;

let databases: Databases;
let campaign: number;

beforeAll(async () => {
  databases = await createDatabases(1);
  campaign = await insertCampaign(databases, 'spring');
});

const run = async (...args: string[]): Promise<CommandResult> =>
  clickledger(args, { cwd: await createDesk({}), env: authorSettings(databases) });

async function linkTo(target: string, alias?: string): Promise<number> {
  const [row] = await databases.query<{ id: number }>(
    'catalog',
    `WITH made AS (INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'url', $2) RETURNING id)
     INSERT INTO catalog.link_version (link_id, version, target) SELECT id, 1, $2 FROM made RETURNING link_id::int AS id`,
    [campaign, target],
  );
  if (alias) await databases.query('catalog', 'INSERT INTO catalog.alias (name, link_id) VALUES ($1, $2)', [alias, row?.id]);
  return row?.id as number;
}

async function stateOf(id: number) {
  const [row] = await databases.query<{ version: number; expires_at: Date | null; disabled_at: Date | null }>(
    'catalog',
    'SELECT version, expires_at, disabled_at FROM catalog.link WHERE id = $1',
    [id],
  );
  const versions = await databases.query<{ target: string }>(
    'catalog',
    'SELECT target FROM catalog.link_version WHERE link_id = $1 ORDER BY version',
    [id],
  );
  return { ...row, targets: versions.map(({ target }) => target) };
}

describe('a link that was sent already', () => {
  test('leads elsewhere, as a new version of the same link', async () => {
    const id = await linkTo('https://shop.example/wrong', 'the-page');
    const right = 'https://shop.example/right?a=b&c=ü#d';
    expect(await run('link', 'edit', 'the-page', '--target', right)).toEqual({
      code: 0,
      stdout: '',
      stderr: `link ${id}: leads to ${right} within seconds (version 2)\n`,
    });
    expect(await run('link', 'edit', String(id), '--target', right)).toMatchObject({
      code: 0,
      stderr: `link ${id}: already leads to ${right}\n`,
    });
    expect(await stateOf(id)).toMatchObject({ version: 2, targets: ['https://shop.example/wrong', right] });
    const back = await expectJson(
      run('link', 'edit', String(id), '--target', 'https://shop.example/wrong', '--expires', '2031-05-06T07:08Z', '--json'),
    );
    expect(back).toEqual({ id, version: 3, expires_at: '2031-05-06T07:08:00.000Z' });
    expect(await stateOf(id)).toMatchObject({ version: 3, expires_at: new Date('2031-05-06T07:08Z') });
    // The link is still found by its original target.
    const url = await expectJson(run('url', 'https://shop.example/wrong', '--campaign', 'spring', '--json'));
    expect(url).toMatchObject({ link: id });
  });

  test('expires, and never expires again', async () => {
    const id = await linkTo('https://shop.example/expires');
    const { stderr } = await run('link', 'edit', String(id), '--expires', '30d');
    expect(stderr).toMatch(new RegExp(`^link ${id}: expires at \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d(:\\d\\d)? UTC\n$`));
    const expires = (await stateOf(id)).expires_at?.getTime() ?? 0;
    expect(Math.abs(expires - Date.now() - 30 * 86_400_000)).toBeLessThan(60_000);
    expect(await run('link', 'edit', String(id), '--expires', 'never')).toEqual({
      code: 0,
      stdout: '',
      stderr: `link ${id}: never expires\n`,
    });
    expect((await stateOf(id)).expires_at).toBeNull();
    expect(await expectJson(run('link', 'edit', String(id), '--expires', 'never', '--json'))).toEqual({ id, expires_at: null });
  });

  test('is disabled, and enabled again', async () => {
    const id = await linkTo('https://shop.example/gone', 'gone-link');
    expect(await run('link', 'disable', 'gone-link')).toEqual({ code: 0, stdout: '', stderr: `link ${id}: disabled\n` });
    const since = (await stateOf(id)).disabled_at;
    expect(since).toBeInstanceOf(Date);
    expect(await expectJson(run('link', 'disable', String(id), '--json'))).toEqual({ id, disabled: true });
    expect((await stateOf(id)).disabled_at).toEqual(since);
    expect((await run('link', 'list', '--campaign', 'spring')).stdout).toMatch(/https:\/\/shop\.example\/gone +1 +disabled +gone-link/);
    expect(await run('link', 'disable', String(id), '--undo')).toMatchObject({
      code: 0,
      stderr: `link ${id}: enabled\n`,
    });
    expect(await stateOf(id)).toMatchObject({ disabled_at: null, version: 1 });
  });

  test('gets a readable name, which no other link can have', async () => {
    const id = await linkTo('https://shop.example/named');
    const other = await linkTo('https://shop.example/other');
    expect(await run('link', 'alias', String(id), 'black-friday')).toEqual({ code: 0, stdout: `${BASE}/u/black-friday\n`, stderr: '' });
    expect(await expectJson(run('link', 'alias', 'black-friday', 'black_friday', '--json'))).toEqual({ id, url: `${BASE}/u/black_friday` });
    await Promise.all([
      expectRefusal(run('link', 'alias', String(other), 'black-friday'), "belongs to another link, of campaign 'spring'"),
      expectRefusal(run('link', 'alias', String(id), 'blackfriday'), 'is not an alias'),
    ]);
  });

  test('that is not there, leads nowhere, or is not changed at all', async () => {
    const id = await linkTo('https://shop.example/kept');
    const [pixel] = await databases.query<{ id: number }>(
      'catalog',
      `INSERT INTO catalog.link (campaign_id, kind, original) VALUES ($1, 'pixel', '') RETURNING id`,
      [campaign],
    );
    const before = await stateOf(id);
    const refusals: [why: string, ...args: string[]][] = [
      ["link '99999' does not exist", 'edit', '99999', '--target', 'https://x.example'],
      ["link 'no-such' does not exist", 'disable', 'no-such'],
      ["pixel of 'spring'", 'qr', String(pixel?.id)],
      ["pixel of 'spring'", 'edit', String(pixel?.id), '--expires', 'now'],
      ['begins with http', 'edit', String(id), '--target', 'shop.example'],
      ['is not a day or a time', 'edit', String(id), '--expires', 'whenever'],
      ['from 1 to 100', 'qr', String(id), '--format', 'png', '--scale', '0'],
    ];
    for (let i = 0; i < refusals.length; i += 4)
      await Promise.all(refusals.slice(i, i + 4).map(([why, ...args]) => expectRefusal(run('link', ...args), why)));
    const wrong = await Promise.all([
      run('link', 'edit', String(id)),
      run('link', 'qr', String(id), '--format', 'gif'),
      run('link', 'alias', '1'),
    ]);
    expect(wrong.map(({ code, stdout }) => ({ code, stdout }))).toEqual(Array(3).fill({ code: 2, stdout: '' }));
    expect(await stateOf(id)).toEqual(before);
  });
});

describe('a QR code', () => {
  /** Returns the text of a QR code, as a QR reader decodes it. */
  function read(png: Uint8Array): string | undefined {
    const { width, height, data, channels } = decode(png);
    const pixels = new Uint8ClampedArray(width * height * 4);
    for (let i = 0; i < width * height; i++)
      pixels.set([0, 1, 2].map((c) => Number(data[i * channels + Math.min(c, channels - 1)])).concat(255), i * 4);
    return jsQr(pixels, width, height)?.data;
  }

  /** Runs a command like `run`, and returns the bytes of stdout. */
  async function bytesOf(...args: string[]): Promise<Buffer> {
    const child = spawn(process.execPath, [fileURLToPath(new URL('../main.ts', import.meta.url)), ...args], {
      cwd: await createDesk({}),
      env: authorSettings(databases),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return Buffer.concat(await child.stdout.toArray());
  }

  test('as PNG: a reader finds exactly the shared URL, of an alias or of a number', async () => {
    const id = await linkTo('https://shop.example/poster', 'poster-2026');
    const desk = await createDesk({});
    const [written, url, small] = await Promise.all([
      clickledger(['link', 'qr', 'poster-2026', '--format', 'png', '--out', 'poster.png'], { cwd: desk, env: authorSettings(databases) }),
      run('url', 'https://shop.example/poster', '--campaign', 'spring'),
      bytesOf('link', 'qr', String(id), '--format', 'png', '--scale', '3'),
    ]);
    expect(written).toEqual({ code: 0, stdout: '', stderr: `poster.png leads to ${BASE}/u/poster-2026\n` });
    expect(read(await readFile(join(desk, 'poster.png')))).toBe(`${BASE}/u/poster-2026`);
    expect(read(small)).toBe(url.stdout.trim());
    expect(trackedAddresses(databases, url.stdout)).toEqual([{ kind: 'u', link: id, recipient: 0 }]);
    expect(decode(small).width % 3).toBe(0);
  });

  test('as SVG: well-formed, with a quiet zone, and the modules of that very URL', async () => {
    await linkTo('https://shop.example/vector', 'vector-link');
    const { code, stdout, stderr } = await run('link', 'qr', 'vector-link');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^(?:<\?xml [^>]*\?>)?<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^>]*>[^]*<\/svg>\n$/);
    // Every element is closed, by `/>` or by an end tag with its name.
    const open: string[] = [];
    for (const [, end, name, self] of stdout.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
      if (end) expect(open.pop()).toBe(name);
      else if (!self) open.push(name as string);
    }
    expect(open).toEqual([]);

    const modules = encodeQR(`${BASE}/u/vector-link`, 'raw', { ecc: 'medium', border: 4 });
    const size = modules.length;
    const svg = parseFragment(stdout.replace(/^<\?xml [^>]*\?>/, '')).childNodes[0];
    const attribute = (name: string) => (svg && 'attrs' in svg ? svg.attrs.find((one) => one.name === name)?.value : undefined);
    expect(attribute('viewBox')).toBe(`0 0 ${size} ${size}`);
    expect(drawn(stdout, size)).toEqual(modules.map((row) => row.map(Boolean)));
    expect(modules.slice(0, 4).flat().some(Boolean)).toBe(false);
  });

  /** Returns the modules (the small squares of the QR code) that the rectangles of the SVG path cover. */
  function drawn(svg: string, size: number): boolean[][] {
    const grid = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
    const path = /<path [^>]*\bd="([^"]+)"/.exec(svg)?.[1];
    if (path === undefined) throw new Error(`no path in ${svg.slice(0, 300)}`);
    let [x, y, startX, startY] = [0, 0, 0, 0];
    let corners: [number, number][] = [];
    const close = () => {
      if (corners.length === 0) return;
      const [xs, ys] = [corners.map(([a]) => a), corners.map(([, b]) => b)];
      for (let row = Math.min(...ys); row < Math.max(...ys); row++)
        for (let column = Math.min(...xs); column < Math.max(...xs); column++) (grid[row] as boolean[])[column] = true;
      corners = [];
    };
    for (const [, command = '', numbers = ''] of path.matchAll(/([a-zA-Z])([^a-zA-Z]*)/g)) {
      const [a = 0, b = 0] = (numbers.match(/-?\d+/g) ?? []).map(Number);
      if (command === 'M') [x, y] = [a, b];
      else if (command === 'm') [x, y] = [x + a, y + b];
      else if (command === 'h') x += a;
      else if (command === 'H') x = a;
      else if (command === 'v') y += a;
      else if (command === 'V') y = a;
      else if (/z/i.test(command)) {
        close();
        [x, y] = [startX, startY];
        continue;
      } else throw new Error(`the path has a ${command}`);
      if (/m/i.test(command)) {
        close();
        [startX, startY] = [x, y];
      }
      corners.push([x, y]);
    }
    close();
    return grid;
  }

  test('is not made with a key that is not listed', async () => {
    const id = await linkTo('https://shop.example/unlisted');
    const unlisted = { ...authorSettings(databases), SLUG_KEYS: '99'.repeat(32) };
    await expectRefusal(clickledger(['link', 'qr', String(id)], { cwd: await createDesk({}), env: unlisted }), 'clickledger migrate');
  });

  test('that cannot be written where it shall be is an error of one line', async () => {
    await linkTo('https://shop.example/unwritten', 'not-written');
    await expectRefusal(run('link', 'qr', 'not-written', '--out', 'missing/qr.svg'), 'missing/qr.svg');
  });
});

describe('the life of a campaign', () => {
  const timesOf = async (name: string) =>
    (
      await databases.query<{ sent_at: Date | null; closed_at: Date | null }>(
        'catalog',
        'SELECT sent_at, closed_at FROM catalog.campaign WHERE name = $1',
        [name],
      )
    )[0];

  test('sent, closed and taken up again', async () => {
    const id = await insertCampaign(databases, 'life');
    expect(await run('campaign', 'sent', 'life', '--at', '2026-12-01T09:30+01:00')).toEqual({
      code: 0,
      stdout: '',
      stderr: "'life': sent at 2026-12-01 08:30 UTC\n",
    });
    expect((await timesOf('life'))?.sent_at).toEqual(new Date('2026-12-01T08:30Z'));
    const now = await expectJson<{ sent_at: string }>(run('campaign', 'sent', String(id), '--json'));
    expect(now).toEqual({ id, name: 'life', sent_at: expect.any(String) });
    expect(Math.abs(Date.parse(now.sent_at) - Date.now())).toBeLessThan(60_000);

    expect(await run('campaign', 'close', 'life')).toEqual({ code: 0, stdout: '', stderr: "'life': closed\n" });
    const closed = (await timesOf('life'))?.closed_at;
    expect(await expectJson(run('campaign', 'close', 'life', '--json'))).toEqual({ id, name: 'life', closed: true });
    expect((await timesOf('life'))?.closed_at).toEqual(closed);
    await Promise.all([
      expectRefusal(run('url', 'https://shop.example', '--campaign', 'life'), 'campaign reopen "life"'),
      expectRefusal(run('pixel', '--campaign', 'life'), 'campaign reopen "life"'),
    ]);
    expect(await expectJson(run('campaign', 'reopen', 'life', '--json'))).toEqual({ id, name: 'life', closed: false });
    expect((await run('url', 'https://shop.example', '--campaign', 'life')).code).toBe(0);
    await Promise.all([
      expectRefusal(run('campaign', 'sent', 'life', '--at', '2026-02-30'), 'is not a day or a time'),
      expectRefusal(run('campaign', 'close', 'nope'), "campaign 'nope' does not exist"),
    ]);
  });

  test('settings, changed one by one', async () => {
    const settingsOf = async (name: string) =>
      (
        await databases.query<{ fallback_url: string | null; pass_query: boolean }>(
          'catalog',
          'SELECT fallback_url, pass_query FROM catalog.campaign WHERE name = $1',
          [name],
        )
      )[0];
    const [fallback, other] = ['https://shop.example/', 'https://shop.example/other'];
    const { id } = await expectJson<{ id: number }>(run('campaign', 'create', 'set', '--fallback', fallback, '--pass-query', '--json'));
    expect(await settingsOf('set')).toEqual({ fallback_url: fallback, pass_query: true });
    await run('campaign', 'create', 'set');
    expect(await settingsOf('set')).toEqual({ fallback_url: fallback, pass_query: true });
    expect(await run('campaign', 'edit', 'set', '--no-pass-query')).toEqual({
      code: 0,
      stdout: '',
      stderr: "'set': queries are not passed on\n",
    });
    expect(await settingsOf('set')).toEqual({ fallback_url: fallback, pass_query: false });
    await run('campaign', 'create', 'set', '--pass-query');
    expect(await settingsOf('set')).toEqual({ fallback_url: fallback, pass_query: true });
    expect(await expectJson(run('campaign', 'edit', 'set', '--fallback', other, '--pass-query', '--json'))).toEqual({
      id,
      name: 'set',
      fallback: other,
      pass_query: true,
    });
    expect(await expectJson(run('campaign', 'edit', String(id), '--fallback', 'none', '--json'))).toEqual({
      id,
      name: 'set',
      fallback: null,
    });
    expect(await settingsOf('set')).toEqual({ fallback_url: null, pass_query: true });
    expect(await expectJson<{ name: string }[]>(run('campaign', 'list', '--json'))).toContainEqual(
      expect.objectContaining({ name: 'set', pass_query: true }),
    );
    expect((await run('campaign', 'create', 'plain')).code).toBe(0);
    expect(await settingsOf('plain')).toEqual({ fallback_url: null, pass_query: false });
    await Promise.all([
      expectRefusal(run('campaign', 'edit', 'set', '--fallback', 'shop.example'), 'a target begins with http'),
      expectRefusal(run('campaign', 'edit', 'nope', '--pass-query'), "campaign 'nope' does not exist"),
    ]);
    const nothing = await run('campaign', 'edit', 'set');
    expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining('nothing to change')]);
    expect(await settingsOf('set')).toEqual({ fallback_url: null, pass_query: true });
  });

  test('the URL of a link that ends', async () => {
    const expiring = (...more: string[]) =>
      expectJson<{ link: number; url: string }>(run('url', 'https://shop.example/ends', '--campaign', 'spring', '--json', ...more));
    const { link, url } = await expiring('--expires', '2031-12-31T00:00Z');
    expect((await stateOf(link)).expires_at).toEqual(new Date('2031-12-31T00:00Z'));
    // Without --expires, the link keeps its expiry.
    expect(await expiring()).toMatchObject({ link, url });
    expect((await stateOf(link)).expires_at).toEqual(new Date('2031-12-31T00:00Z'));
    expect((await run('link', 'list', '--campaign', 'spring')).stdout).toMatch(/ends +1 +expires 2031-12-31 00:00/);
    await expiring('--expires', '2032-12-31T00:00Z');
    expect((await stateOf(link)).expires_at).toEqual(new Date('2032-12-31T00:00Z'));
  });
});
