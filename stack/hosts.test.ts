import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request as overPlain } from 'node:http';
import { request as overTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Certificates, makeCertificates } from '../test/support/certificates.ts';
import { oddNames } from '../test/support/odd-names.ts';
import { rawRequest } from '../test/support/raw-http.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
import { startNginx } from './nginx.ts';
import { freePort } from './ports.ts';
import type { Running } from './process.ts';

// Tests an nginx with several host names: their certificates, the redirects to TLS, and the files for apps.

const A = 'a.example';
const B = 'b.example';
const IDN = 'xn--mnchen-3ya.example';
const HOSTS = [A, B, IDN];
const LAST = 'zzabcdefghijklmnopq';

let certificates: ReadonlyMap<string, Certificates>;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'clickledger-hosts-'));
  const made = HOSTS.map(async (host) => [host, await makeCertificates(directory, host, `DNS:${host}`)] as const);
  certificates = new Map(await Promise.all(made));
  return () => rm(directory, { recursive: true, force: true });
});

/** Creates a directory as certbot has it, with the certificates of the hosts. `from` is the host whose certificate is used for a name. */
async function tlsDirectory(hosts: readonly string[], from: (host: string) => string = (host) => host, name = 'tls'): Promise<string> {
  const directory = join(await temporaryDirectory(), name);
  for (const host of hosts) {
    await mkdir(join(directory, host), { recursive: true });
    const { certificate, key } = certificates.get(from(host)) as Certificates;
    await cp(certificate, join(directory, host, 'fullchain.pem'));
    await cp(key, join(directory, host, 'privkey.pem'));
  }
  return directory;
}

interface Edge {
  nginx: Running;
  port: number;
  httpPort: number;
  /** Returns the hosts of all lines of the log so far. */
  loggedHosts: () => Promise<string[]>;
}

/** Starts nginx with one worker process. `withHttp` means that it also listens for plain HTTP. */
async function startEdge(env: Record<string, string>, withHttp = false): Promise<Edge> {
  const directory = await temporaryDirectory();
  const logDir = join(directory, 'logs');
  const [port, httpPort] = [await freePort(), await freePort()];
  const nginx = await startNginx({
    logDir,
    runDir: join(directory, 'run'),
    port,
    backendPorts: [await freePort()],
    env: { NGINX_WORKERS: '1', ...(withHttp ? { HTTP_LISTEN: `127.0.0.1:${httpPort}` } : {}), ...env },
  });
  onTestFinished(() => nginx.stop());
  const loggedHosts = async (): Promise<string[]> => {
    const pixel = `/r/${LAST}.gif`;
    await (env['TLS_DIR'] || env['TLS_CERTIFICATE'] ? get(port, A, pixel, { servername: '' }) : rawRequest(port, 'GET', pixel));
    let lines: string[] = [];
    // The only worker writes a line just after its answer, so all lines are there when the last one is.
    await eventually('the last hit is logged', async () => {
      lines = (await readFile(join(logDir, 'access.log'), 'utf8')).split('\n').filter((line) => line !== '');
      return lines.at(-1)?.includes(LAST) === true;
    });
    return lines.slice(0, -1).map((line) => (JSON.parse(line) as { h: string }).h);
  };
  return { nginx, port, httpPort, loggedHosts };
}

interface Answer {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  body: string;
  /** The name in the certificate of the server. Undefined without TLS. */
  certificate: string | undefined;
}

/** Sends a request to a host name at a loopback port. `servername` is the name that TLS sends; an empty one sends none. */
function get(port: number, host: string, path: string, { servername = host, plain = false } = {}): Promise<Answer> {
  const options = { host: '127.0.0.1', port, path, headers: { Host: host }, agent: false, servername, rejectUnauthorized: false };
  return new Promise((resolve, reject) => {
    const sent = (plain ? overPlain : overTls)(options, (response) => {
      const names = plain ? undefined : (response.socket as TLSSocket).getPeerCertificate().subject.CN;
      text(response).then(
        (body) => resolve({ status: response.statusCode, headers: response.headers, body, certificate: [names].flat()[0] }),
        reject,
      );
    });
    sent.on('error', reject).end();
  });
}

