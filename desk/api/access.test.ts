import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readAuditLog } from '../../operating/api-keys.ts';
import { expectProblem, startTestApi, type TestApi } from '../../test/support/api.ts';
import { clickledger, createDataDirectory } from '../../test/support/commands.ts';
import { createDatabases, type Databases } from '../../test/support/databases.ts';
import { eventually } from '../../test/support/servers.ts';
import { ROUTES } from './routes.ts';

// Who may do what with the API, its limits, and its errors.

let databases: Databases;
let api: TestApi;

beforeAll(async () => {
  databases = await createDatabases(1);
  api = await startTestApi(databases);
});
afterAll(() => api?.app.close());
afterEach(() => expect(api.onError).not.toHaveBeenCalled());

/** A path of a route with values for its parameters. */
const pathOf = (path: string): string => path.replaceAll(/\{(\w+)\}/g, (_, name) => (name === 'name' ? 'campaign-summary' : '1'));
const bodyOf = (method: string): object | undefined => (method === 'GET' || method === 'DELETE' ? undefined : {});

async function withClock(): Promise<{ limited: TestApi; advance: (ms: number) => void }> {
  let now = 0;
  const limited = await startTestApi(databases, { now: () => now });
  onTestFinished(() => limited.app.close());
  return { limited, advance: (ms) => (now += ms) };
}

describe('keys', () => {
  test('every route needs a key, and a key of its own role', async () => {
    expect(ROUTES.length).toBeGreaterThanOrEqual(20);
    for (const { method, path, role } of ROUTES) {
      const without = await api.call(method, pathOf(path), bodyOf(method), { key: null });
      expectProblem(without, 401, 'not-authenticated');
      expect(without.headers['www-authenticate']).toContain('Bearer');
      const other = role === 'author' ? api.analyst : api.author;
      expectProblem(await api.call(method, pathOf(path), bodyOf(method), { key: other }), 403, 'not-allowed');
    }
    expect((await readAuditLog(api.owner, 100)).filter(({ key }) => key !== null)).toEqual([]);
  });

  test('an invented, damaged or revoked key is refused, and revoking has effect from the next request', async () => {
    const { key, name, id } = await api.newKey('author');
    expect((await api.call('GET', '/campaigns', undefined, { key })).status).toBe(200);
    const damaged = key.slice(0, -2) + (key.endsWith('AA') ? 'BB' : 'AA');
    for (const wrong of [damaged, `ck_${'0'.repeat(12)}_${'a'.repeat(43)}`, 'ck_', 'secret', `${key}x`])
      expectProblem(await api.call('GET', '/campaigns', undefined, { key: wrong }), 401, 'not-authenticated');
    const data = await createDataDirectory(databases);
    const { stderr, code } = await clickledger(['key', 'revoke', name, '--data', data]);
    expect({ stderr, code }).toEqual({ stderr: `key '${name}' is revoked\n`, code: 0 });
    expectProblem(await api.call('GET', '/campaigns', undefined, { key }), 401, 'not-authenticated');
    expect(await readAuditLog(api.owner, 1)).toMatchObject([{ action: 'key.revoke', object: `key ${id}`, key: null }]);
  });

  test('the command prints a key once, and lists keys with their last use', async () => {
    const data = await createDataDirectory(databases);
    const run = async (...args: string[]) => clickledger([...args, '--data', data]);
    const created = await run('key', 'create', 'the shop', '--role', 'author', '--rate', '7');
    const key = created.stdout.trim();
    expect(key).toMatch(/^ck_[0-9a-f]{12}_[\w-]{43}$/);
    expect((await run('key', 'create', 'the shop', '--role', 'author')).stderr).toContain("there is already a key 'the shop'");
    const listed = async () =>
      (JSON.parse((await run('key', 'list', '--json')).stdout) as { name: string; last_used_at: string | null; rate: number }[]).find(
        ({ name }) => name === 'the shop',
      );
    expect(await listed()).toMatchObject({ role: 'author', rate: 7, last_used_at: null, revoked_at: null });
    await api.call('POST', '/campaigns', { name: 'by the shop' }, { key });
    expect((await listed())?.last_used_at).toEqual(expect.any(String));
    const log = await run('key', 'log', '--limit', '2');
    expect(log.stdout).toMatch(/the shop +campaign\.create .* 201 /);
    const everything = JSON.stringify([await run('key', 'list'), log, await databases.query('catalog', 'SELECT * FROM catalog.api_key')]);
    expect(everything).not.toContain(key.slice(16));
    expect((await run('key', 'revoke', 'nobody')).stderr).toContain("there is no key 'nobody'");
    await run('key', 'revoke', 'the shop');
    expect((await run('key', 'create', 'the shop', '--role', 'analyst')).code).toBe(0);
  });

  test('the time of the last use is written once a minute', async () => {
    const { key, id } = await api.newKey('author');
    const set = (ago: string) =>
      databases.query('catalog', `UPDATE catalog.api_key SET last_used_at = now() - $2::interval WHERE id = $1`, [id, ago]);
    const age = async () =>
      (
        await databases.query<{ s: number }>(
          'catalog',
          'SELECT extract(epoch FROM now() - last_used_at)::float8 AS s FROM catalog.api_key WHERE id = $1',
          [id],
        )
      )[0]?.s;
    await set('30 seconds');
    await api.call('GET', '/campaigns', undefined, { key });
    expect(await age()).toBeGreaterThanOrEqual(30);
    await set('61 seconds');
    await api.call('GET', '/campaigns', undefined, { key });
    expect(await age()).toBeLessThan(60);
  });
});

