import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { Webhook as Verifier } from 'standardwebhooks';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseAddressRanges } from '../core/address-ranges.ts';
import { freePort } from '../stack/ports.ts';
import { makeCertificates } from '../test/support/certificates.ts';
import { temporaryDirectory } from '../test/support/servers.ts';
import { startWebhookServer, type WebhookServer } from '../test/support/webhook-server.ts';
import { assertAccepted, createWebhook, type Webhook } from './webhook.ts';

const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
const OLDER = `whsec_${Buffer.from('fedcba9876543210fedcba9876543210').toString('base64')}`;
const LOOPBACK = parseAddressRanges('127.0.0.0/8,::1');
const BODY = Buffer.from('{"type":"test"}');

async function ownServer(...args: Parameters<typeof startWebhookServer>): Promise<WebhookServer> {
  const server = await startWebhookServer(...args);
  onTestFinished(() => server.close());
  return server;
}

function ownWebhook(url: string, options: { secrets?: string[]; allowed?: string; timeoutMs?: number } = {}): Webhook {
  const allowed = options.allowed === undefined ? LOOPBACK : parseAddressRanges(options.allowed);
  const webhook = createWebhook(url, options.secrets ?? [SECRET], allowed, options.timeoutMs ?? 5_000);
  onTestFinished(() => webhook.close());
  return webhook;
}

/** Sends and returns the failure, as a delivery does. */
const failureOf = (webhook: Webhook): Promise<unknown> =>
  webhook.post('msg_1', BODY).then(
    (answer) => {
      try {
        assertAccepted(answer);
        return undefined;
      } catch (error) {
        return error;
      }
    },
    (error: unknown) => error,
  );

test('a published library accepts the signature, with each of the secrets of a rotation and no other', async () => {
  const server = await ownServer();
  await ownWebhook(server.url, { secrets: [SECRET, OLDER] }).post('msg_1', BODY);
  const { body, headers } = server.accepted[0] as (typeof server.accepted)[number];
  const signed = headers as Record<string, string>;
  expect(new Verifier(SECRET).verify(body, signed)).toEqual({ type: 'test' });
  expect(new Verifier(OLDER).verify(body, signed)).toEqual({ type: 'test' });
  expect(() => new Verifier(`whsec_${Buffer.alloc(32).toString('base64')}`).verify(body, signed)).toThrow();
  expect(() => new Verifier(SECRET).verify(body.replace('test', 'tset'), signed)).toThrow();
  expect(() => new Verifier(SECRET).verify(body, { ...signed, 'webhook-id': 'msg_2' })).toThrow();
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': 'msg_1' });
});

describe('answers', () => {
  test.each([
    { status: 200, failure: undefined },
    { status: 204, failure: undefined },
    { status: 299, failure: undefined },
    { status: 301, failure: 'retry' },
    { status: 308, failure: 'retry' },
    { status: 400, failure: 'retry' },
    { status: 404, failure: 'retry' },
    { status: 410, failure: 'gone' },
    { status: 413, failure: 'too-large' },
    { status: 429, failure: 'retry' },
    { status: 500, failure: 'retry' },
    { status: 503, failure: 'retry' },
  ])('$status: $failure', async ({ status, failure }) => {
    const server = await ownServer();
    server.answer = (response) => response.writeHead(status, { location: 'http://169.254.169.254/' }).end('x');
    const error = await failureOf(ownWebhook(server.url));
    if (failure === undefined) expect(error).toBeUndefined();
    else expect(error).toMatchObject({ failure });
  });

  test('a redirect is not followed', async () => {
    const inner = await ownServer();
    const server = await ownServer();
    server.answer = (response) => response.writeHead(307, { location: inner.url }).end();
    expect(await failureOf(ownWebhook(server.url))).toMatchObject({
      failure: 'retry',
      message: expect.stringContaining('final URL') as string,
    });
    expect(inner.requests).toEqual([]);
  });

  test.each([
    { header: '7', ms: 7_000 },
    { header: new Date(Date.now() + 60_000).toUTCString(), ms: 60_000 },
    { header: 'Thu, 01 Jan 1970 00:00:00 GMT', ms: 0 },
    { header: 'soon', ms: undefined },
  ])('Retry-After: $header', async ({ header, ms }) => {
    const server = await ownServer();
    server.answer = (response) => response.writeHead(503, { 'retry-after': header }).end();
    const { retryAfterMs } = (await failureOf(ownWebhook(server.url))) as { retryAfterMs: number | undefined };
    if (ms === undefined) expect(retryAfterMs).toBeUndefined();
    else expect(Math.abs((retryAfterMs as number) - ms)).toBeLessThan(5_000);
  });

  test('the same connection is used again, also after an answer with a body', async () => {
    const server = await ownServer();
    const ports = new Set<number | undefined>();
    server.answer = (response) => {
      ports.add(response.socket?.remotePort);
      response.writeHead(200).end('x'.repeat(10_000));
    };
    const webhook = ownWebhook(server.url);
    for (let i = 0; i < 5; i++) await webhook.post(`msg_${i}`, BODY);
    expect(ports.size).toBe(1);
  });
});

