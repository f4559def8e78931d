import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseSmtpUrl } from '../../core/smtp-url.ts';
import { makeCertificates } from '../../test/support/certificates.ts';
import { type Fault, type MailServer, type MailServerOptions, startMailServer, type Step } from '../../test/support/mail-server.ts';
import { temporaryDirectory } from '../../test/support/servers.ts';
import { createSmtpClient, type Outcome } from './smtp-client.ts';

// Tests what the client says about a message after every kind of fault, with a real server.

const LARGE = Buffer.alloc(30_000_000, 'a line of a message\r\n');

/** Starts a server and returns a function that sends a message to a person with one client. */
async function setUp(options: MailServerOptions = {}, credentials = '') {
  const server = await startMailServer(options);
  const client = createSmtpClient(parseSmtpUrl(`smtp://${credentials}127.0.0.1:${server.port}`), { connectMs: 10_000, silenceMs: 10_000 });
  onTestFinished(() => client.close());
  let begun = 0;
  const send = (to = 'ann@example.com', message = Buffer.from('Subject: x\r\n\r\n.hidden\r\nbody\r\n')): Promise<Outcome> =>
    client.send({
      from: 'news@shop.example',
      to,
      message,
      beforeContent: async () => {
        begun++;
      },
    });
  return { server, send, begun: () => begun };
}

/** A fault at one step, for the first message only. */
function firstOnly(step: Step, fault: Fault): MailServerOptions {
  let left = 1;
  return { fault: (at) => (at === step && left-- > 0 ? fault : undefined) };
}

/** Sends two messages and returns what became of them, and what the server has. */
async function twoMessages(options: MailServerOptions): Promise<{ outcomes: string[]; server: MailServer; begun: number; first: Outcome }> {
  const { server, send, begun } = await setUp(options);
  const first = await send('ann@example.com');
  const begunThen = begun();
  const second = await send('bob@example.com');
  return { outcomes: [first.is, second.is], server, begun: begunThen, first };
}

test('messages go over one connection, unchanged', async () => {
  const { server, send } = await setUp();
  expect([await send('ann@example.com'), await send('bob@example.com')]).toEqual([{ is: 'sent' }, { is: 'sent' }]);
  expect(server.stored.map(({ to, from, content }) => [to, from, content])).toEqual([
    ['ann@example.com', 'news@shop.example', 'Subject: x\r\n\r\n.hidden\r\nbody\r\n'],
    ['bob@example.com', 'news@shop.example', 'Subject: x\r\n\r\n.hidden\r\nbody\r\n'],
  ]);
  expect(server.maxSessions()).toBe(1);
});

describe('the server dies', () => {
  test.each(['connect', 'mail', 'rcpt'] as const)('at %s: the message has not begun, and the next one is sent', async (step) => {
    const { outcomes, server, begun } = await twoMessages(firstOnly(step, 'die'));
    expect({ outcomes, begun, counts: server.counts() }).toEqual({
      outcomes: ['unavailable', 'sent'],
      begun: 0,
      counts: { 'bob@example.com': 1 },
    });
  });

  test('in the middle of a long message: it was not sent', async () => {
    const { server, send, begun } = await setUp(firstOnly('data', 'die'));
    expect(await send('ann@example.com', LARGE)).toMatchObject({ is: 'deferred' });
    expect({ begun: begun(), counts: server.counts() }).toEqual({ begun: 1, counts: {} });
    expect(await send('ann@example.com', LARGE.subarray(0, 3_000_000))).toEqual({ is: 'sent' });
  });

  test('after the message, before its answer: it is not known', async () => {
    const { outcomes, server, begun } = await twoMessages(firstOnly('stored', 'die'));
    expect({ outcomes, begun, counts: server.counts() }).toEqual({
      outcomes: ['unknown', 'sent'],
      begun: 1,
      counts: { 'ann@example.com': 1, 'bob@example.com': 1 },
    });
  });

  test('after its answer: the message was sent, and the next one goes over a new connection', async () => {
    const { server, send } = await setUp(firstOnly('answered', 'die'));
    const first = await send('ann@example.com');
    // The answer and the end of the connection may come together.
    expect(['sent', 'unknown']).toContain(first.is);
    let second = await send('bob@example.com');
    if (second.is === 'unavailable') second = await send('bob@example.com');
    expect(second.is).toBe('sent');
    expect(server.counts()).toEqual({ 'ann@example.com': 1, 'bob@example.com': 1 });
  });
});

