import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import PostalMime from 'postal-mime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decode, encode } from '../../authoring/letter/encoding.ts';
import { scanHtml } from '../../authoring/letter/html-links.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { startBrowser } from '../support/browser.ts';
import { clickledger } from '../support/commands.ts';
import { rawRequest } from '../support/raw-http.ts';

// Prepares letters in the charsets that mail uses, in each output format, and clicks each link. A link must lead to the address that
// Chromium reads in the original letter.

const WORDS: Readonly<Record<string, string>> = {
  'windows-1250': 'žluťoučký',
  'windows-1251': 'скидка',
  'windows-1252': 'süßes',
  'iso-8859-1': 'süßes',
  'iso-8859-2': 'zażółć',
  'iso-8859-15': 'œufs€',
  'koi8-r': 'скидка',
  gbk: '打折优惠',
  gb2312: '打折优惠',
  gb18030: '打折优惠',
  big5: '折扣優惠',
  'euc-kr': '할인행사',
  'euc-jp': '割引表示',
  shift_jis: 'ソフト表示能',
  'iso-2022-jp': '割引表示',
  'utf-8': 'süß-скидка-割引',
};
/**
 * The charsets that are tested in all output formats. The other charsets are tested only with rendered letters. With PRESSURE=full, all
 * charsets are tested in all formats.
 */
const IN_ALL_FORMATS: ReadonlySet<string> = new Set(
  process.env['PRESSURE'] === 'full' ? Object.keys(WORDS) : ['windows-1251', 'gb18030', 'iso-2022-jp'],
);
const ENCODING_OF: Readonly<Record<string, string>> = { 'iso-8859-1': 'windows-1252', gb2312: 'gbk' };

const CAMPAIGN = 'charsets';

let system: System;
let directory: string;
let pages: Server;
let browser: Browser | string;
/** The content that the page server returns. */
let page: Buffer = Buffer.alloc(0);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-charsets-'));
  // All clicks come from one address.
  system = await startSystem({
    dataDir: join(directory, 'data'),
    durable: false,
    extra: { LOG_LEVEL: 'warn', RATE_LIMIT: '1000', RATE_BURST: '1000' },
  });
  await run('campaign', 'create', CAMPAIGN);
  // The header contains no charset, so the browser has to find the charset in the letter.
  pages = createServer((_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end(page));
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  browser = await startBrowser();
}, 120_000);

afterAll(async () => {
  if (typeof browser === 'object') await browser.close();
  pages?.close();
  await system?.stop();
  await rm(directory, { recursive: true, force: true });
});

const run = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await clickledger([...args, '--data', join(directory, 'data')], { cwd: directory });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
};

/** Returns the addresses of all links, as Chromium would request them. */
async function addressesInBrowser(letter: Buffer): Promise<string[]> {
  page = letter;
  const tab = await (browser as Browser).newPage();
  try {
    await tab.goto(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/`);
    return await tab.$$eval('a', (links) => links.map((link) => link.href));
  } finally {
    await tab.close();
  }
}

/** Requests tracked links, and returns their destinations in the form in which a browser would request these. */
async function follow(addresses: readonly string[]): Promise<string[]> {
  return Promise.all(
    addresses.map(async (address) => {
      const response = await rawRequest(system.ports.edges[0] as number, 'GET', new URL(address).pathname);
      expect(response.status).toBe(302);
      return new URL(Buffer.from(response.headers.get('location') ?? '', 'latin1').toString('utf8')).href;
    }),
  );
}

const linksIn = (html: string): string[] => scanHtml(html).links.map(({ address }) => address);

describe('a letter whose links are clicked', () => {
  test.each(Object.entries(WORDS))('in %s', async (charset, word) => {
    const encoding = ENCODING_OF[charset] ?? charset;
    const text = `<!doctype html><html><head><meta http-equiv="Content-Type" content="text/html; charset=${charset}"></head><body>
<p>${word} {{name}}: <a href="https://shop.example/${word}">${word}</a>
<a href="https://shop.example/x?q=${word}&amp;page=1#${word}">${word}</a> <a href='https://shop.example/${word}?${word}=1'>x</a></p></body></html>`;
    const letter = encode(text, encoding);
    const expected =
      typeof browser === 'string' ? scanHtml(text).links.map(({ address }) => new URL(address).href) : await addressesInBrowser(letter);
    expect(expected).toHaveLength(3);
    await Promise.all([
      writeFile(join(directory, `${charset}.html`), letter),
      writeFile(join(directory, `${charset}.csv`), `email,name\nann@example.com,${word}\n`),
    ]);
    const prepare = (...options: string[]) =>
      run(
        'prepare',
        `${charset}.html`,
        '--campaign',
        CAMPAIGN,
        '--to',
        `${charset}.csv`,
        '--out',
        `${charset}-${options[0]}`,
        ...options.map((each) => `--${each}`),
      );
    await prepare('render');
    const rendered = await readFile(join(directory, `${charset}-render`, '0000001.html'));
    const renderedText = decode(rendered, encoding).text;
    expect(await follow(linksIn(renderedText))).toEqual(expected);
    // When the changes are undone, the result must be the original letter.
    let undone = renderedText.replace(/<img [^>]*>/, '').replace(`${word} ${word}:`, `${word} {{name}}:`);
    for (const [i, link] of linksIn(renderedText).entries())
      undone = undone.replace(link, text.match(/(?<=href=["']).*?(?=["'])/g)?.[i] ?? '');
    expect(encode(undone, encoding)).toEqual(letter);

    if (!IN_ALL_FORMATS.has(charset)) return;
    await prepare('merge=generic');
    await run(
      'prepare',
      `${charset}.html`,
      '--campaign',
      CAMPAIGN,
      '--to',
      `${charset}.csv`,
      '--out',
      `${charset}-eml`,
      '--render',
      '--eml',
      '--from',
      'news@shop.example',
      '--subject',
      word,
    );

    const [header = '', row = ''] = (await readFile(join(directory, `${charset}-merge=generic`, `${charset}.csv`), 'utf8')).split(/\r?\n/);
    const values = row.split(',');
    const columns = header.split(',');
    expect(await follow(columns.flatMap((name, i) => (/^CL_\d/.test(name) ? [values[i] as string] : [])))).toEqual(expected);

    const mail = await PostalMime.parse(await readFile(join(directory, `${charset}-eml`, '0000001.eml')));
    expect(mail.subject).toBe(word);
    expect(mail.html).toContain(`<p>${word} ${word}:`);
    expect(await follow(linksIn(mail.html ?? ''))).toEqual(expected);
  });

  test('was compared with Chromium', ({ skip }) => {
    if (typeof browser === 'string') skip(browser);
    expect(typeof browser).toBe('object');
  });
});
