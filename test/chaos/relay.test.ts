import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import PostalMime from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { expect, onTestFinished, test } from 'vitest';
import { createSlugCodec, parseSlugKeys } from '../../core/slug.ts';
import { startPart } from '../../stack/part.ts';
import { freePort } from '../../stack/ports.ts';
import { startSystem } from '../../stack/system.ts';
import { asData, talkTo } from '../support/mail.ts';
import { createRandom } from './random.ts';

// Senders send messages through the relay and try again after each failure, while the relay, the mail server and the catalog are killed. Then the
// messages are counted at both ends. RELAY_CHAOS_SECONDS and RELAY_CHAOS_SEED change the run.

const SECONDS = Number(process.env['RELAY_CHAOS_SECONDS'] ?? 20);
const SEED = Number(process.env['RELAY_CHAOS_SEED'] ?? 1);
const SENDERS = 8;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What a sender knows about a message. */
interface Sent {
  id: string;
  /** The number of attempts that got 250. After one, the message is not sent again. */
  accepted: number;
  /** The number of attempts after which the sender could not know whether the message was accepted: no reply, or 451 4.4.2. */
  uncertain: number;
}

/** A mail server that keeps messages and fails in the middle of conversations. */
async function startFailingServer(port: number, random: () => number) {
  const messages: Buffer[] = [];
  const sockets = new Set<Socket>();
  let server: SMTPServer | undefined;
  const refuse = () => Object.assign(new Error('4.3.2 try later'), { responseCode: 451 });
  const listen = async (): Promise<void> => {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      closeTimeout: 1,
      logger: false,
      onConnect: (_session, callback) => callback(random() < 0.03 ? refuse() : null),
      onRcptTo: (_address, _session, callback) => callback(random() < 0.03 ? refuse() : null),
      onData(stream, _session, callback) {
        const chunks: Buffer[] = [];
        let size = 0;
        const diesAt = random() < 0.03 ? 1 + Math.floor(random() * 3000) : Infinity;
        stream.on('error', () => {});
        stream.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size > diesAt) for (const socket of sockets) socket.destroy();
        });
        stream.on('end', () => {
          if (random() < 0.03) return callback(refuse());
          messages.push(Buffer.concat(chunks));
          // The answer is lost although the message was accepted.
          if (random() < 0.03) for (const socket of sockets) socket.destroy();
          return callback(null, '2.0.0 queued');
        });
      },
    });
    server.on('error', () => {});
    server.server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  };
  const kill = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server?.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await listen();
  return { messages, kill, listen };
}

/** Returns a message with a checksum of its text, so that a part of it cannot pass as the whole. */
function compose(id: string, size: number): string {
  const filler = createHash('sha512')
    .update(id)
    .digest('hex')
    .repeat(Math.ceil(size / 128))
    .slice(0, size)
    .replace(/.{70}/g, '$&\r\n');
  return [
    'From: news@shop.example',
    'Subject: chaos',
    'X-Clickledger-Campaign: chaos',
    `X-Id: ${id}`,
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/html; charset=utf-8',
    '',
    `<p>${id} <a href="https://shop.example/a">a</a> <a href="https://shop.example/b">b</a></p>`,
    '--b',
    'Content-Type: application/octet-stream; name=a.bin',
    '',
    `${filler}${createHash('sha256').update(filler).digest('hex')}`,
    '--b--',
    '',
  ].join('\r\n');
}