describe('TLS_DIR', () => {
  test('has the certificate of each host; clients without a name and with an unknown one get that of BASE_URL, and all are answered', async () => {
    const TLS_DIR = await tlsDirectory(HOSTS);
    const { port, loggedHosts } = await startEdge({
      TLS_DIR,
      BASE_URL: `https://${A}/`,
      BASE_URLS: `https://${B}:8443/mail, https://${IDN}`,
    });
    const pixel = '/r/00abcdefghijklmnopq.gif';
    for (const [servername, host, certificate] of [
      [A, A, A],
      [B, B, B],
      [IDN, IDN, IDN],
      ['B.EXAMPLE', 'B.EXAMPLE:8443', B],
      ['c.example', 'c.example', A],
      ['', '192.0.2.1', A],
      [B, A, B],
    ] as const) {
      const answer = await get(port, host, pixel, { servername });
      expect([servername, answer.status, answer.certificate]).toEqual([servername, 200, certificate]);
      expect(answer.headers['strict-transport-security']).toBe('max-age=63072000');
    }
    expect(await loggedHosts()).toEqual([A, B, IDN, B, 'c.example', '192.0.2.1', A]);
  });

  test('may have any name, and certificates of hosts that are no base URLs', async () => {
    const TLS_DIR = await tlsDirectory([A, B], undefined, oddNames(0)[0]);
    const { port } = await startEdge({ TLS_DIR, BASE_URL: `https://${A}` });
    expect(await get(port, B, '/r/00abcdefghijklmnopq.gif')).toMatchObject({ status: 200, certificate: A });
  });

  test.each([0, 1, 150])('%d further hosts, with ports, long names and names that nginx or a shell could read otherwise', async (count) => {
    const label = 'l'.repeat(63);
    const special = [`${label}.${label}.${label}.${'l'.repeat(61)}`, 'default', 'include', '-', 'a_b.example', '127.0.0.1', IDN];
    const further = [...special, ...Array.from({ length: count }, (_, i) => `host-${i}.example`)].slice(0, count);
    const TLS_DIR = await tlsDirectory([A, ...further], (host) => (host === A ? A : B));
    const BASE_URLS = further.map((host, i) => `https://${host}${i % 2 ? `:${1024 + i}` : ''}`).join(',');
    const { port, httpPort } = await startEdge({ TLS_DIR, BASE_URL: `https://${A}:8443`, BASE_URLS }, true);
    expect(await get(port, A, '/r/00abc.gif')).toMatchObject({ status: 200, certificate: A });
    for (const [i, host] of further.entries()) {
      if (i >= special.length && i % 50) continue;
      // TLS sends no IP addresses as names.
      if (host !== '127.0.0.1') expect(await get(port, host, '/r/00abc.gif')).toMatchObject({ status: 200, certificate: B });
      expect((await get(httpPort, host, '/u/x', { plain: true })).headers.location).toBe(`${BASE_URLS.split(',')[i]}/u/x`);
    }
  });

  test('is read again at SIGHUP, so that a renewed certificate needs no restart', async () => {
    const TLS_DIR = await tlsDirectory([A, B], () => A);
    const { nginx, port } = await startEdge({ TLS_DIR, BASE_URL: `https://${A}`, BASE_URLS: `https://${B}` });
    const certificateOf = async (host: string) => (await get(port, host, '/r/00abc.gif')).certificate;
    expect([await certificateOf(A), await certificateOf(B)]).toEqual([A, A]);
    const { certificate, key } = certificates.get(B) as Certificates;
    await cp(certificate, join(TLS_DIR, B, 'fullchain.pem'));
    await cp(key, join(TLS_DIR, B, 'privkey.pem'));
    nginx.signal('SIGHUP');
    await eventually('the new certificate is used', async () => (await certificateOf(B)) === B);
    expect(await certificateOf(A)).toBe(A);
  });

  test('must be complete', async () => {
    const TLS_DIR = await tlsDirectory([A, B]);
    const { certificate: TLS_CERTIFICATE, key: TLS_KEY } = certificates.get(A) as Certificates;
    const BASE_URL = `https://${A}`;
    for (const [env, message] of [
      [{ TLS_DIR }, 'TLS_DIR needs BASE_URL'],
      [{ TLS_DIR, BASE_URL: `http://${A}` }, 'TLS_DIR needs BASE_URL'],
      [{ TLS_DIR, BASE_URL: 'https://c.example' }, 'TLS_DIR has no certificate of c.example'],
      [{ TLS_DIR, BASE_URL, BASE_URLS: `https://${B},https://c.example` }, 'TLS_DIR has no certificate of c.example'],
      [{ TLS_DIR, BASE_URL, TLS_CERTIFICATE, TLS_KEY }, 'TLS_DIR is in place of'],
      [{ TLS_DIR, BASE_URL, BASE_URLS: 'https://münchen.example' }, 'xn--'],
      [{ TLS_DIR, BASE_URL, BASE_URLS: 'https://../b' }, 'TLS_DIR has no certificate of'],
      [{ TLS_DIR, BASE_URL, BASE_URLS: 'https://$uri' }, 'characters that a base URL cannot have'],
      [{ TLS_DIR, BASE_URL, BASE_URLS: 'https://b;return' }, 'characters that a base URL cannot have'],
      [{ TLS_DIR, BASE_URL, BASE_URLS: B }, 'must be an http:// or https:// URL'],
    ] as const)
      await expect(startEdge(env), message).rejects.toThrow(message);
  });
});

