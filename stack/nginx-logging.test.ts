import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseLine } from '../log-agent/parse.ts';
import { logLine } from '../test/support/log-lines.ts';
import { rawRequest } from '../test/support/raw-http.ts';
import { runs } from '../test/support/runs.ts';
import { eventually, temporaryDirectory } from '../test/support/servers.ts';
import { rotateLog, startNginx } from './nginx.ts';
import { freePort } from './ports.ts';
import type { Running } from './process.ts';

// Tests which log lines clients can cause, which clients the rate limit counts as one, and who may read the logs.

const SLUG = '00abcdefghijklmnopq';
const TEMPLATE = await readFile(join(import.meta.dirname, '..', 'nginx', 'tracking.conf.template'), 'utf8');

interface Edge {
  nginx: Running;
  port: number;
  directory: string;
  logDir: string;
}

async function startEdge(env: Record<string, string> = {}, prepare: (logDir: string) => Promise<void> = async () => {}): Promise<Edge> {
  const directory = await temporaryDirectory();
  const logDir = join(directory, 'logs');
  await prepare(logDir);
  const port = await freePort();
  const nginx = await startNginx({ logDir, runDir: join(directory, 'run'), port, backendPorts: [await freePort()], env });
  onTestFinished(() => nginx.stop());
  return { nginx, port, directory, logDir };
}

describe('the limit of clicks', () => {
  /**
   * Returns a function that sends a click from an address and returns the status. There is no backend, so a click within the limit gets
   * status 502.
   */
  async function startClicks(): Promise<(address: string) => Promise<number>> {
    const { port } = await startEdge({ RATE_LIMIT: '1', RATE_BURST: '1', TRUSTED_PROXIES: '127.0.0.1' });
    return async (address) => (await rawRequest(port, 'GET', `/u/${SLUG}`, { 'X-Forwarded-For': address })).status;
  }

  const group = fc.integer({ min: 0, max: 0xffff });
  const hex = (groups: readonly number[]): string => groups.map((part) => part.toString(16)).join(':');
  /** Returns the same address in several forms: without leading zeros, in capital letters, with leading zeros, and shortened with `::`. */
  const forms = (groups: readonly number[]): string[] => [
    hex(groups),
    hex(groups).toUpperCase(),
    groups.map((part) => part.toString(16).padStart(4, '0')).join(':'),
    new URL(`http://[${hex(groups)}]/`).hostname.slice(1, -1),
  ];
  // Each group of the network is often zero, because `::` in an address replaces groups that are zero.
  const network = fc.tuple(fc.integer({ min: 0x2000, max: 0x3fff }), ...[1, 2, 3].map(() => fc.oneof(fc.constant(0), group)));
  const host = fc.tuple(...[1, 2, 3, 4].map(() => fc.oneof(fc.constant(0), group)));

  test('counts all addresses of a /64 as one client, in whatever form, and those of others apart', async () => {
    const clickFrom = await startClicks();
    const used = new Set<string>();
    await fc.assert(
      fc.asyncProperty(network, fc.array(host, { minLength: 4, maxLength: 4 }), fc.nat(3), async (prefix, hosts, form) => {
        fc.pre(!used.has(hex(prefix)));
        used.add(hex(prefix));
        const statuses: number[] = [];
        for (const [i, suffix] of hosts.entries()) statuses.push(await clickFrom(forms([...prefix, ...suffix])[(form + i) % 4] as string));
        expect(statuses.slice(0, 2)).toEqual([502, 502]);
        expect(statuses.slice(2)).toContain(429);
      }),
      runs(60),
    );
  });

  test('counts each IPv4 address by itself, also where it is mapped into IPv6', async () => {
    const clickFrom = await startClicks();
    for (let n = 0; n < 40; n++) {
      const address = `198.51.${n}.${n}`;
      const mapped = [`::ffff:${address}`, `::ffff:c633:${((n << 8) | n).toString(16)}`];
      expect(await clickFrom(mapped[n % 2] as string)).toBe(502);
      expect(await clickFrom(address)).toBe(502);
      expect([await clickFrom(mapped[(n + 1) % 2] as string), await clickFrom(address)]).toContain(429);
    }
  });
});

