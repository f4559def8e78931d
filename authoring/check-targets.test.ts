import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { startSite } from '../test/support/web-site.ts';
import { checkTargets } from './check-targets.ts';

const reply = (response: ServerResponse, status: number, headers: Record<string, string> = {}, body = ''): void =>
  void response.writeHead(status, headers).end(body);

test('each target is asked once, by HEAD, and by GET only if that fails', async () => {
  const site = await startSite(({ method, url }, response) => {
    if (url === '/moved') return reply(response, 301, { Location: '/here' });
    if (url === '/here') return reply(response, 200);
    if (url === '/no-head') return reply(response, method === 'HEAD' ? 405 : 200, {}, 'x'.repeat(100_000));
    if (url === '/gone') return reply(response, 410);
    return reply(response, 404);
  });
  const targets = ['/here', '/moved', '/no-head', '/gone', '/here'].map((path) => site.url + path);
  const seen: number[] = [];
  const results = await checkTargets(targets, { onChecked: (checked, of) => seen.push(checked, of) });
  expect(results.map(({ target, result, status }) => [target.slice(site.url.length), result, status])).toEqual([
    ['/here', 'ok', 200],
    ['/moved', 'ok', 200],
    ['/no-head', 'ok', 200],
    ['/gone', 'dead', 410],
  ]);
  expect(site.asked).toEqual([
    'GET /robots.txt',
    'HEAD /here',
    'HEAD /moved',
    'HEAD /here',
    'HEAD /no-head',
    'GET /no-head',
    'HEAD /gone',
    'GET /gone',
  ]);
  expect(seen).toEqual([1, 4, 2, 4, 3, 4, 4, 4]);
});

test('robots.txt is respected', async () => {
  const rules = 'User-agent: *\nDisallow: /\n\nUser-agent: clickledger\nDisallow: /private\nAllow: /private/open\n';
  const site = await startSite(({ url }, response) => reply(response, 200, {}, url === '/robots.txt' ? rules : ''));
  const results = await checkTargets(['/', '/private', '/private/open'].map((path) => site.url + path));
  expect(results.map(({ result }) => result)).toEqual(['ok', 'not-asked', 'ok']);
  const failing = await startSite(({ url }, response) => reply(response, url === '/robots.txt' ? 503 : 200));
  expect(await checkTargets([`${failing.url}/a`])).toMatchObject([{ result: 'not-asked' }]);
  expect(failing.asked).toEqual(['GET /robots.txt']);
});

test('hosts that do not answer, or never finish, are dead with the reason', async () => {
  const silent = await startSite(() => {});
  const loop = await startSite((_, response) => reply(response, 302, { Location: '/again' }));
  const results = await checkTargets([`${silent.url}/a`, 'http://127.0.0.1:1/b', 'http://no-such-host.invalid/c', `${loop.url}/d`], {
    timeoutMs: 300,
  });
  expect(results.map(({ result, status }) => [result, status])).toEqual([
    ...Array.from({ length: 3 }, () => ['dead', null]),
    ['unclear', null],
  ]);
  expect(results.map(({ error }) => error)).toEqual([
    expect.stringMatching(/timeout/i),
    expect.stringMatching(/port|ECONNREFUSED/),
    expect.stringMatching(/ENOTFOUND|EAI_AGAIN|getaddrinfo/),
    expect.stringMatching(/redirect/),
  ]);
});

test('a server that treats programs otherwise than people is unclear', async () => {
  const refusing = [401, 403, 429, 999];
  const site = await startSite(({ url }, response) => {
    if (url === '/app') return reply(response, 302, { Location: 'shop-app://sale' });
    return reply(response, Number(url?.slice(1)) || 404);
  });
  const results = await checkTargets([...refusing, 'app'].map((path) => `${site.url}/${path}`));
  expect(results.map(({ result, status }) => [result, status])).toEqual([
    ...refusing.map((status) => ['unclear', status]),
    ['unclear', null],
  ]);
  expect(results.at(-1)?.error).toBe('it redirects to shop-app:');
});

test('a redirect is not followed to where robots.txt forbids it', async () => {
  const other = await startSite(({ url }, response) =>
    reply(response, 200, {}, url === '/robots.txt' ? 'User-agent: *\nDisallow: /private' : ''),
  );
  const site = await startSite(({ url }, response) =>
    reply(response, url === '/robots.txt' ? 404 : 302, { Location: `${other.url}/private` }),
  );
  expect(await checkTargets([`${site.url}/a`])).toMatchObject([{ result: 'not-asked' }]);
  expect(other.asked).toEqual(['GET /robots.txt']);
});

test('targets that differ only in the fragment are asked once, and a user name is sent as a header', async () => {
  let sent: string | undefined;
  const site = await startSite(({ headers }, response) => {
    sent = headers.authorization;
    reply(response, 200);
  });
  const results = await checkTargets([`${site.url}/a#x`, `${site.url}/a#y`]);
  expect(results.map(({ result }) => result)).toEqual(['ok', 'ok']);
  expect(site.asked).toEqual(['GET /robots.txt', 'HEAD /a']);
  expect(await checkTargets([site.url.replace('//', '//ann:100%25%@')])).toMatchObject([{ result: 'ok' }]);
  expect(sent).toBe(`Basic ${Buffer.from('ann:100%%').toString('base64')}`);
});

test('a host that gives no answer at all is not waited for again', async () => {
  const silent = await startSite(() => {});
  const results = await checkTargets(
    Array.from({ length: 20 }, (_, i) => `${silent.url}/${i}`),
    { timeoutMs: 100 },
  );
  expect(results.map(({ result }) => result)).toEqual(Array.from({ length: 20 }, () => 'dead'));
  expect(silent.asked).toEqual(['GET /robots.txt', 'HEAD /0', 'GET /0']);
});

test('one host gets one request at a time, and hosts are asked together', async () => {
  let [now, most] = [0, 0];
  const slow = (_: IncomingMessage, response: ServerResponse): void => {
    most = Math.max(most, ++now);
    setTimeout(() => {
      now--;
      reply(response, 200);
    }, 20);
  };
  const site = await startSite(slow);
  await checkTargets(Array.from({ length: 10 }, (_, i) => `${site.url}/${i}`));
  expect(most).toBe(1);
  const sites = await Promise.all([1, 2, 3].map(() => startSite(slow)));
  await checkTargets(sites.flatMap(({ url }) => [`${url}/a`, `${url}/b`]));
  expect(most).toBe(3);
});