describe('HTTP_LISTEN', () => {
  test('redirects each host to its own base URL, and every other to BASE_URL', async () => {
    const { certificate: TLS_CERTIFICATE, key: TLS_KEY } = certificates.get(A) as Certificates;
    const shared = { BASE_URL: `https://${A}/`, BASE_URLS: `https://${B}:8443/, http://old.example, https://${A}:9443` };
    for (const env of [
      { ...shared, TLS_DIR: await tlsDirectory([A, B]) },
      { ...shared, TLS_CERTIFICATE, TLS_KEY },
    ]) {
      const { httpPort, loggedHosts } = await startEdge(env, true);
      const path = '/r/00abcdefghijklmnopq.gif?a=%20b';
      for (const [host, base] of [
        [A, `https://${A}`],
        [B, `https://${B}:8443`],
        ['old.example', `https://${A}`],
        ['c.example', `https://${A}`],
      ] as const) {
        const { status, headers } = await get(httpPort, host, path, { plain: true });
        expect([host, status, headers.location]).toEqual([host, 301, `${base}${path}`]);
      }
      expect(await loggedHosts()).toEqual([]);
    }
  });
});

describe('without TLS', () => {
  test('every host is answered, whatever BASE_URLS has', async () => {
    const { port, loggedHosts } = await startEdge({ BASE_URL: `http://${A}`, BASE_URLS: 'https://münchen.example,nonsense' });
    for (const Host of [A, B, 'anything.example:8080']) expect((await rawRequest(port, 'GET', '/r/00abc.gif', { Host })).status).toBe(200);
    expect(await loggedHosts()).toEqual([A, B, 'anything.example']);
  });
});

