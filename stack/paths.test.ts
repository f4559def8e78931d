import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Certificates, makeCertificates } from '../test/support/certificates.ts';
import { oddNames } from '../test/support/odd-names.ts';
import { eventually } from '../test/support/servers.ts';
import { startNats } from './nats.ts';
import { startNginx } from './nginx.ts';
import { freePort } from './ports.ts';
import { OWNER, startPostgres } from './postgres.ts';

// Tests every path that a server gets, with every character that a path may contain except a line break.

const NAMES = oddNames(15);

let root: string;
let certificates: Certificates;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'clickledger-test-'));
  certificates = await makeCertificates(root, 'server');
});

afterAll(() => rm(root, { recursive: true, force: true }));

/** Creates a directory with this name, and a certificate and its key in it. */
async function createDirectory(server: string, name: string): Promise<{ directory: string; certificate: string; key: string }> {
  const directory = join(root, server, name);
  await mkdir(directory, { recursive: true });
  const [certificate, key] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  await cp(certificates.certificate, certificate);
  await cp(certificates.key, key);
  return { directory, certificate, key };
}

async function statusOverTls(port: number, path: string): Promise<number | undefined> {
  const sent = request({ host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false }).end();
  const [response] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  response.resume();
  return response.statusCode;
}

test.each(NAMES)('nginx has its log, its certificate and its own files in %j', async (name) => {
  const { directory, certificate, key } = await createDirectory('nginx', name);
  const port = await freePort();
  const logDir = join(directory, 'logs');
  const nginx = await startNginx({
    logDir,
    runDir: join(directory, 'run'),
    port,
    backendPorts: [1],
    env: { TLS_CERTIFICATE: certificate, TLS_KEY: key, ERROR_LOG: join(directory, 'errors.log'), NGINX_WORKERS: '1' },
  });
  onTestFinished(() => nginx.stop());
  expect(await statusOverTls(port, '/r/00abcdefghijklmnopq.gif')).toBe(200);
  await eventually('the hit is in the log', async () => (await readFile(join(logDir, 'access.log'), 'utf8')).includes('"u":"/r/00abc'));
  expect((await readdir(directory)).toSorted()).toEqual(['certificate.pem', 'errors.log', 'key.pem', 'logs', 'run']);
  expect(await readdir(logDir)).toEqual(['access.log']);
  expect(Number(await readFile(join(directory, 'run', 'nginx', 'nginx.pid'), 'utf8'))).toBe(nginx.pid);
});

test.each(NAMES)('nats-server has its store and its certificate in %j', async (name) => {
  const { directory, certificate, key } = await createDirectory('nats', name);
  // startNats resolves once JetStream answers.
  const nats = await startNats({
    storeDir: join(directory, 'store'),
    runDir: join(directory, 'run'),
    port: await freePort(),
    passwords: { agent: name, worker: `'${name}`, analyst: `"${name}` },
    tls: { certificate, key },
    caFile: certificates.ca,
  });
  onTestFinished(() => nats.stop());
  expect(await readdir(join(directory, 'store'))).toEqual(['jetstream']);
});

test('Postgres has its cluster and its certificate in a directory with all of these characters', async () => {
  const { directory, certificate, key } = await createDirectory('postgres', NAMES[0] as string);
  const port = await freePort();
  const postgres = await startPostgres({
    dataDir: join(directory, 'data'),
    runDir: join(directory, 'run'),
    port,
    ownerPassword: 'owner',
    durable: false,
    tls: { certificate, key },
  });
  onTestFinished(() => postgres.stop());
  const client = new pg.Client({ connectionString: `postgres://${OWNER}:owner@127.0.0.1:${port}/postgres?sslmode=no-verify` });
  await client.connect();
  const { rows } = await client.query(
    `SELECT current_setting('data_directory') AS data, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
  );
  await client.end();
  expect(rows).toEqual([{ data: join(directory, 'data'), ssl: true }]);
});