test('no message is lost, and none is doubled but those whose sender could not know that they had arrived', {
  timeout: (SECONDS + 180) * 1000,
}, async () => {
  const generator = createRandom(SEED);
  const random = (): number => generator.next();
  const dataDir = await mkdtemp(join(tmpdir(), 'clickledger-relay-chaos-'));
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const system = await startSystem({ dataDir, shards: 1, durable: false, extra: { LOG_LEVEL: 'warn' } });
  onTestFinished(() => system.stop());
  const [port, upstreamPort] = [await freePort(), await freePort()];
  const upstream = await startFailingServer(upstreamPort, random);
  onTestFinished(() => upstream.kill());
  const startRelay = () =>
    startPart({
      part: 'relay',
      name: 'relay',
      runDir: join(dataDir, 'run'),
      env: {
        ...system.env,
        RELAY_PORT: String(port),
        RELAY_UPSTREAM: `smtp://127.0.0.1:${upstreamPort}`,
        LOG_LEVEL: 'silent',
      },
    });
  let relay = await startRelay();
  onTestFinished(() => relay.stop());

  const all: Sent[] = [];
  let isOver = false;
  const sendOnce = async (sent: Sent, message: Buffer): Promise<void> => {
    const talk = await talkTo(port).catch(() => undefined);
    if (!talk) return;
    try {
      await talk.say('EHLO sender.example');
      for (const line of ['MAIL FROM:<news@shop.example>', `RCPT TO:<${sent.id}@example.com>`, 'DATA'])
        if (!/^[23]/.test(await talk.say(line))) return;
      talk.write(message);
      const reply = await talk.reply();
      if (reply.startsWith('250')) sent.accepted++;
      else if (reply === '' || reply.startsWith('451 4.4.2')) sent.uncertain++;
    } finally {
      talk.destroy();
    }
  };
  const sender = async (number: number): Promise<void> => {
    for (let i = 0; !isOver; i++) {
      const sent: Sent = { id: `m${number}x${i}`, accepted: 0, uncertain: 0 };
      all.push(sent);
      const message = asData(compose(sent.id, Math.floor(random() ** 4 * 200_000)));
      // The last messages are sent until they are accepted, after all faults have ended.
      while (sent.accepted === 0) {
        await sendOnce(sent, message);
        if (sent.accepted === 0) await sleep(20 + random() * 100);
      }
    }
  };
  const senders = Promise.all(Array.from({ length: SENDERS }, (_, i) => sender(i)));

  const faults: readonly (() => Promise<void>)[] = [
    async () => {
      await relay.kill();
      relay = await startRelay();
    },
    async () => {
      await relay.stop();
      relay = await startRelay();
    },
    async () => {
      await upstream.kill();
      await sleep(random() * 500);
      await upstream.listen();
    },
    async () => {
      await system.member('postgres').running?.kill();
      await sleep(random() * 500);
      await system.member('postgres').start();
    },
  ];
  const deadline = performance.now() + SECONDS * 1000;
  for (let i = 0; performance.now() < deadline; i++) {
    await sleep(random() * 800);
    await (faults[i % faults.length] as () => Promise<void>)();
  }
  isOver = true;
  await senders;

  const slugs = createSlugCodec(parseSlugKeys(system.env['SLUG_KEYS'] ?? ''));
  const copies = new Map<string, number>();
  const recipients = new Map<string, Set<number>>();
  let damaged = 0;
  for (const bytes of upstream.messages) {
    const mail = await PostalMime.parse(bytes);
    const id = mail.headers.find(({ key }) => key === 'x-id')?.value ?? '';
    copies.set(id, (copies.get(id) ?? 0) + 1);
    const [, content = ''] = /name=a\.bin\r\n\r\n([\s\S]*)\r\n--b--\r\n$/.exec(bytes.toString()) ?? [];
    const [filler, checksum] = [content.slice(0, -64), content.slice(-64)];
    const links = Array.from((mail.html ?? '').matchAll(/\/[ur]\/(\w+)/g), ([, slug]) => slugs.verify(slug as string));
    const owners = new Set(links.map((checked) => (checked.ok ? checked.ids.recipient : -1)));
    recipients.set(id, new Set([...(recipients.get(id) ?? []), ...owners]));
    const isWhole = createHash('sha256').update(filler).digest('hex') === checksum && mail.html?.includes(id) === true;
    if (!isWhole || links.length !== 3 || owners.size !== 1 || owners.has(-1)) damaged++;
  }
  const lost = all.filter(({ id }) => !copies.has(id));
  const doubled = all.filter(({ id }) => (copies.get(id) ?? 0) > 1);
  const unexplained = doubled.filter(({ id, uncertain }) => (copies.get(id) ?? 0) > 1 + uncertain);
  const people = Array.from(recipients.values(), (owners) => [...owners].join());
  process.stdout.write(
    `relay chaos: ${all.length} messages, ${all.reduce((sum, { uncertain }) => sum + uncertain, 0)} attempts without a certain reply, ${doubled.length} doubled, ${lost.length} lost, ${damaged} damaged\n`,
  );
  expect({ lost, unexplained, damaged }).toEqual({ lost: [], unexplained: [], damaged: 0 });
  expect(new Set(people).size).toBe(all.length);
  expect(all.length).toBeGreaterThan(SENDERS);
});