describe('WELL_KNOWN_DIR', () => {
  const APPLE = '/.well-known/apple-app-site-association';
  const ANDROID = '/.well-known/assetlinks.json';

  /** Creates a directory with files for apps: both for A, the one for Android for B. The content of each file has its host. */
  async function wellKnownDirectory(name = 'well-known'): Promise<string> {
    const directory = join(await temporaryDirectory(), name);
    for (const [host, file] of [
      [A, 'apple-app-site-association'],
      [A, 'assetlinks.json'],
      [A, 'security.txt'],
      [A, 'secret'],
      [B, 'assetlinks.json'],
      ['', 'secret'],
    ] as const) {
      await mkdir(join(directory, host), { recursive: true });
      await writeFile(join(directory, host, file), `{"host":"${host}"}`);
    }
    await mkdir(join(directory, 'c.example', 'assetlinks.json'), { recursive: true });
    await writeFile(join(directory, 'c.example', 'assetlinks.json', 'index.html'), 'secret');
    return directory;
  }

  test('has the files of each host, as JSON and without a redirect; other hosts have none', async () => {
    const WELL_KNOWN_DIR = await wellKnownDirectory(oddNames(0)[0]);
    const { port, loggedHosts } = await startEdge({ WELL_KNOWN_DIR });
    for (const [host, path, status] of [
      [A, APPLE, 200],
      [A, ANDROID, 200],
      [`${A}:8443`, `${APPLE}?x=1`, 200],
      ['A.EXAMPLE', ANDROID, 200],
      [B, ANDROID, 200],
      [B, APPLE, 404],
      ['c.example', APPLE, 404],
      ['c.example', ANDROID, 404],
      ['d.example', APPLE, 404],
    ] as const) {
      const answer = await rawRequest(port, 'GET', path, { Host: host });
      expect([host, path, answer.status]).toEqual([host, path, status]);
      if (status !== 200) continue;
      expect(answer.headers.get('content-type')).toBe('application/json');
      expect(answer.body.toString()).toBe(`{"host":"${host.toLowerCase().replace(/:.*/, '')}"}`);
    }
    expect((await rawRequest(port, 'POST', APPLE, { Host: A })).status).toBe(405);
    await writeFile(join(WELL_KNOWN_DIR, B, 'apple-app-site-association'), 'new');
    expect((await rawRequest(port, 'GET', APPLE, { Host: B })).body.toString()).toBe('new');
    expect(await loggedHosts()).toEqual([]);
  });

  test('has the files of each host over TLS, with HSTS, and plain HTTP is redirected', async () => {
    const WELL_KNOWN_DIR = await wellKnownDirectory();
    const urls = { BASE_URL: `https://${A}`, BASE_URLS: `https://${B}` };
    const { port, httpPort } = await startEdge({ WELL_KNOWN_DIR, TLS_DIR: await tlsDirectory([A, B]), ...urls }, true);
    for (const host of [A, B]) {
      const { status, headers, body, certificate } = await get(port, host, ANDROID);
      expect([status, headers['content-type'], body, certificate]).toEqual([200, 'application/json', `{"host":"${host}"}`, host]);
      expect(headers['strict-transport-security']).toBe('max-age=63072000');
      expect((await get(httpPort, host, ANDROID, { plain: true })).headers.location).toBe(`https://${host}${ANDROID}`);
    }
  });

  test('shows nothing else, whatever the path and the host are', async () => {
    const WELL_KNOWN_DIR = await wellKnownDirectory();
    await symlink(WELL_KNOWN_DIR, join(WELL_KNOWN_DIR, A, 'up'));
    const { port } = await startEdge({ WELL_KNOWN_DIR });
    const paths = [
      '/.well-known/',
      '/.well-known',
      '/.well-known/security.txt',
      '/.well-known/secret',
      '/.well-known/up/secret',
      `${APPLE}/`,
      `${APPLE}/x`,
      `${APPLE}.json`,
      `${APPLE}%00`,
      `${APPLE}%0a`,
      `${APPLE}/../secret`,
      '/.well-known/%2e%2e/secret',
      '/.well-known/..%2fsecret',
      '/.well-known/Assetlinks.json',
      '/apple-app-site-association',
      `/clickledger-well-known/${A}/assetlinks.json`,
      `/clickledger-well-known/${A}/secret`,
      `/clickledger-pages/../clickledger-well-known/${A}/secret`,
    ];
    for (const path of paths) {
      const { status, body } = await rawRequest(port, 'GET', path, { Host: A });
      expect([path, status === 404 || status === 400]).toEqual([path, true]);
      expect(body.toString()).not.toContain('host":');
    }
    for (const Host of [
      '..',
      '.',
      '../',
      `${A}/..`,
      `..%2f${A}`,
      `../${A}`,
      '%2e%2e',
      `x/../${A}`,
      '',
      `${A}\\..`,
      `[::1]`,
      '$uri',
      `${A}\x01`,
    ])
      for (const path of [APPLE, ANDROID]) {
        const { status, body } = await rawRequest(port, 'GET', path, { Host });
        expect([Host, status === 404 || status === 400]).toEqual([Host, true]);
        expect(body.toString()).not.toContain('host":');
      }
  });

  test('that is removed from the settings is not served any more, and one that does not exist is an error', async () => {
    const directory = await temporaryDirectory();
    const start = async (env: Record<string, string>) => {
      const port = await freePort();
      const options = { logDir: join(directory, 'logs'), runDir: join(directory, 'run'), port, backendPorts: [1], env };
      const nginx = await startNginx({ ...options, env: { ...env, NGINX_WORKERS: '1' } });
      const { status } = await rawRequest(port, 'GET', APPLE, { Host: A });
      await nginx.stop();
      return status;
    };
    expect(await start({ WELL_KNOWN_DIR: await wellKnownDirectory() })).toBe(200);
    expect(await start({})).toBe(404);
    await expect(start({ WELL_KNOWN_DIR: join(directory, 'nowhere') })).rejects.toThrow('WELL_KNOWN_DIR');
  });
});
