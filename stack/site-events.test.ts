import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { parseLine } from '../log-agent/parse.ts';
import { buildScript, SCRIPT_PATH } from '../site/build.ts';
import { startEdge } from '../test/support/edge.ts';

// Tests how nginx answers visits and goals, and which of them it logs.

const SITE = '00abcdefghijklmnopq';

describe('/e/', () => {
  test('answers visits and goals by GET and POST, to every site, and logs the query', async () => {
    const { url, logged } = await startEdge();
    const multipart = new FormData();
    multipart.set('a', 'b');
    for (const method of ['GET', 'POST']) {
      const answer = await fetch(`${url}/e/${SITE}?n=buy&v=9.50&k=eur&x.plan=%C3%BC%22`, { method });
      expect([answer.status, await answer.text()]).toEqual([204, '']);
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      expect(answer.headers.get('cache-control')).toBe('no-store');
    }
    for (const body of [new URLSearchParams('a=unsubscribe12'), new URLSearchParams('List=Unsubscribe=One-Click12'), multipart])
      expect((await fetch(`${url}/e/${SITE}?n=buy`, { method: 'POST', body })).status).toBe(204);
    const beacon = await fetch(`${url}/e/${SITE}?n=visit`, { method: 'POST', body: 'x', headers: { Origin: 'https://shop.example' } });
    expect(beacon.status).toBe(204);
    const preflight = await fetch(`${url}/e/${SITE}?n=buy`, { method: 'OPTIONS', headers: { Origin: 'https://shop.example' } });
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([204, '*']);
    const lines = await logged();
    expect(lines).toHaveLength(6);
    expect(lines.map((line) => parseLine(line))).toMatchObject([
      { hit: { kind: 'goal', site: { name: 'buy', value: '9.50', currency: 'EUR', properties: { plan: 'ü"' }, dropped: 0 } } },
      ...Array.from({ length: 4 }, () => ({ hit: { kind: 'goal' } })),
      { hit: { kind: 'visit' } },
    ]);
  });

  test('logs nothing for a reader who asks not to be tracked, nor for what cannot be an event', async () => {
    const { url, logged } = await startEdge();
    for (const [path, init, status] of [
      ['', { headers: { 'Sec-GPC': '1' } }, 204],
      ['', { headers: { DNT: '1' } }, 204],
      ['', { method: 'HEAD' }, 405],
      ['', { method: 'PUT' }, 405],
      [`&x.a=${'a'.repeat(5000)}`, {}, 414],
    ] as const)
      expect((await fetch(`${url}/e/${SITE}?n=visit${path}`, init)).status).toBe(status);
    for (const site of ['', 'ab', 'black-friday', 'a'.repeat(41)]) expect((await fetch(`${url}/e/${site}?n=visit`)).status).toBe(404);
    expect(await logged()).toEqual([]);
  });

  test('has a limit for each client, apart from that of clicks', async () => {
    const { url, logged } = await startEdge({ RATE_LIMIT: '1', RATE_BURST: '1' });
    const statuses = await Promise.all(Array.from({ length: 6 }, async () => (await fetch(`${url}/e/${SITE}?n=visit`)).status));
    expect(new Set(statuses)).toEqual(new Set([204, 429]));
    expect(await logged()).toHaveLength(statuses.filter((status) => status === 204).length);
    // The click is not limited: there is no backend, so it fails.
    expect((await fetch(`${url}/u/${SITE}`)).status).toBe(502);
  });
});

describe('/t.js', () => {
  test('is the script, compressed and cached', async () => {
    const { url } = await startEdge();
    const answer = await fetch(`${url}/t.js`, { headers: { 'Accept-Encoding': 'gzip' } });
    expect(await answer.text()).toBe(await readFile(SCRIPT_PATH, 'utf8'));
    expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(answer.headers.get('content-encoding')).toBe('gzip');
    expect(answer.headers.get('cache-control')).toBe('max-age=86400');
  });

  test('is what `npm run script` builds, and at most 1 KB compressed', async () => {
    const script = await readFile(SCRIPT_PATH, 'utf8');
    expect(script).toBe(await buildScript());
    expect(gzipSync(script).length).toBeLessThanOrEqual(1024);
  });
});
