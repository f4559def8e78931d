import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink, setExpiry } from '../../authoring/links.ts';
import { createPool, type Pool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { startNginx } from '../../stack/nginx.ts';
import { freePort } from '../../stack/ports.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { gluedForms } from '../support/glue.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually } from '../support/servers.ts';

// Tests what nginx answers to load balancers, and to people while no backend answers.

const TARGET = 'https://www.example.com/';
const FALLBACK = `https://www.example.org/later?a=(b)&c='d';{e}#%24`;

let system: System;
let dataDir: string;
let author: Pool;
let analyst: Pool;
let port: number;
let healthPort: number;
let link: number;
let slugOf: (recipient: number) => string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-edge-'));
  healthPort = await freePort();
  const extra = { LOG_LEVEL: 'warn', FALLBACK_URL: FALLBACK, HEALTH_LISTEN: `127.0.0.1:${healthPort}`, TRUSTED_PROXIES: '127.0.0.1' };
  system = await startSystem({ dataDir, shards: 2, durable: false, extra });
  port = system.ports.edges[0] as number;
  author = createPool(system.env['AUTHOR_URL'] ?? '', { max: 2, name: 'test' });
  analyst = createPool(system.env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
  const { id } = await ensureCampaign(author, 'edge');
  link = await ensureLink(author, id, { kind: 'url', target: TARGET });
  await ensureAlias(author, 'spring-sale', link);
  await ensureAlias(author, 'weihnachtsgeschenke-2026', link);
  const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  slugOf = (recipient) => slugs.encode({ link, recipient });
  await eventually('the link is served', async () => (await get('/u/spring-sale')).status === 302);
}, 120_000);

afterAll(async () => {
  await author?.end();
  await analyst?.end();
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

let requests = 0;
/** Each request has another address, so that no rate limit applies. */
function get(path: string, method = 'GET'): ReturnType<typeof rawRequest> {
  const n = requests++;
  return rawRequest(port, method, path, { 'X-Forwarded-For': `${1 + (n % 200)}.${(n >> 8) % 256}.${n % 256}.7` });
}

/** Whether /healthz has this answer. Checks have a limit, so a check that gets 429 says nothing. */
const reports = (status: number, state: string) => async () => {
  const answer = await rawRequest(healthPort, 'GET', '/healthz');
  if (answer.status === 429) return false;
  expect(answer.headers.get('cache-control')).toBe('no-store');
  return answer.status === status && (JSON.parse(answer.body.toString()) as { status: string }).status === state;
};

const logLines = async (): Promise<string[]> =>
  (await readFile(join(system.logDirs[0] as string, 'access.log'), 'utf8')).split('\n').filter((line) => line !== '');

async function counted(): Promise<Map<string, number>> {
  const { rows } = await analyst.query<{ hit: string; hits: string }>(
    "SELECT coalesce(recipient_id, 0) || ' ' || coalesce(link_version::text, 'fallback') AS hit, count(*) AS hits FROM analytics.events GROUP BY 1",
  );
  return new Map(rows.map(({ hit, hits }) => [hit, Number(hits)]));
}

test('a host that serves is healthy; one that drains is not, and serves all the same', async () => {
  const before = (await logLines()).length;
  await eventually('the host is healthy', reports(200, 'ok'));
  const draining = join(system.logDirs[0] as string, 'draining');
  await writeFile(draining, '9999999999\n');
  await eventually('the host is not healthy', reports(503, 'draining'));
  expect((await get(`/u/${slugOf(7)}`)).headers.get('location')).toBe(TARGET);
  await rm(draining);
  await eventually('the host is healthy', reports(200, 'ok'));
  expect((await rawRequest(healthPort, 'GET', '/')).status).toBe(404);
  expect((await get('/healthz')).status).toBe(404);
  expect((await logLines()).length).toBe(before + 1);
});

const canMount = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

test.runIf(canMount)('a host whose log disk is nearly full is not healthy, until there is space again', async () => {
  const logDir = join(dataDir, 'small-disk');
  const backends = await readFile(join(dataDir, 'run', 'nginx-1', 'tracking.conf'), 'utf8');
  const backendPorts = Array.from(backends.matchAll(/server 127\.0\.0\.1:(\d+) max_fails/g), ([, backend]) => Number(backend));
  const edgePort = await freePort();
  await mkdir(logDir);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'none', logDir]);
  const nginx = await startNginx({ logDir, runDir: join(dataDir, 'run'), port: edgePort, backendPorts, name: 'nginx-small' }).catch(
    (error: unknown) => {
      execFileSync('umount', [logDir]);
      throw error;
    },
  );
  try {
    const answers = (status: number, state: string) => async () => {
      const answer = await rawRequest(edgePort, 'GET', '/healthz');
      return answer.status === status && answer.body.toString() === `{"status":"${state}"}\n`;
    };
    await eventually('it is healthy', answers(200, 'ok'));
    await writeFile(join(logDir, 'fill'), Buffer.alloc(30 * 1024 * 1024));
    await eventually('it is not healthy', answers(503, 'log-disk-full'));
    expect((await rawRequest(edgePort, 'GET', `/u/${slugOf(7)}`)).headers.get('location')).toBe(TARGET);
    await rm(join(logDir, 'fill'));
    await eventually('it is healthy again', answers(200, 'ok'));
  } finally {
    await nginx.stop();
    execFileSync('umount', [logDir]);
  }
});

