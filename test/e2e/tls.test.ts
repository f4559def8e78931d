import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request as inPlain } from 'node:http';
import { request as overTls } from 'node:https';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ensureCampaign } from '../../authoring/campaigns.ts';
import { ensureLink } from '../../authoring/links.ts';
import { createUrls } from '../../authoring/urls.ts';
import { natsOptions } from '../../core/nats.ts';
import { natsUrlWithCredentials, parseNatsUrl } from '../../core/nats-url.ts';
import { createPool } from '../../core/postgres.ts';
import { evenShards, parseShards } from '../../core/shards.ts';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { migrate } from '../../sql/migrate.ts';
import { startNats } from '../../stack/nats.ts';
import { startNginx } from '../../stack/nginx.ts';
import { startPart } from '../../stack/part.ts';
import { freePort } from '../../stack/ports.ts';
import { OWNER, startPostgres } from '../../stack/postgres.ts';
import type { Running } from '../../stack/process.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { eventually, natsConnection, startTestNats } from '../support/servers.ts';

// Tests that all connections are encrypted and that every server must prove its identity. In this test Postgres and NATS accept only TLS.

const TARGET = 'https://www.example.com/';
const PASSWORDS = { agent: 'of-the-agent', worker: 'of-the-worker', analyst: 'of-the-analyst' };
const KEYS = 'ab'.repeat(32);
/** The second shard has an IPv6 address if the machine has IPv6. */
const HOSTS = [
  '127.0.0.1',
  Object.values(networkInterfaces())
    .flat()
    .some((network) => network?.address === '::1')
    ? '[::1]'
    : '127.0.0.1',
];

let directory: string;
let trusted: Certificates;
let untrusted: Certificates;
let ports: Record<'postgres' | 'nats' | 'backend' | 'https' | 'http', number>;
let catalogUrl: string;
let path: string;
const running: Running[] = [];

const ssl = (ca: string): string => `?sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`;
const urlOf = (role: string): string => `postgres://clickledger_${role}:${role}@127.0.0.1:${ports.postgres}/clickledger${ssl(trusted.ca)}`;
const natsUrl = (): string => `tls://localhost:${ports.nats}`;
const logText = (): Promise<string> => readFile(join(directory, 'logs', 'access.log'), 'utf8');

async function query<Row extends pg.QueryResultRow>(url: string, sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query<Row>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'clickledger-tls-'));
  trusted = await makeCertificates(directory, 'ours');
  untrusted = await makeCertificates(directory, 'theirs');
  ports = {
    postgres: await freePort(),
    nats: await freePort(),
    backend: await freePort(),
    https: await freePort(),
    http: await freePort(),
  };
  const runDir = join(directory, 'run');
  const tls = { certificate: trusted.certificate, key: trusted.key };
  const postgres = { dataDir: join(directory, 'postgres'), runDir, port: ports.postgres, ownerPassword: 'owner', durable: false };
  running.push(await startPostgres({ ...postgres, listen: '127.0.0.1,::1', tls }));
  const plainUrl = `postgres://${OWNER}:owner@127.0.0.1:${ports.postgres}/postgres`;
  await writeFile(join(postgres.dataDir, 'pg_hba.conf'), 'hostssl all all all scram-sha-256\n');
  await query(plainUrl, 'SELECT pg_reload_conf()');
  await eventually('Postgres refuses what is not encrypted', () =>
    query(plainUrl, 'SELECT').then(
      () => false,
      () => true,
    ),
  );
  running.push(
    await startNats({ storeDir: join(directory, 'nats'), runDir, port: ports.nats, passwords: PASSWORDS, tls, caFile: trusted.ca }),
  );
  catalogUrl = `postgres://${OWNER}:owner@127.0.0.1:${ports.postgres}/clickledger${ssl(trusted.ca)}`;
  const SHARDS = evenShards(2, (name) => `postgres://${HOSTS[name === 'a' ? 0 : 1]}:${ports.postgres}/shard_${name}${ssl(trusted.ca)}`);
  const roleUrls = {
    backend: urlOf('backend'),
    worker: urlOf('worker'),
    author: urlOf('author'),
    analyst: urlOf('analyst'),
    forwarder: urlOf('forwarder'),
  };
  await migrate({ ownerUrl: catalogUrl, roleUrls, shards: parseShards(SHARDS), keys: parseSlugKeys(KEYS) });

  const author = createPool(roleUrls.author, { max: 1, name: 'test' });
  const { id } = await ensureCampaign(author, 'TLS');
  const urls = createUrls('', createSlugCodec(parseSlugKeys(KEYS)));
  path = urls.click(await ensureLink(author, id, { kind: 'url', target: TARGET }), 0);
  await author.end();

  const LOG_DIR = join(directory, 'logs');
  const start = async (part: 'backend' | 'log-agent' | 'event-worker', env: Record<string, string>) =>
    running.push(
      await startPart({ part, name: part, runDir, env: { STATE_DIR: join(directory, 'state', part), SHARDS, SLUG_KEYS: KEYS, ...env } }),
    );
  const NATS_CA_FILE = trusted.ca;
  await start('event-worker', {
    WORKER_URL: roleUrls.worker,
    WORKER_NATS_URL: natsUrlWithCredentials(natsUrl(), 'worker', PASSWORDS.worker),
    NATS_CA_FILE,
  });
  await start('backend', { BACKEND_URL: roleUrls.backend, PORT: String(ports.backend) });
  const BASE_URL = `https://localhost:${ports.https}`;
  const env = {
    TLS_CERTIFICATE: trusted.certificate,
    TLS_KEY: trusted.key,
    HTTP_LISTEN: `127.0.0.1:${ports.http}`,
    BASE_URL: `${BASE_URL}/`,
  };
  running.push(await startNginx({ logDir: LOG_DIR, runDir, port: ports.https, backendPorts: [ports.backend], env }));
  await start('log-agent', {
    BASE_URL,
    LOG_DIR,
    AGENT_NATS_URL: natsUrlWithCredentials(natsUrl(), 'agent', PASSWORDS.agent),
    NATS_CA_FILE,
  });
}, 120_000);