describe('the server answers', () => {
  test.each([
    ['connect', 421, 'unavailable'],
    ['connect', 554, 'rejected'],
    ['mail', 451, 'unavailable'],
    ['mail', 421, 'unavailable'],
    ['mail', 550, 'rejected'],
    ['rcpt', 450, 'deferred'],
    ['rcpt', 550, 'refused'],
    ['data', 452, 'deferred'],
    ['data', 554, 'refused'],
  ] as const)('at %s with %i: the message is %s, and the next one is sent', async (step, code, is) => {
    const { outcomes, server, first } = await twoMessages(firstOnly(step, { code, text: '4.2.1 <ann@example.com> no' }));
    expect({ outcomes, counts: server.counts() }).toEqual({ outcomes: [is, 'sent'], counts: { 'bob@example.com': 1 } });
    expect(first).toMatchObject({ reason: expect.stringContaining(`${code} `) });
  });

  test('many refusals do not use up the connection', async () => {
    const { server, send } = await setUp({ fault: (step, to) => (step === 'rcpt' && to.startsWith('no') ? { code: 550 } : undefined) });
    for (let i = 0; i < 30; i++) expect((await send(`no${i}@example.com`)).is).toBe('refused');
    expect((await send()).is).toBe('sent');
    expect(server.maxSessions()).toBe(1);
  });
});

test('a message is not sent if it cannot be recorded before', async () => {
  const server = await startMailServer();
  const client = createSmtpClient(parseSmtpUrl(`smtp://127.0.0.1:${server.port}`));
  onTestFinished(() => client.close());
  const message = { from: 'news@shop.example', to: 'ann@example.com', message: Buffer.from('x') };
  await expect(client.send({ ...message, beforeContent: () => Promise.reject(new Error('the disk is full')) })).rejects.toThrow(
    'disk is full',
  );
  expect(await client.send({ ...message, to: 'bob@example.com', beforeContent: async () => {} })).toEqual({ is: 'sent' });
  expect(server.counts()).toEqual({ 'bob@example.com': 1 });
});

test('nobody listens: the server is unavailable', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const client = createSmtpClient(parseSmtpUrl(`smtp://127.0.0.1:${port}`));
  expect(await client.connect()).toMatchObject({ is: 'unavailable', reason: expect.stringContaining('ECONNREFUSED') });
});

describe('the login', () => {
  const login = { user: 'shop', password: 'p@ss' };

  test('is used, on loopback also without TLS', async () => {
    const { server, send } = await setUp({ login }, 'shop:p%40ss@');
    expect(await send()).toEqual({ is: 'sent' });
    expect(server.stored[0]).toMatchObject({ user: 'shop', isSecure: false });
  });

  test('on loopback, a certificate that the server signed itself is enough for TLS', async () => {
    const certificates = await makeCertificates(await temporaryDirectory(), 'mail');
    const { server, send } = await setUp({ login, certificates }, 'shop:p%40ss@');
    expect(await send()).toEqual({ is: 'sent' });
    expect(server.stored[0]).toMatchObject({ user: 'shop', isSecure: true });
  });

  test('with a wrong password, or at a server without logins, no attempt follows', async () => {
    const { send } = await setUp({ login }, 'shop:wrong@');
    expect(await send()).toMatchObject({ is: 'rejected', reason: expect.stringMatching(/535(?!.*wrong@)/) });
    const { send: sendWithout } = await setUp({}, 'shop:p%40ss@');
    expect(await sendWithout()).toMatchObject({ is: 'rejected', reason: 'the server offers no login' });
  });

  test('is not sent without TLS, nor over TLS with an unknown certificate, unless the server is on this machine', async () => {
    const certificates = await makeCertificates(await temporaryDirectory(), 'mail');
    for (const [options, reason] of [
      [{ login }, /STARTTLS.*A password is sent only over TLS/],
      [{ login, certificates }, /no certificate that this machine trusts.*NODE_EXTRA_CA_CERTS/],
    ] as const) {
      const server = await startMailServer(options);
      // The address is on this machine, but the client must treat it like any other.
      const client = createSmtpClient({ ...parseSmtpUrl(`smtp://shop:p%40ss@127.0.0.1:${server.port}`), isLoopback: false });
      expect(await client.connect()).toMatchObject({ is: 'rejected', reason: expect.stringMatching(reason) });
    }
  });
});