test('checks of health have a limit of their own', async () => {
  const statuses = await Promise.all(Array.from({ length: 60 }, async () => (await rawRequest(healthPort, 'GET', '/healthz')).status));
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  await eventually('checks are answered again', async () => (await rawRequest(healthPort, 'GET', '/healthz')).status === 200);
});

test('while no backend answers, people get to FALLBACK_URL, and each of these clicks counts once', { timeout: 240_000 }, async () => {
  const expected = await counted();
  const add = (hit: string, hits = 1) => expected.set(hit, (expected.get(hit) ?? 0) + hits);
  await system.member('backend-1').running?.kill();
  await eventually('the host is healthy', reports(200, 'ok'));
  await system.member('backend-2').running?.kill();
  await eventually('the host is not healthy', reports(503, 'no-backend'));

  const wrong: string[] = [];
  const click = async (path: string, method = 'GET'): Promise<void> => {
    const { status, headers } = await get(path, method);
    if (status !== 302 || headers.get('location') !== FALLBACK || headers.get('cache-control') !== 'no-store')
      wrong.push(`${method} ${path}: ${status} ${headers.get('location')}`);
  };
  for (const recipient of [0, 1, 5_000, 10_000_000, Number.MAX_SAFE_INTEGER]) {
    await click(`/u/${slugOf(recipient)}`);
    await click(`/u/${slugOf(recipient)}`, 'HEAD');
    add(`${recipient} fallback`, 2);
  }
  // Every fifth form: whether a backend answers makes no difference to the others (test/e2e/glued.test.ts).
  const forms = gluedForms().filter((_, i) => i % 5 === 0);
  for (let i = 0; i < forms.length; i += 16) await Promise.all(forms.slice(i, i + 16).map((glue) => click(`/u/${slugOf(11)}${glue}`)));
  add('11 fallback', forms.length);
  // A click on an alias, and one on a forged slug, are answered in the same way. They do not count.
  for (const name of ['spring-sale', 'weihnachtsgeschenke-2026', 'x'.repeat(17), `${'x'.repeat(17)}-ann@example.com`])
    await click(`/u/${name}`);
  expect(wrong).toEqual([]);
  expect((await get('/u/spring-sale', 'POST')).status).toBe(405);
  const limited = await Promise.all(Array.from({ length: 260 }, async () => (await rawRequest(port, 'GET', `/u/${slugOf(12)}`)).status));
  expect(new Set(limited)).toEqual(new Set([302, 429]));
  add('12 fallback', limited.filter((status) => status === 302).length);

  for (const name of ['backend-1', 'backend-2']) await system.member(name).start();
  await eventually('the host is healthy', reports(200, 'ok'));
  await eventually('a backend answers clicks', async () => {
    add('7 1');
    return (await get(`/u/${slugOf(7)}`)).headers.get('location') === TARGET || (add('7 1', -1), add('7 fallback'), false);
  });
  const sum = (counts: Map<string, number>) => [...counts.values()].reduce((total, hits) => total + hits, 0);
  await eventually('every click is counted', async () => sum(await counted()) >= sum(expected), 60_000);
  expect(await counted()).toEqual(expected);
  const skipped = await analyst.query<{ reason: string; lines: number }>(
    'SELECT reason, sum(lines)::int AS lines FROM analytics.skipped GROUP BY reason ORDER BY reason',
  );
  expect(skipped.rows).toEqual([
    { reason: 'forged', lines: 3 },
    { reason: 'malformed-slug', lines: 1 },
  ]);
  const logged = (await logLines()).join('\n');
  expect(logged).not.toContain('ann');
  const altered = await analyst.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM analytics.events WHERE 'altered' = ANY (signals) AND recipient_id = 11",
  );
  expect(altered.rows[0]?.n).toBe(forms.filter((glue) => glue.split('?')[0] !== '').length);
});

test('an answer of a backend is never replaced by FALLBACK_URL', async () => {
  expect((await get(`/u/${'x'.repeat(17)}`)).status).toBe(404);
  await setExpiry(author, link, new Date(1));
  await eventually('the link has expired', async () => (await get(`/u/${slugOf(7)}`)).status === 410);
  // A link that is newer than the last answer of the catalog.
  const { id } = await ensureCampaign(author, 'edge');
  await system.member('postgres').running?.kill();
  const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  const clickNewLink = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const { status, headers } = await get(`/u/${slugs.encode({ link: 999_999 + id, recipient: 1 })}`);
      expect([status, headers.get('retry-after'), headers.get('cache-control')]).toEqual([503, '5', 'no-store']);
    }
  };
  // For a second after the first click, nginx regards both backends as failed.
  await clickNewLink(8);
  await system.member('backend-1').running?.kill();
  await clickNewLink(8);
  await eventually('the host is healthy', reports(200, 'ok'));
});

test('health is unknown when the loop beside nginx does not write any more', { timeout: 60_000 }, async () => {
  const nginx = system.member('nginx-1').running?.pid ?? 0;
  const children = execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', String(nginx)], { encoding: 'utf8' });
  const loop = Number(/^\s*(\d+) sh$/m.exec(children)?.[1]);
  process.kill(loop, 'SIGKILL');
  await eventually('health is unknown', reports(503, 'unknown'));
});