describe('receivers that break', () => {
  const listen = async (onConnection: (socket: Socket) => void): Promise<string> => {
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      onConnection(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as { port: number }).port}/`;
  };

  test.each([
    { name: 'accepts and says nothing', onConnection: () => {} },
    {
      name: 'sends its head one byte at a time, for ever',
      onConnection: (socket: Socket) => {
        socket.write('HTTP/1.1 200 OK\r\nX: ');
        const timer = setInterval(() => socket.write('x'), 20);
        socket.on('close', () => clearInterval(timer));
      },
    },
    {
      name: 'answers with a body that never ends',
      onConnection: (socket: Socket) => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        const timer = setInterval(() => socket.write('1\r\nx\r\n'), 20);
        socket.on('close', () => clearInterval(timer));
      },
    },
  ])('$name: no answer within the limit', async ({ onConnection }) => {
    const url = await listen(onConnection);
    expect(await failureOf(ownWebhook(url, { timeoutMs: 300 }))).toMatchObject({ failure: 'retry', message: 'no answer within 0.3 s' });
  });

  test('a body of gigabytes is not read', async () => {
    let written = 0;
    const url = await listen((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n');
      const more = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536))) written += 65_536;
      };
      socket.on('drain', more);
      more();
    });
    await ownWebhook(url).post('msg_1', BODY);
    expect(written).toBeLessThan(50_000_000);
  });

  test.each([
    { name: 'closes at once', onConnection: (socket: Socket) => void socket.destroy() },
    { name: 'resets', onConnection: (socket: Socket) => void socket.resetAndDestroy() },
    {
      name: 'changes to another protocol',
      onConnection: (socket: Socket) =>
        void socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    },
    { name: 'speaks another protocol', onConnection: (socket: Socket) => void socket.end('220 mail.example ESMTP\r\n') },
    {
      name: 'ends in the middle of the body',
      onConnection: (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx'),
    },
  ])('$name', async ({ onConnection }) => {
    expect(await failureOf(ownWebhook(await listen(onConnection)))).toMatchObject({ failure: 'retry' });
  });

  test('nobody listens', async () => {
    expect(await failureOf(ownWebhook(`http://127.0.0.1:${await freePort()}/`))).toMatchObject({
      failure: 'retry',
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
  });

  test('the certificate must be valid', async () => {
    const { certificate, key } = await makeCertificates(await temporaryDirectory(), 'theirs');
    const server = await ownServer(
      (listener) => createTlsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, listener),
      'https',
    );
    expect(await failureOf(ownWebhook(server.url))).toMatchObject({ failure: 'retry' });
    expect(server.requests).toEqual([]);
    // A server without TLS at an https URL.
    const plain = await ownServer();
    expect(await failureOf(ownWebhook(plain.url.replace('http:', 'https:')))).toMatchObject({ failure: 'retry' });
  });
});

describe('addresses', () => {
  test.each([
    'http://127.0.0.1:{port}/',
    'http://localhost:{port}/',
    'http://[::1]:{port}/',
    'http://[::ffff:127.0.0.1]:{port}/',
    'http://[::ffff:7f00:1]:{port}/',
    'http://0.0.0.0:{port}/',
    'http://[::]:{port}/',
    'http://127.1:{port}/',
    'http://2130706433:{port}/',
    'http://0x7f.1:{port}/',
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://192.168.1.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://100.64.0.1/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://192.0.2.1/',
    'http://[fe80::1]/',
    'http://[fc00::1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'https://localhost:{port}/',
  ])('%s is refused', async (url) => {
    const server = await ownServer();
    const target = url.replace('{port}', new URL(server.url).port);
    expect(await failureOf(ownWebhook(target, { allowed: '' }))).toMatchObject({
      failure: 'retry',
      message: expect.stringContaining('FORWARDER_NETWORKS') as string,
    });
    expect(server.requests).toEqual([]);
  });

  test('only the networks of FORWARDER_NETWORKS are allowed besides', async () => {
    const server = await ownServer();
    expect(await failureOf(ownWebhook(server.url, { allowed: '10.0.0.0/8' }))).toMatchObject({ failure: 'retry' });
    expect(await failureOf(ownWebhook(server.url.replace('127.0.0.1', 'localhost'), { allowed: '127.0.0.1' }))).toBeUndefined();
    expect(server.requests.length).toBe(1);
  });
});