describe('limits', () => {
  test('a key has a rate and a burst of two seconds, and the answer says when to come again', async () => {
    const { limited, advance } = await withClock();
    const { key } = await limited.newKey('author', 3);
    const ask = () => limited.call('GET', '/campaigns', undefined, { key });
    for (let i = 0; i < 6; i++) expect((await ask()).status).toBe(200);
    const refused = await ask();
    expectProblem(refused, 429, 'too-many-requests');
    expect(refused.headers['retry-after']).toBe('1');
    advance(334);
    expect((await ask()).status).toBe(200);
    expectProblem(await ask(), 429, 'too-many-requests');
    expect((await limited.call('GET', '/campaigns')).status).toBe(200);
  });

  test('an address that fails too often is refused for a minute, but a client with a good key is not', async () => {
    const { limited, advance } = await withClock();
    expect((await limited.call('GET', '/campaigns')).status).toBe(200);
    const invented = (n: number) => `ck_${String(n).padStart(12, '0')}_${'a'.repeat(43)}`;
    for (let i = 0; i < 20; i++)
      expectProblem(await limited.call('GET', '/campaigns', undefined, { key: invented(i) }), 401, 'not-authenticated');
    const refused = await limited.call('GET', '/campaigns', undefined, { key: invented(20) });
    expectProblem(refused, 429, 'too-many-requests');
    expect(refused.headers['retry-after']).toBe('60');
    expect((await limited.call('GET', '/campaigns')).status).toBe(200);
    const fresh = await limited.newKey('author');
    expectProblem(await limited.call('GET', '/campaigns', undefined, { key: fresh.key }), 429, 'too-many-requests');
    advance(60_001);
    expect((await limited.call('GET', '/campaigns', undefined, { key: fresh.key })).status).toBe(200);
  });

  test('clients behind a proxy on this machine are counted by their own addresses, IPv6 by its /64', async () => {
    const { limited } = await withClock();
    const fail = async (address: string, peer = '127.0.0.1') =>
      (
        await limited.app.inject({
          url: '/api/v1/campaigns',
          remoteAddress: peer,
          headers: { authorization: `Bearer ck_${'0'.repeat(12)}_${'a'.repeat(43)}`, 'x-forwarded-for': address },
        })
      ).statusCode;
    for (let i = 0; i < 20; i++) expect(await fail(`2001:db8:0:1::${i.toString(16)}`)).toBe(401);
    expect(await fail('2001:db8:0:1:ffff::1')).toBe(429);
    expect(await fail('2001:db8:0:2::1')).toBe(401);
    expect(await fail('2001:db8::1')).toBe(401);
    expect(await fail('192.0.2.1')).toBe(401);
    // The header of any other client is ignored.
    for (let i = 0; i < 20; i++) expect(await fail(`198.51.100.${i}`, '203.0.113.7')).toBe(401);
    expect(await fail('198.51.100.99', '203.0.113.7')).toBe(429);
  });

  test('a key has few imports at the same time, and each that ends makes room', async () => {
    const { key, name } = await api.newKey('author');
    const url = new URL(await api.app.listen({ port: 0, host: '127.0.0.1' }));
    const open = () => {
      const socket = connect(Number(url.port), '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.write(
        `POST /api/v1/recipients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      return socket;
    };
    const sockets = [open(), open(), open(), open()];
    const one = () => api.call('POST', '/recipients', ['{"external_id":"one"}'], { key });
    await eventually('all imports have begun', async () => {
      const open = (await readAuditLog(api.owner, 20)).filter((row) => row.key === name && row.status === null);
      return open.length === sockets.length;
    });
    expectProblem(await one(), 429, 'too-many-requests');
    // Requests that are short still have room.
    expect((await api.call('GET', '/campaigns', undefined, { key })).status).toBe(200);
    sockets[0]?.destroy();
    await eventually('there is room', async () => (await one()).status === 200);
    await eventually('the log says that a client has gone', async () =>
      (await readAuditLog(api.owner, 20)).some((row) => row.key === name && row.status === 499),
    );
  });
});

test('without a row in the log, nothing is changed', async () => {
  await databases.query('catalog', 'REVOKE EXECUTE ON FUNCTION catalog.begin_write FROM clickledger_author');
  try {
    expectProblem(await api.call('POST', '/campaigns', { name: 'unlogged' }), 503, 'bad-settings');
  } finally {
    await databases.query('catalog', 'GRANT EXECUTE ON FUNCTION catalog.begin_write TO clickledger_author');
  }
  expect((await api.call('GET', '/campaigns?name=unlogged')).json.campaigns).toEqual([]);
});

describe('errors', () => {
  test.each([
    ['malformed JSON', '{"name":', 'application/json', 400, 'bad-input'],
    ['an empty body', '', 'application/json', 400, 'bad-input'],
    ['a list', '[]', 'application/json; charset=utf-8', 400, 'bad-input'],
    ['a prototype', '{"__proto__":{"name":"x"}}', 'application/json', 400, 'bad-input'],
    ['deep nesting', `{"name":${'['.repeat(30_000)}${']'.repeat(30_000)}}`, 'application/json', 400, 'bad-input'],
    ['a long body', JSON.stringify({ name: 'x'.repeat(70_000) }), 'application/json', 413, 'too-large'],
    ['another type', 'name=x', 'application/x-www-form-urlencoded', 415, 'wrong-media-type'],
    ['lines where one value is expected', '{"name":"x"}\n', 'application/x-ndjson', 415, 'wrong-media-type'],
  ] as const)('%s', async (_name, body, type, status, code) => {
    expectProblem(await api.call('POST', '/campaigns', body, { headers: { 'content-type': type } }), status, code);
  });

  test('JSON where lines are expected', async () => {
    expectProblem(await api.call('POST', '/campaigns/1/urls', {}), 415, 'wrong-media-type');
  });

  test('no body, and an unknown resource', async () => {
    expectProblem(await api.call('POST', '/campaigns'), 400, 'bad-input');
    expectProblem(await api.call('GET', '/nothing'), 404, 'not-found');
    expectProblem(await api.call('GET', '/campaigns/%zz'), 400, 'bad-input');
    expectProblem(await api.call('GET', `/reports/${'x'.repeat(300)}`), 400, 'bad-input');
  });

  test('a method that a resource does not have is refused with those that it has', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const refused = await api.call(method, '/campaigns');
      expectProblem(refused, 405, 'wrong-method');
      expect(refused.headers['allow']).toBe('GET, POST');
    }
    expect((await api.call('GET', '/campaigns')).headers['access-control-allow-origin']).toBeUndefined();
  });

  test('a catalog that is away is 503 for keys and for work, and says when to try again', async () => {
    const away = databases.roleUrls.author.replace(/:\d+\//, ':1/');
    const cut = await startTestApi(databases, { changes: { AUTHOR_URL: away } });
    onTestFinished(() => cut.app.close());
    const refused = await cut.call('GET', '/campaigns');
    expectProblem(refused, 503, 'unavailable');
    expect(refused.headers['retry-after']).toBe('5');
    expect(refused.body).not.toContain('author:author');
  });

  test('a shard that is away is 503 where it is needed', async () => {
    const { recipient } = (await api.call('POST', '/recipients', { external_id: 'waiting' })).json;
    const shards = databases.shardsText.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1');
    const cut = await startTestApi(databases, { changes: { SHARDS: shards } });
    onTestFinished(() => cut.app.close());
    expectProblem(await cut.call('PATCH', `/recipients/${recipient}`, { test: true }), 503, 'unavailable');
    expect(await readAuditLog(api.owner, 1)).toMatchObject([{ action: 'recipient.change', status: 503 }]);
  });

  test('the pages need their host name, and the API needs its key', async () => {
    const headers = { host: 'attacker.example' };
    expect((await api.app.inject({ url: '/', headers })).statusCode).toBe(421);
    expectProblem(await api.call('GET', '/campaigns', undefined, { key: null, headers }), 401, 'not-authenticated');
    expect((await api.call('GET', '/campaigns', undefined, { headers })).status).toBe(200);
    expect((await api.app.inject({ method: 'POST', url: '/' })).statusCode).toBe(405);
  });
});
