import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureAlias, ensureLink } from '../../authoring/links.ts';
import { ensureRecipient } from '../../authoring/recipients.ts';
import { createUrls } from '../../authoring/urls.ts';
import { parseShards } from '../../core/shards.ts';
import { EVENT_KINDS } from '../../feed/filter.ts';
import { addSubscription } from '../../operating/subscriptions.ts';
import { startWebhookServer } from '../support/webhook-server.ts';
import { createPool } from '../../core/postgres.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { createKey } from '../../operating/api-keys.ts';
import { startPart } from '../../stack/part.ts';
import { freePort } from '../../stack/ports.ts';
import { startSystem, type System } from '../../stack/system.ts';
import { rawRequest } from '../support/raw-http.ts';
import { eventually, natsConnection } from '../support/servers.ts';

// The logs of parts and servers are shown to operators, pasted into tickets and collected. This test causes many kinds of failures at the
// most verbose log level, and then checks that no log contains a secret, an address or a slug.

const EMAIL = 'ann.reader@example.com';
const ADDRESS = '203.0.113.77';
const AGENT = 'Mozilla/5.0 (Silence) Reader/7';
const REFERRER = 'https://intranet.example.org/private';
const FORGED = 'fXc9oZNa4YuQajwMN';
/** A text in all damaged input. If a part quotes the input in a log, the test finds this text. */
const MARKER = 'quoted-by-somebody';

let system: System;
let dataDir: string;
let runDir: string;
/** Texts that must not be in the logs, by description. */
const secrets = new Map<string, string>();

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'clickledger-silence-'));
  runDir = join(dataDir, 'run');
  const extra = { LOG_LEVEL: 'trace', FORWARDER_NETWORKS: '127.0.0.1', TRUSTED_PROXIES: '127.0.0.1', RATE_LIMIT: '5', RATE_BURST: '5' };
  system = await startSystem({ dataDir, durable: false, shards: 2, forwarders: 1, extra });
}, 120_000);

