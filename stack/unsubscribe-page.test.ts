import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseLine } from '../log-agent/parse.ts';
import { startEdge } from '../test/support/edge.ts';
import { temporaryDirectory } from '../test/support/servers.ts';

// Tests how nginx answers requests to unsubscribe, and which of them it logs.

const SLUG = '00abcdefghijklmnopq';
const FORM = 'application/x-www-form-urlencoded';
const LANGUAGES = (await readFile(join(import.meta.dirname, '..', 'nginx', 'unsubscribe', 'languages.tsv'), 'utf8'))
  .trimEnd()
  .split('\n')
  .map((line) => line.split('\t'));

describe('the page', () => {
  test('is in the first language that the reader accepts, with one button', async () => {
    const { url, logged } = await startEdge();
    expect(LANGUAGES.length).toBeGreaterThanOrEqual(12);
    for (const [language = '', direction = '', title = '', text = '', button = ''] of LANGUAGES) {
      for (const accepted of [language, `${language}-XY,en;q=0.5`, `xx, yy;q=0.9, ${language};q=0.8, en`]) {
        const answer = await fetch(`${url}/o/${SLUG}`, { headers: { 'Accept-Language': accepted } });
        const html = await answer.text();
        expect(html).toContain(`<html lang="${language}" dir="${direction}">`);
        for (const words of [title, text, button]) expect(html).toContain(`>${words}<`);
        expect(html.match(/<button/g)).toHaveLength(1);
      }
    }
    for (const accepted of ['', 'xx', 'deu', 'xde, xx', '*', ';;,,-', 'x'.repeat(4000)])
      expect(await (await fetch(`${url}/o/${SLUG}`, { headers: { 'Accept-Language': accepted } })).text()).toContain('<html lang="en"');
    expect(await logged()).toEqual([]);
  });

  test('may not be stored, framed or indexed, and loads nothing', async () => {
    const { url } = await startEdge();
    const { status, headers } = await fetch(`${url}/o/${SLUG}`);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-robots-tag')).toBe('noindex');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect((await fetch(`${url}/clickledger-pages/done.en.html`)).status).toBe(404);
  });

  test('may be your own', async () => {
    const page = join(await temporaryDirectory(), 'own page.html');
    await writeFile(page, '<p>Shop: ${TITLE} & $100 \\1 ${FORM}</p>');
    const { url } = await startEdge({ UNSUBSCRIBE_PAGE: page });
    const asked = await (await fetch(`${url}/o/${SLUG}`, { headers: { 'Accept-Language': 'de' } })).text();
    expect(asked).toMatch(/^<p>Shop: Abmelden & \$100 \\1 <form method="post"><button .*<\/form><\/p>\n$/);
    const done = await fetch(`${url}/o/${SLUG}`, {
      method: 'POST',
      headers: { 'Content-Type': FORM, 'Accept-Language': 'de' },
      body: 'List-Unsubscribe=One-Click',
    });
    expect(await done.text()).toBe('<p>Shop: Sie sind abgemeldet & $100 \\1 </p>\n');
  });
});

interface Request {
  method: string;
  path?: string;
  type?: string;
  body?: string | FormData;
}

function send(url: string, { method, path = '', type, body }: Request): Promise<Response> {
  return fetch(`${url}/o/${SLUG}${path}`, {
    method,
    body: body ?? null,
    headers: type === undefined ? {} : { 'Content-Type': type },
  });
}

describe('a request', () => {
  const multipart = new FormData();
  multipart.set('List-Unsubscribe', 'One-Click');

  test.each<[string, Request]>([
    ['the button of the page', { method: 'POST', type: FORM, body: 'unsubscribe=yes' }],
    ['a query that a proxy adds', { method: 'POST', path: '?a=1&b=%20', type: FORM, body: 'unsubscribe=yes' }],
    ['the same for a mail service', { method: 'POST', path: '?a=1', type: FORM, body: 'List-Unsubscribe=One-Click' }],
    ['the example of RFC 8058', { method: 'POST', type: FORM, body: 'List-Unsubscribe=One-Click' }],
    ['the same with a charset', { method: 'POST', type: `${FORM}; charset=UTF-8`, body: 'List-Unsubscribe=One-Click' }],
    ['the same with a line feed', { method: 'POST', type: FORM, body: 'List-Unsubscribe=One-Click\r\n' }],
    ['the other example of RFC 8058', { method: 'POST', body: multipart }],
    ['characters after the address', { method: 'POST', path: '.', type: FORM, body: 'List-Unsubscribe=One-Click' }],
  ])('unsubscribes: %s', async (_, request) => {
    const { url, logged } = await startEdge();
    const answer = await send(url, request);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('You are unsubscribed');
    const lines = await logged();
    expect(lines).toHaveLength(1);
    expect(parseLine(lines[0] as string)).toMatchObject({ hit: { kind: 'unsubscribe', slug: SLUG, tag: '00' } });
  });

  test('unsubscribes also if a proxy sends its body in chunks', async () => {
    const { url, logged } = await startEdge();
    for (const text of ['unsubscribe=yes', 'List-Unsubscribe=One-Click']) {
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(text));
          controller.close();
        },
      });
      const answer = await fetch(`${url}/o/${SLUG}`, { method: 'POST', headers: { 'Content-Type': FORM }, body, duplex: 'half' });
      expect(await answer.text()).toContain('You are unsubscribed');
    }
    expect(await logged()).toHaveLength(2);
  });

  test.each<[string, Request]>([
    ['a GET', { method: 'GET' }],
    ['a GET of the form', { method: 'GET', path: '?unsubscribe=yes' }],
    ['a HEAD', { method: 'HEAD' }],
    ['an empty POST', { method: 'POST' }],
    ['an empty form', { method: 'POST', type: FORM, body: '' }],
    ['the form of the page without its button', { method: 'POST', path: '?a=1', type: FORM, body: '' }],
    ['the form of the page with other fields', { method: 'POST', type: FORM, body: 'email=ann%40shop.example&submit=1' }],
    ['JSON', { method: 'POST', type: 'application/json', body: '{"List-Unsubscribe":"One"}' }],
    ['plain text', { method: 'POST', type: 'text/plain', body: 'List-Unsubscribe=One-Click' }],
  ])('unsubscribes nobody: %s', async (_, request) => {
    const { url, logged } = await startEdge();
    const answer = await send(url, request);
    expect(answer.status).toBe(200);
    if (request.method !== 'HEAD') expect(await answer.text()).toContain('<form');
    expect(await logged()).toEqual([]);
  });

  test('that cannot be one is refused, and not logged', async () => {
    const { url, logged } = await startEdge();
    const headers = { 'Content-Type': FORM };
    expect((await fetch(`${url}/o/${SLUG}`, { method: 'PUT', headers, body: 'List-Unsubscribe=One-Click' })).status).toBe(405);
    expect((await fetch(`${url}/o/${SLUG}`, { method: 'POST', headers, body: 'x'.repeat(5000) })).status).toBe(413);
    for (const path of ['/o/', '/o/ab', '/o/ab!cdefgh', '/o/%20abcdef', `/o/${'a'.repeat(41)}`])
      for (const request of [{}, { method: 'POST', headers, body: 'List-Unsubscribe=One-Click' }])
        expect((await fetch(url + path, request)).status).toBe(404);
    expect(await logged()).toEqual([]);
  });
});
