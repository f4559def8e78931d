import { request } from 'node:http';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createSlugCodec } from '../../core/slug.ts';
import { readAuditLog, revokeKey } from '../../operating/api-keys.ts';
import { expectProblem, linesOf, ndjson, startTestApi, type TestApi } from '../../test/support/api.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { eventually } from '../../test/support/servers.ts';

// Requests with many lines.

let databases: Databases;
let api: TestApi;
let port: number;

beforeAll(async () => {
  databases = await createDatabases(1);
  api = await startTestApi(databases);
  port = Number(new URL(await api.app.listen({ port: 0, host: '127.0.0.1' })).port);
});
afterAll(() => api?.app.close());
afterEach(() => expect(api.onError).not.toHaveBeenCalled());

/** Begins a request whose body is written by the test. */
function begin(path: string, key = api.author) {
  const sent = request({
    port,
    host: '127.0.0.1',
    path: `/api/v1${path}`,
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson' },
  });
  onTestFinished(() => void sent.destroy());
  // A test may end the connection.
  sent.on('error', () => {});
  return sent;
}

const peopleOf = async (prefix: string): Promise<number> =>
  (
    await databases.query<{ n: number }>('catalog', 'SELECT count(*)::int AS n FROM catalog.recipient WHERE starts_with(external_id, $1)', [
      prefix,
    ])
  )[0]?.n ?? 0;

describe('recipients', () => {
  test('each line has a result in its place, and a bad line does not stop its neighbours', async () => {
    const body = [
      { email: 'ann@example.com', external_id: '1' },
      '',
      { email: 'not an address' },
      'no JSON',
      { email: 'bob@example.com', name: 'Bob' },
      {},
      { external_id: '2' },
      JSON.stringify({ external_id: 'x'.repeat(70_000) }),
      { email: 'ann@example.com', external_id: '2' },
      { email: 'carl@example.com' },
    ];
    const { status, lines } = await api.call('POST', '/recipients', body);
    expect(status).toBe(200);
    const numbers = lines.map(({ recipient }) => recipient);
    expect(lines).toEqual([
      { line: 1, recipient: numbers[0] },
      { line: 3, rejected: 'bad-address' },
      { line: 4, problem: { code: 'bad-input', detail: expect.stringContaining('not JSON') } },
      {
        line: 5,
        problem: { code: 'bad-input', detail: expect.any(String), errors: [{ pointer: '/name', message: 'this field is unknown' }] },
      },
      { line: 6, rejected: 'no-address' },
      { line: 7, recipient: numbers[5] },
      { line: 8, problem: { code: 'too-large', detail: expect.any(String) } },
      { line: 9, rejected: 'conflict' },
      { line: 10, recipient: numbers[8] },
    ]);
    expect((await api.call('POST', '/recipients', body)).lines).toEqual(lines);
    expect(await readAuditLog(api.owner, 1)).toMatchObject([
      { action: 'recipient.create', status: 200, details: { lines: 9, mistakes: 3 } },
    ]);
  });

  test('bytes that are no UTF-8, CRLF, and a last line without its end', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"external_id":"u-1"}\r\n{"external_id":"'),
      Buffer.from([0xff]),
      Buffer.from('"}\n{"external_id":"ü"}'),
    ]);
    const { lines } = await api.call('POST', '/recipients', bytes.toString('latin1'), {
      headers: { 'content-type': 'application/x-ndjson' },
    });
    expect(lines.map((line) => Object.keys(line))).toHaveLength(3);
    const sent = begin('/recipients');
    sent.end(bytes);
    const [response] = await once(sent, 'response');
    let text = '';
    for await (const chunk of response) text += chunk;
    expect(linesOf(text)).toMatchObject([
      { line: 1, recipient: expect.any(Number) },
      { line: 2, problem: { code: 'bad-input' } },
      { line: 3, recipient: expect.any(Number) },
    ]);
  });

  test('an empty body has an empty answer', async () => {
    expect(await api.call('POST', '/recipients', [])).toMatchObject({ status: 200, lines: [] });
  });

  test('when the client goes, the import stops', async () => {
    const sent = begin('/recipients');
    sent.write(ndjson(Array.from({ length: 2000 }, (_, i) => ({ external_id: `gone-${i}` }))));
    await eventually('the first lines are in the catalog', async () => (await peopleOf('gone-')) === 2000);
    sent.write(ndjson(Array.from({ length: 1000 }, (_, i) => ({ external_id: `gone-${2000 + i}` }))));
    sent.destroy();
    await eventually('the log has the end', async () => (await readAuditLog(api.owner, 1))[0]?.status === 499);
    expect(await peopleOf('gone-')).toBe(2000);
  });

  test('when the key is revoked, the import stops with a problem', async () => {
    const { key, id } = await api.newKey('author');
    const sent = begin('/recipients', key);
    const responded = once(sent, 'response');
    sent.write(ndjson(Array.from({ length: 2000 }, (_, i) => ({ external_id: `revoked-${i}` }))));
    await eventually('the first lines are in the catalog', async () => (await peopleOf('revoked-')) === 2000);
    await revokeKey(api.owner, id);
    sent.end(ndjson([{ external_id: 'revoked-late' }]));
    const [response] = await responded;
    let text = '';
    for await (const chunk of response) text += chunk;
    const lines = linesOf(text);
    expect(lines).toHaveLength(2001);
    expect(lines.at(-1)).toMatchObject({ problem: { status: 401, code: 'not-authenticated' } });
    expect(await peopleOf('revoked-')).toBe(2000);
  });

  test('a client that reads the answer only at the end gets answers of almost 7 MB', async () => {
    const { id } = (await api.call('POST', '/campaigns', { name: 'read late' })).json;
    const sent = begin(`/campaigns/${id}/urls`);
    const responded = once(sent, 'response');
    const count = 75_000;
    for (let n = 0; n < count; n += 1000) {
      const lines = Array.from({ length: 1000 }, (_, i) => ({ target: 'https://shop.example/', to: { external_id: `late-${n + i}` } }));
      if (!sent.write(ndjson(lines))) await once(sent, 'drain');
    }
    sent.end();
    await eventually('all people are in the catalog', async () => (await peopleOf('late-')) === count);
    const [response] = await responded;
    let text = '';
    for await (const chunk of response) text += chunk;
    expect(text.length).toBeGreaterThan(6_500_000);
    expect(linesOf(text)).toHaveLength(count);
  });
});