afterAll(async () => {
  await system?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

test('no secret, address or slug is in the logs of parts and servers, whatever happens to them', async () => {
  const { env } = system;
  const port = system.ports.edges[0] as number;
  for (const [name, value] of Object.entries(env)) {
    if (name === 'SLUG_KEYS') secrets.set(name, value);
    const password = URL.canParse(value) ? new URL(value).password : '';
    if (password !== '') secrets.set(name, password);
  }
  const passwords = secrets.size;
  expect(passwords).toBe(10);

  const author = createPool(env['AUTHOR_URL'] ?? '', { max: 1, name: 'test' });
  const { id } = await ensureCampaign(author, 'Silence');
  const recipient = await ensureRecipient(author, EMAIL);
  const make = createUrls('', createSlugCodec(parseSlugKeys(env['SLUG_KEYS'] ?? '')));
  const link = await ensureLink(author, id, { kind: 'url', target: 'https://www.example.com/' });
  await ensureAlias(author, 'silent-alias', link);
  const paths = {
    click: make.click(link, recipient),
    shared: make.click(link, 0),
    pixel: make.pixel(await ensureLink(author, id, { kind: 'pixel' }), recipient),
    alias: '/u/silent-alias',
    forged: `/u/${FORGED}`,
    nonsense: `/u/${MARKER}`,
  };
  for (const [name, path] of Object.entries(paths)) secrets.set(`slug of the ${name}`, path.slice(3).replace(/\.gif$/, ''));
  for (const text of [EMAIL, ADDRESS, AGENT, REFERRER]) secrets.set(text, text);

  const owner = createPool(env['CATALOG_URL'] ?? '', { max: 1, name: 'test' });
  const { key } = await createKey(owner, 'silent', 'author', 1000);
  // Receivers that refuse, that do not exist, and whose password is wrong.
  const hook = await startWebhookServer();
  onTestFinished(() => hook.close());
  hook.answer = (response) => response.writeHead(500).end(MARKER);
  const pathToken = 'T0KENinTHEpath';
  const targets = {
    hook: `${hook.url}/${pathToken}?token=${pathToken}`,
    nobody: `http://127.0.0.1:1/${pathToken}`,
    database: (env['CATALOG_URL'] ?? '').replace(/:[^:@]*@/, `:${pathToken}@`),
  };
  secrets.set('the token of a receiver', pathToken);
  for (const [name, target] of Object.entries(targets)) {
    const { secret } = await addSubscription(owner, parseShards(env['SHARDS'] ?? ''), env['CATALOG_URL'] ?? '', {
      name,
      target,
      filter: { kinds: EVENT_KINDS, campaigns: null, verdicts: null, since: null, waitMs: 0 },
      beginning: 'everything',
      batch: 10,
      withAddresses: true,
      secret: undefined,
    });
    if (secret !== undefined) secrets.set(`the secret of ${name}`, secret);
  }
  await owner.end();
  secrets.set('the key', key);
  secrets.set('the secret part of the key', key.slice(16));
  const deskPort = await freePort();
  const desk = await startPart({ part: 'desk', name: 'desk', runDir, env: { ...env, DESK_PORT: String(deskPort) } });
  onTestFinished(() => desk.stop());
  const headers = { 'X-Forwarded-For': ADDRESS, 'User-Agent': AGENT, Referer: REFERRER };
  const apiTraffic = async (): Promise<void> => {
    const bodies = [
      ['/recipients', 'application/json', JSON.stringify({ email: EMAIL })],
      ['/recipients', 'application/x-ndjson', `{"email":"${EMAIL}"}\n${MARKER}\n`],
      ['/campaigns', 'application/json', MARKER],
      [`/campaigns/${id}/letters`, 'application/json', JSON.stringify({ html: `<a href="https://www.example.com/?${MARKER}">x</a>` })],
    ] as const;
    for (const [path, type, body] of bodies)
      for (const authorization of [`Bearer ${key}`, `Bearer ${key}${MARKER}`])
        await rawRequest(
          deskPort,
          'POST',
          `/api/v1${path}`,
          { ...headers, Authorization: authorization, 'Content-Type': type },
          body,
        ).catch(() => {});
  };

  /** Some requests are rate limited (429), and some are answered 502 while backends are down. */
  const traffic = async (): Promise<void> => {
    await apiTraffic();
    for (const path of Object.values(paths))
      for (const method of ['GET', 'HEAD', 'POST']) await rawRequest(port, method, path, headers).catch(() => {});
    await Promise.all(Array.from({ length: 20 }, () => rawRequest(port, 'GET', paths.click, headers).catch(() => {})));
    await rawRequest(port, 'GET', `${paths.click}?${'x'.repeat(20_000)}`, headers);
    await rawRequest(port, 'GET', paths.click, { ...headers, 'Content-Length': '5000' });
    await rawRequest(port, 'GET', paths.pixel, { ...headers, Purpose: Buffer.from([0xff, 0xfe, 0x80]) });
  };
  const whileDown = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    await system.member(name).running?.kill();
    await work();
    await system.member(name).start();
  };

  await traffic();
  await whileDown('postgres', async () => {
    await traffic();
    // A backend that starts while Postgres is down has only its snapshot.
    await whileDown('backend-2', traffic);
  });
  await whileDown('nats', traffic);
  await whileDown('event-worker-1', traffic);
  await whileDown('backend-1', () => whileDown('backend-2', traffic));

  // Error messages of Postgres quote the rejected row.
  await expect(author.query('INSERT INTO catalog.recipient (email) VALUES ($1)', [EMAIL])).rejects.toMatchObject({ code: '23505' });
  await expect(author.query(`INSERT INTO catalog.recipient (email) VALUES ('${EMAIL}')`)).rejects.toMatchObject({ code: '23505' });

  // Writes log lines and messages that cannot be parsed.
  const line = JSON.stringify({
    v: 1,
    rid: 'ab'.repeat(16),
    t: 1,
    m: 'GET',
    u: paths.click,
    s: 302,
    ip: ADDRESS,
    ua: MARKER,
    ref: '',
    link: '1.1',
  });
  await appendFile(
    join(system.logDirs[0] as string, 'access.log'),
    `${line.slice(0, 100)}\n${MARKER} ${EMAIL}\n{"v":2,"u":"${MARKER}"}\n${line}\n`,
  );
  const agent = await natsConnection(env['AGENT_NATS_URL'] ?? '');
  const batch = { v: 1, gen: '0'.repeat(32), shard: 'a', shards: 'x', from: 0, to: 9, skipped: {}, dead: [], events: [] };
  const unreadable = [
    MARKER,
    `{"v":1,"gen":"${MARKER}`,
    JSON.stringify({ ...batch, skipped: { [MARKER]: 1 } }),
    JSON.stringify({ ...batch, shard: MARKER }),
  ];
  for (const payload of unreadable) {
    await jetstream(agent).publish('events.a', payload);
    await agent.request('ledger.a', payload, { timeout: 300 }).catch(() => {});
  }
  await agent.close();

  // Tries settings with mistakes, and credentials that are refused. A part with such settings does not become ready.
  const badSettings: [name: string, part: 'backend' | 'log-agent' | 'event-worker', settings: Record<string, string>][] = [
    ['no-url', 'backend', { BACKEND_URL: `mysql://me:${MARKER}@h/d` }],
    ['no-password', 'backend', { BACKEND_URL: `postgres://me:${MARKER}%@127.0.0.1/d` }],
    ['refused', 'backend', { BACKEND_URL: (env['BACKEND_URL'] ?? '').replace(/:[^:@]+@/, `:${MARKER}@`) }],
    ['no-key', 'backend', { SLUG_KEYS: `${MARKER},${env['SLUG_KEYS']}` }],
    ['no-bound', 'event-worker', { SHARDS: `a=postgres://me:${MARKER}@h/d` }],
    ['credentials', 'event-worker', { SHARDS: `a=00=postgres://me:${MARKER}@h/d` }],
    ['no-nats', 'event-worker', { WORKER_NATS_URL: `me:${MARKER}@127.0.0.1` }],
    ['two-nats', 'log-agent', { AGENT_NATS_URL: `nats://me:${MARKER}@n1,nats://n2` }],
    ['percent', 'log-agent', { AGENT_NATS_URL: `nats://me:${MARKER}%@n1` }],
  ];
  for (const [name, part, settings] of badSettings) {
    const STATE_DIR = join(dataDir, 'state', name);
    await expect(startPart({ part, name, runDir, env: { ...env, STATE_DIR, ...settings } })).rejects.toThrow(`${name} exited`);
  }

  await eventually('everything is committed', async () => {
    const owner = createPool(env['ANALYST_URL'] ?? '', { max: 1, name: 'test' });
    try {
      const { rows } = await owner.query<{ done: boolean }>(
        `SELECT count(*) FILTER (WHERE missing_bytes > 0) = 0 AND (SELECT count(*) FROM analytics.dead_letters) >= 3 AS done FROM analytics.completeness`,
      );
      return rows[0]?.done === true;
    } finally {
      await owner.end();
    }
  });
  await author.end();
  await system.stop();

  secrets.set('what was quoted', MARKER);
  const logs = new Map<string, string>();
  // The directory of the access log is reached through a link in links/. These files are access logs and are left out.
  for (const path of await readdir(runDir, { recursive: true }))
    if (path.endsWith('.log') && !path.includes('/links/')) logs.set(path, await readFile(join(runDir, path), 'utf8'));
  expect(logs.get('desk.log')).toContain('serving pages and the API');
  // Checks that the failures were logged at all.
  const allLogs = [...logs.values()].join('');
  for (const text of [
    'disconnected from NATS',
    'cannot commit',
    'a message is not a batch',
    'Postgres does not answer',
    'the ledger does not answer',
  ])
    expect(allLogs).toContain(text);
  const found = [...logs].flatMap(([log, text]) =>
    [...secrets].filter(([, secret]) => text.includes(secret)).map(([what]) => `${log}: ${what}`),
  );
  expect(found).toEqual([]);
}, 180_000);