describe('the log', () => {
  /** The regular expressions of the map. They have the same meaning in nginx and JavaScript. */
  const conditions = Array.from(
    (/map "\$status \$clickledger_path \$clickledger_unsubscribes" \$clickledger_logged \{([^]*?)\n\}/.exec(TEMPLATE)?.[1] ?? '').matchAll(
      /"~(.*)" 1;/g,
    ),
    ([, pattern]) => new RegExp(pattern as string),
  );
  const isLogged = (status: number, path: string): boolean =>
    conditions.some((condition) => condition.test(`${status} ${path} ${path.startsWith('/o/') ? 1 : 0}`));

  test('has every request that can count', () => {
    expect(conditions.length).toBeGreaterThan(1);
    const letters = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', '_', '.', '/', ' ', 'é'), maxLength: 45 });
    const path = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.tuple(
          fc.constantFrom('/u/', '/r/', '/o/'),
          fc.stringMatching(/^[0-9A-Za-z]{4,41}$/),
          fc.constantFrom('', '.gif', '-x'),
        ),
      },
      { weight: 1, arbitrary: fc.tuple(fc.constantFrom('/u/', '/r/', '/o/', '/', ''), letters, fc.constantFrom('', '.gif')) },
    );
    let counted = 0;
    fc.assert(
      fc.property(path, fc.constantFrom(200, 204, 206, 301, 302, 304, 404, 405, 413, 429), fc.constantFrom('', '7.1'), (parts, s, link) => {
        const u = parts.join('');
        if (!('hit' in parseLine(logLine({ u, s, link }).trimEnd()))) return;
        counted++;
        expect(isLogged(s, u), `${s} ${u}`).toBe(true);
      }),
      runs(8000),
    );
    expect(counted).toBeGreaterThan(100);
  });

  test('and the error log do not grow with requests that cannot count, or fail, or are broken off', { timeout: 120_000 }, async () => {
    const edge = await startEdge({ RATE_LIMIT: '1', RATE_BURST: '1' });
    const { port, logDir, directory } = edge;
    const sizes = async (): Promise<number[]> =>
      Promise.all([join(logDir, 'access.log'), join(directory, 'run', 'nginx', 'error.log')].map(async (path) => (await stat(path)).size));
    const send = async (text: string): Promise<void> => {
      await new Promise<void>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port }, () => socket.end(text, 'latin1'));
        socket.on('error', () => resolve()).on('close', () => resolve());
        socket.resume();
      });
    };
    const request = (line: string, ...headers: string[]): string =>
      [line, 'Host: t.example', 'Connection: close', ...headers, '', ''].join('\r\n');
    const long = 'x'.repeat(70_000);
    const kinds: Record<string, string> = {
      'another address': request('GET /wp-login.php HTTP/1.1'),
      'no slug': request('GET /r/ HTTP/1.1'),
      'a slug that cannot be one': request('GET /r/..%2f..%2fetc%2fpasswd HTTP/1.1'),
      'another method': request('POST /r/00abcdefghijklmnopq.gif HTTP/1.1', 'Content-Length: 0'),
      'another method of a click': request('DELETE /u/00abcdefghijklmnopq HTTP/1.1'),
      'a body': request('GET /u/00abcdefghijklmnopq HTTP/1.1', 'Content-Length: 9', '', 'a body of it'),
      'beyond the limit': request('GET /u/00abcdefghijklmnopq HTTP/1.1'),
      'no HTTP': 'EHLO mail.example\r\n\r\n',
      'binary data': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
      'an unknown version': request('GET /u/00abcdefghijklmnopq HTTP/9.9'),
      'a long address': request(`GET /u/${long} HTTP/1.1`),
      'long headers': request('GET /u/00abcdefghijklmnopq HTTP/1.1', `X-Long: ${long}`),
      'no host': 'GET /u/00abcdefghijklmnopq HTTP/1.1\r\n\r\n',
      'a bad host': 'GET /u/00abcdefghijklmnopq HTTP/1.1\r\nHost: a/b\r\n\r\n',
      'two lengths': request('GET /u/00abcdefghijklmnopq HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2'),
      'a header without an end': 'GET /u/00abcdefghijklmnopq HTTP/1.1\r\nHost: t.exam',
      'a path out of the root': request('GET /u/../../etc/passwd HTTP/1.1'),
      'a bad escape': request('GET /u/%zz HTTP/1.1'),
    };
    // This client closes its connection before the answer. nginx gives its request the status 499.
    const breakOff = async (): Promise<void> => {
      await new Promise<void>((resolve) => {
        const socket = connect({ host: '127.0.0.1', port }, () =>
          socket.write(kinds['beyond the limit'] as string, () => {
            socket.resetAndDestroy();
            resolve();
          }),
        );
        socket.on('error', () => resolve());
      });
    };
    const before = await sizes();
    for (let round = 0; round < 40; round++) await Promise.all([...Object.values(kinds).map(send), breakOff(), breakOff()]);
    const after = await sizes();
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    await rawRequest(port, 'GET', `/r/${SLUG}.gif`);
    await eventually('a pixel is logged', async () =>
      (await readFile(join(logDir, 'access.log'), 'utf8')).includes(`/r/${SLUG}.gif","s":200`),
    );
  });
});