describe('urls', () => {
  test('each line gets the URL of its link and person, the same every time', async () => {
    const campaign = (await api.call('POST', '/campaigns', { name: 'urls' })).json.id;
    const path = `/campaigns/${campaign}/urls`;
    const body = [
      { target: 'https://shop.example/a', to: { email: 'u@example.com' } },
      { target: 'https://shop.example/a', label: 'top' },
      { kind: 'pixel', to: { external_id: 'u-2' } },
      { kind: 'unsubscribe', to: { external_id: 'u-2' } },
      { target: 'javascript:alert(1)' },
      { target: 'https://shop.example/a', to: { email: 'wrong' } },
      { kind: 'unsubscribe' },
      { kind: 'pixel' },
    ];
    const { lines } = await api.call('POST', path, body);
    const slugs = createSlugCodec(databases.keys);
    for (const { url, link, recipient } of lines.filter((line) => line.url !== undefined)) {
      const slug = /\/[uro]\/([0-9A-Za-z]+)(?:\.gif)?$/.exec(url as string)?.[1] as string;
      expect(slugs.verify(slug)).toMatchObject({ ok: true, ids: { link, recipient: recipient ?? 0 } });
    }
    expect(lines.map((line) => line.url?.replace(/[0-9A-Za-z]+(\.gif)?$/, '') ?? line.rejected ?? line.problem.code)).toEqual([
      'https://t.example.org/u/',
      'https://t.example.org/u/',
      'https://t.example.org/r/',
      'https://t.example.org/o/',
      'bad-input',
      'bad-address',
      'bad-input',
      'https://t.example.org/r/',
    ]);
    expect(lines[2].recipient).toBe(lines[3].recipient);
    expect(lines[4].problem.errors).toEqual([{ pointer: '/target', message: expect.stringContaining('http://') }]);
    expect((await api.call('POST', path, body)).lines).toEqual(lines);
    expect(JSON.stringify(await readAuditLog(api.owner, 1))).not.toContain('example.com');
    await api.call('PATCH', `/recipients/${lines[0].recipient}`, { opted_out: true });
    const out = await api.call('POST', path, [body[0] as object, { kind: 'pixel', to: { email: 'u@example.com' } }]);
    expect(out.lines).toEqual([
      { line: 1, url: 'https://shop.example/a', link: null, recipient: lines[0].recipient },
      { line: 2, rejected: 'opted-out' },
    ]);
  });

  test('a campaign that is missing or closed is a problem of the whole request', async () => {
    const line = { target: 'https://shop.example/a' };
    expectProblem(await api.call('POST', '/campaigns/999999/urls', [line]), 404, 'not-found');
    const { id } = (await api.call('POST', '/campaigns', { name: 'closed urls' })).json;
    await api.call('PATCH', `/campaigns/${id}`, { closed: true });
    expectProblem(await api.call('POST', `/campaigns/${id}/urls`, [line]), 409, 'conflict');
  });
});