afterAll(async () => {
  for (const each of running.toReversed()) await each.stop();
  await rm(directory, { recursive: true, force: true });
});

interface Answer {
  status: number | undefined;
  headers: IncomingHttpHeaders;
}

async function get(url: string): Promise<Answer> {
  const options = { agent: false, ca: await readFile(trusted.ca) };
  return new Promise((resolve, reject) => {
    const outgoing = (url.startsWith('https:') ? overTls : inPlain)(url, options, (response) => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

const clicks = (): Promise<{ n: number }[]> => query<{ n: number }>(urlOf('analyst'), 'SELECT count(*)::int AS n FROM analytics.events');

test('a click goes all the way, encrypted wherever it passes', async () => {
  const answer = await get(`https://localhost:${ports.https}${path}`);
  expect([answer.status, answer.headers.location]).toEqual([302, TARGET]);
  await eventually('the analyst sees it', async () => (await clicks())[0]?.n === 1);
  const sessions = await query<{ name: string; ssl: boolean }>(
    catalogUrl,
    // A session in state 'starting' (since Postgres 18) has not completed the TLS handshake yet.
    `SELECT DISTINCT application_name AS name, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)
     WHERE client_addr IS NOT NULL AND state IS DISTINCT FROM 'starting'`,
  );
  expect(sessions.map(({ ssl }) => ssl)).not.toContain(false);
  expect(sessions.map(({ name }) => name)).toEqual(expect.arrayContaining(['clickledger backend', 'clickledger event-worker']));
});

describe('nginx', () => {
  async function handshake(options: ConnectionOptions): Promise<string> {
    const ca = await readFile(trusted.ca);
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = tlsConnect({ host: 'localhost', servername: 'localhost', port: ports.https, ca, ...options }, () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  }
  const onlyVersion = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): ConnectionOptions => ({ minVersion: version, maxVersion: version });
  // Allows old ciphers that OpenSSL no longer offers by default.
  const oldCiphers = 'ALL:@SECLEVEL=0';

  test('speaks TLS 1.2 and 1.3 with modern ciphers, and nothing older', async () => {
    expect(await handshake(onlyVersion('TLSv1.3'))).toMatch(/^TLSv1.3 TLS_(AES|CHACHA20)/);
    expect(await handshake({ ...onlyVersion('TLSv1.2'), ciphers: oldCiphers })).toMatch(/^TLSv1.2 ECDHE-ECDSA-(AES|CHACHA20)/);
    await expect(handshake({ ...onlyVersion('TLSv1.1'), ciphers: oldCiphers })).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    });
    await expect(handshake({ ...onlyVersion('TLSv1.2'), ciphers: 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0' })).rejects.toMatchObject({
      code: 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
    });
  });

  test('tells browsers to stay with TLS, with redirects and with pixels', async () => {
    for (const place of [path, '/r/x', '/nowhere'])
      expect((await get(`https://localhost:${ports.https}${place}`)).headers['strict-transport-security']).toBe('max-age=63072000');
  });

  test('sends plain HTTP on to TLS, and the click is counted once', async () => {
    const place = '/r/overPlainHttp?a=%20b';
    const { status, headers } = await get(`http://localhost:${ports.http}${place}`);
    expect([status, headers.location]).toEqual([301, `https://localhost:${ports.https}${place}`]);
    expect((await get(headers.location ?? '')).status).toBe(200);
    // nginx logs requests in the order of its answers. A line for the earlier request over plain HTTP would already be in the log.
    const lines = async (): Promise<number> => (await logText()).split('/r/overPlainHttp').length - 1;
    await eventually('it is in the log', async () => (await lines()) > 0);
    expect(await lines()).toBe(1);
  });

  test('does not start with half of what TLS needs', async () => {
    const start = (env: Record<string, string>) =>
      freePort().then((port) =>
        startNginx({ logDir: join(directory, 'none'), runDir: directory, port, backendPorts: [1], name: 'half', env }),
      );
    await expect(start({ TLS_CERTIFICATE: trusted.certificate })).rejects.toThrow('TLS_CERTIFICATE and TLS_KEY');
    await expect(start({ HTTP_LISTEN: '127.0.0.1:1' })).rejects.toThrow('HTTP_LISTEN');
    const { certificate: TLS_CERTIFICATE, key: TLS_KEY } = trusted;
    const plain = { TLS_CERTIFICATE, TLS_KEY, HTTP_LISTEN: '127.0.0.1:1', BASE_URL: 'http://t.example' };
    await expect(start(plain)).rejects.toThrow('BASE_URL');
  });
});

describe('NATS', () => {
  const url = (): string => natsUrlWithCredentials(natsUrl(), 'agent', PASSWORDS.agent);

  test('has to have a certificate of the right authority', async () => {
    await (await natsConnection(url(), trusted.ca)).close();
    await expect(natsConnection(url(), untrusted.ca)).rejects.toThrow('unable to verify');
    await expect(natsConnection(url())).rejects.toThrow('unable to verify');
  });

  test('has to be the host that was asked for', async () => {
    const elsewhere = await makeCertificates(directory, 'elsewhere', 'IP:127.0.0.1');
    const tls = { certificate: elsewhere.certificate, key: elsewhere.key };
    const runDir = join(directory, 'run');
    const port = await freePort();
    const storeDir = join(directory, 'nats-elsewhere');
    const nats = await startNats({ storeDir, runDir, port, passwords: PASSWORDS, tls, caFile: elsewhere.ca, name: 'nats-elsewhere' });
    onTestFinished(() => nats.stop());
    const connectTo = (host: string) =>
      natsConnection(natsUrlWithCredentials(`tls://${host}:${port}`, 'agent', PASSWORDS.agent), elsewhere.ca);
    await (await connectTo('127.0.0.1')).close();
    await expect(connectTo('localhost')).rejects.toThrow("does not match certificate's altnames");
  });

  test('gets no password when it says that it has no TLS', async () => {
    const plain = await startTestNats();
    await expect(natsConnection(plain.urlOf('agent').replace('nats:', 'tls:'), trusted.ca)).rejects.toThrow("does not support 'tls'");
    await (await natsConnection(plain.urlOf('agent'))).close();
  });

  test('a file of authorities that cannot be read is a mistake in the settings, not a reason to wait', () => {
    expect(() => natsOptions(parseNatsUrl(url()), '/nowhere.pem')).toThrow(expect.objectContaining({ code: 'bad-settings' }));
  });
});

describe('Postgres', () => {
  const analysts = (params: string): string => urlOf('analyst').replace(/\?.*/, params);

  test('has to have a certificate of the right authority, and refuses whoever comes without TLS', async () => {
    expect(await query(urlOf('analyst'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await expect(query(analysts(ssl(untrusted.ca)), 'SELECT')).rejects.toThrow('unable to verify');
    await expect(query(analysts(''), 'SELECT')).rejects.toMatchObject({ code: '28000' });
  });

  test('a file of authorities that cannot be read is a mistake in the settings', () => {
    expect(() => createPool(analysts(ssl('/nowhere.pem')), { max: 1, name: 'test' })).toThrow(
      expect.objectContaining({ code: 'bad-settings', message: expect.stringContaining('/nowhere.pem') }),
    );
  });

  test('shards have to prove to the catalog who they are, too', async () => {
    const attach = (sslmode: string | null, sslrootcert: string | null) =>
      query(catalogUrl, "SELECT fleet.attach('a', '127.0.0.1', $1, 'shard_a', 'clickledger_analyst', 'analyst', $2, $3)", [
        String(ports.postgres),
        sslmode,
        sslrootcert,
      ]);
    await clicks();
    await attach('verify-full', untrusted.ca);
    await expect(clicks()).rejects.toThrow('could not connect to server "shard_a"');
    await attach('disable', null);
    await expect(clicks()).rejects.toThrow('could not connect to server "shard_a"');
    await attach('verify-full', trusted.ca);
    await clicks();
  });
});