describe('the rights of logs', () => {
  const rights = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8);

  async function expectClosed(logDir: string): Promise<void> {
    expect((await stat(logDir)).mode & 0o007).toBe(0);
    for (const name of await readdir(logDir)) expect([name, await rights(join(logDir, name))]).toEqual([name, '640']);
  }

  test.each(['000', '022', '077'])('are for their owner and group alone, with the umask %s', async (umask) => {
    const before = process.umask(umask);
    const edge = await startEdge().finally(() => process.umask(before));
    for (let i = 0; i < 2; i++) {
      await eventually('a line is in the log, which is then rotated', async () => {
        await rawRequest(edge.port, 'GET', `/r/${SLUG}.gif`);
        return (await rotateLog(edge.logDir, edge.nginx)) !== undefined;
      });
      await eventually('nginx opens a new log', async () => (await readdir(edge.logDir)).includes('access.log'));
    }
    expect(await readdir(edge.logDir)).toHaveLength(3);
    await expectClosed(edge.logDir);
    for (const name of await readdir(edge.logDir)) if (name !== 'access.log') await promisify(execFile)('gzip', [join(edge.logDir, name)]);
    await expectClosed(edge.logDir);
  });

  test('are narrowed where an earlier version left them open', async () => {
    const edge = await startEdge({}, async (logDir) => {
      await mkdir(logDir, { mode: 0o755 });
      await chmod(logDir, 0o755);
      for (const name of ['access.log', 'access.log.1.gz']) {
        await writeFile(join(logDir, name), logLine());
        await chmod(join(logDir, name), 0o644);
      }
    });
    expect(await readdir(edge.logDir)).toHaveLength(3);
    for (const name of await readdir(edge.logDir)) expect((await stat(join(edge.logDir, name))).mode & 0o007).toBe(0);
    expect((await stat(edge.logDir)).mode & 0o007).toBe(0);
  });

  test('let the agent of another user read and delete them, and the workers of nginx open them again', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('only root can start nginx with workers of another user');
    const edge = await startEdge({ NGINX_USER: 'games', ROTATE_SECONDS: '1' }, async (logDir) => {
      // The directory belongs to the agent, and the workers of nginx are in its group.
      await mkdir(logDir, { mode: 0o750 });
      await promisify(execFile)('chown', ['nobody:games', logDir]);
    });
    const [agent, group] = await Promise.all(
      ['-u', '-g'].map(async (option) => Number((await promisify(execFile)('id', [option, option === '-u' ? 'nobody' : 'games'])).stdout)),
    );
    // The stack closes these directories to other users. With systemd services, these directories are open to other users.
    for (const directory of [edge.directory, join(edge.directory, 'run')]) await chmod(directory, 0o755);
    await eventually('a line is in the log, which is then rotated', async () => {
      await rawRequest(edge.port, 'GET', `/r/${SLUG}.gif`);
      return (await readdir(edge.logDir)).length > 1;
    });
    await eventually('a worker writes to the new log', async () => {
      await rawRequest(edge.port, 'GET', `/r/${SLUG}.gif`);
      return (await stat(join(edge.logDir, 'access.log')).catch(() => ({ size: 0 }))).size > 0;
    });
    expect((await stat(edge.logDir)).uid).toBe(agent);
    for (const name of await readdir(edge.logDir)) {
      const { gid, mode } = await stat(join(edge.logDir, name));
      expect([name, mode & 0o777, gid]).toEqual([name, 0o640, group]);
    }
  });
});
