import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool } from '../../core/postgres.ts';
import { freePort } from '../../stack/ports.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { makeCertificates } from '../support/certificates.ts';
import { outputOf } from '../support/commands.ts';
import { eventually } from '../support/servers.ts';

// Tests the whole system with two tracking hosts: a campaign with each, and one report over both.

const A = 'a.example';
const B = 'b.example';
const TARGET = 'https://www.example.com/sale';
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

let directory: string;
let system: System;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-hosts-'));
  const TLS_DIR = join(directory, 'live');
  for (const host of [A, B]) {
    const { certificate, key } = await makeCertificates(directory, host, `DNS:${host}`);
    await mkdir(join(TLS_DIR, host), { recursive: true });
    await cp(certificate, join(TLS_DIR, host, 'fullchain.pem'));
    await cp(key, join(TLS_DIR, host, 'privkey.pem'));
  }
  const port = await freePort();
  const extra = { BASE_URL: `https://${A}:${port}`, BASE_URLS: `https://${B}:${port}`, TLS_DIR, LOG_LEVEL: 'warn' };
  system = await startSystem({ dataDir: join(directory, 'data'), port, backends: 1, durable: false, extra });
}, 120_000);

afterAll(async () => {
  await system?.stop();
  await rm(directory, { recursive: true, force: true });
});

async function run(...args: string[]): Promise<string> {
  return (await outputOf(args, { env: { CLICKLEDGER_DATA: join(directory, 'data') }, cwd: directory })).trim();
}

/** Opens a URL as a client does that resolves its host to loopback. `host` is another host name for the same URL. */
async function open(url: string, host = new URL(url).hostname): Promise<{ status?: number; location?: string; certificate: unknown }> {
  const { port, pathname } = new URL(url);
  const ca = await readFile(join(directory, `${host}-ca.pem`));
  const headers = { Host: `${host}:${port}`, 'User-Agent': BROWSER };
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: pathname, headers, servername: host, ca, agent: false }, (response) => {
      response.resume();
      const { statusCode, headers: received } = response;
      resolve({
        ...(statusCode === undefined ? {} : { status: statusCode }),
        ...(received.location === undefined ? {} : { location: received.location }),
        certificate: (response.socket as TLSSocket).getPeerCertificate().subject.CN,
      });
    });
    sent.on('error', reject).end();
  });
}

interface Row {
  kind: string;
  hits: number;
  recipients: number;
}

async function report(campaign: string): Promise<Row[]> {
  const rows = JSON.parse(await run('report', 'campaign-summary', '--campaign', campaign, '--json')) as Row[];
  return rows.map(({ kind, hits, recipients }) => ({ kind, hits, recipients }));
}

test('a letter with URLs of the second host is counted in its campaign, at whichever host it is opened', async () => {
  const [baseA, baseB] = [system.env['BASE_URL'] as string, system.env['BASE_URLS'] as string];
  await run('campaign', 'create', 'At B', '--base-url', baseB);
  await run('campaign', 'create', 'At A');
  await writeFile(join(directory, 'letter.html'), `<p><a href="${TARGET}">Sale</a></p>`);
  await writeFile(join(directory, 'people.csv'), 'email\nann@example.com\nbob@example.com\n');
  const prepare = ['prepare', 'letter.html', '--to', 'people.csv', '--render', '--campaign'];
  await run(...prepare, 'At B', '--out', 'letters');
  const letters = await Promise.all(['0000001', '0000002'].map((name) => readFile(join(directory, 'letters', `${name}.html`), 'utf8')));
  const [ann = [], bob = []] = letters.map((letter) => Array.from(letter.matchAll(/https:\/\/[^"]+/g), ([url]) => url));
  for (const urls of [ann, bob]) {
    expect(urls).toHaveLength(2);
    expect(urls.every((url) => url.startsWith(`${baseB}/`))).toBe(true);
  }
  expect(await open(ann[0] as string)).toEqual({ status: 302, location: TARGET, certificate: B });
  expect(await open(ann[1] as string)).toMatchObject({ status: 200, certificate: B });
  // The host is not part of a slug, so Bob's URL works at the other host, too.
  expect(await open(bob[0] as string, A)).toEqual({ status: 302, location: TARGET, certificate: A });
  const url = await run('url', TARGET, '--campaign', 'At A', '--to', 'ann@example.com');
  expect(url.startsWith(`${baseA}/u/`)).toBe(true);
  expect(await open(url)).toMatchObject({ status: 302, certificate: A });
  await run('campaign', 'edit', 'At B', '--no-base-url');
  const later = await run('url', TARGET, '--campaign', 'At B', '--to', 'bob@example.com');
  expect(later).toBe((bob[0] as string).replace(baseB, baseA));
  expect(await open(later)).toMatchObject({ status: 302, certificate: A });
  expect(await open(bob[0] as string)).toMatchObject({ status: 302, certificate: B });

  await eventually('all hits are in the reports', async () => (await report('At B')).reduce((sum, { hits }) => sum + hits, 0) === 5);
  expect((await report('At B')).toSorted((a, b) => a.kind.localeCompare(b.kind))).toEqual([
    { kind: 'click', hits: 4, recipients: 2 },
    // A recipient who clicked has opened.
    { kind: 'open', hits: 1, recipients: 2 },
  ]);
  await eventually('the hit of the other campaign is counted', async () => (await report('At A')).some(({ hits }) => hits === 1));
  const lines = (await readFile(join(system.logDirs[0] as string, 'access.log'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as { h: string }).h)).toEqual([B, B, A, A, A, B]);
  const analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  const { rows } = await analyst.query('SELECT count(*)::int AS hits, count(DISTINCT visitor)::int AS visitors FROM analytics.events');
  await analyst.end();
  expect(rows).toEqual([{ hits: 6, visitors: 1 }]);
}, 60_000);
