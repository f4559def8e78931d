import { mkdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { encode as encodeQuotedPrintable, wrap } from 'nodemailer/lib/qp';
import { libraryPath, locate } from '../stack/debian.ts';
import { startPart } from '../stack/part.ts';
import { acceptsConnections, freePort } from '../stack/ports.ts';
import { startProcess } from '../stack/process.ts';
import { cpuSeconds } from './cpu.ts';
import { type Bench, expectEqual, type Figure, median } from './figure.ts';
import { recordPeak } from './memory.ts';
import { withBenchSystem } from './system.ts';

// Sends messages with two parts and ten links through the relay to smtp-sink, the mail server of Postfix that drops what it gets. Each
// message goes to another person and has the name of this person in both parts. The baseline sends the same messages to smtp-sink itself.

const LINKS = 10;
const CONNECTIONS = 32;
const MESSAGES = 5_000;
const ROUNDS = 3;
const ATTACHMENT_MIB = 50;
const LARGE_MESSAGES = 8;

export const relayBench: Bench = async ({ directory, progress }) =>
  withBenchSystem({ directory: join(directory, 'stand'), members: ['postgres'] }, async ({ system, query }): Promise<Figure[]> => {
    await mkdir(directory, { recursive: true });
    const sinkPort = await freePort();
    const sink = await locate('smtp-sink', progress);
    const upstream = await startProcess({
      name: 'smtp-sink',
      command: sink,
      args: [...(process.getuid?.() === 0 ? ['-u', 'nobody'] : []), `127.0.0.1:${sinkPort}`, '1000'],
      env: { PATH: process.env['PATH'] ?? '', LD_LIBRARY_PATH: libraryPath(sink) },
      stopSignal: 'SIGTERM',
      runDir: directory,
      ready: () => acceptsConnections(sinkPort),
    });
    const port = await freePort();
    const relay = await startPart({
      part: 'relay',
      name: 'relay',
      runDir: directory,
      env: {
        ...(system.env as Record<string, string>),
        RELAY_PORT: String(port),
        RELAY_UPSTREAM: `smtp://127.0.0.1:${sinkPort}`,
        LOG_LEVEL: 'warn',
      },
    });
    try {
      const rates: { new: number[]; known: number[]; bare: number[] } = { new: [], known: [], bare: [] };
      let cpu = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const messages = Array.from({ length: MESSAGES }, (_, i) => messageFor(round * MESSAGES + i));
        rates.bare.push(await send(sinkPort, messages));
        rates.new.push(await send(port, messages));
        const before = await cpuOf(relay.pid);
        rates.known.push(await send(port, messages));
        cpu = (((await cpuOf(relay.pid)) - before) / MESSAGES) * 1e6;
        progress(
          `   ${Math.round(rates.new.at(-1) as number)} messages/s to new people, ${Math.round(rates.known.at(-1) as number)} to known ones, ${Math.round(rates.bare.at(-1) as number)} without the relay; ${Math.round(cpu)} µs CPU of the relay per message`,
        );
      }
      const [links] = await query<{ n: number }>(
        'catalog',
        "SELECT count(*)::int AS n FROM catalog.link l JOIN catalog.campaign c ON c.id = l.campaign_id WHERE c.name = 'relayed' AND kind = 'url'",
      );
      expectEqual('links of the campaign', links?.n ?? 0, 2 * LINKS);
      const [people] = await query<{ n: number }>('catalog', 'SELECT count(*)::int AS n FROM catalog.mailing');
      expectEqual('people with a message', people?.n ?? 0, ROUNDS * MESSAGES);
      const large = largeMessage();
      await send(port, Array(LARGE_MESSAGES).fill(large) as Message[], 4);
      await recordPeak('relay', relay.pid);
      const bare = { what: 'the same without the relay', value: median(rates.bare) };
      return [
        {
          what: `relay: two parts, ${LINKS} links, new people`,
          unit: 'messages/s',
          ours: median(rates.new),
          bare,
          target: { atLeast: 1000 },
        },
        {
          what: `relay: two parts, ${LINKS} links, known people`,
          unit: 'messages/s',
          ours: median(rates.known),
          bare,
          target: { atLeast: 1000 },
        },
        { what: 'relay: CPU for a message', unit: 'µs', ours: cpu },
      ];
    } finally {
      await relay.stop();
      await upstream.stop();
    }
  });

const cpuOf = async (pid: number): Promise<number> => (await cpuSeconds({ relay: pid })).get('relay') ?? 0;

interface Message {
  to: string;
  data: Buffer;
}

const PARAGRAPH =
  'The first apples of this autumn are here, and with them the last tomatoes. Our growers in the valley write that the cold nights came early, so the pears are small and sweet. ';

function messageFor(number: number): Message {
  const name = `Reader ${number}`;
  const links = Array.from({ length: LINKS }, (_, i) => `https://shop.example/autumn/${i}?a=1&b=2`);
  const text = `Dear ${name},\r\n\r\n${links.map((link, i) => `${PARAGRAPH}\r\nNumber ${i}: ${link}\r\n\r\n`).join('')}`;
  const paragraphs = links.map(
    (link, i) =>
      `<tr><td style="font-family: Helvetica, Arial, sans-serif; font-size: 16px; padding: 12px">${PARAGRAPH}<a href="${link.replace('&', '&amp;')}" style="color: #0b57d0">Number ${i} – für Sie</a></td></tr>`,
  );
  const html = `<!DOCTYPE html>\r\n<html><head><title>Autumn</title></head><body><p>Dear ${name},</p><table>\r\n${paragraphs.join('\r\n')}\r\n</table></body></html>\r\n`;
  return compose(number, [part('plain', text), part('html', html)], 'alternative');
}

function largeMessage(): Message {
  const attachment = `Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n${`${'QUJD'.repeat(19)}\r\n`.repeat((ATTACHMENT_MIB * 1024 * 1024) / 57)}`;
  return compose(0, [part('html', '<a href="https://shop.example/autumn/0?a=1&amp;b=2">a</a>\r\n'), attachment], 'mixed');
}

const part = (subtype: string, content: string): string =>
  `Content-Type: text/${subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${wrap(encodeQuotedPrintable(content), 76)}`;

function compose(number: number, parts: readonly string[], subtype: string): Message {
  const boundary = `b${number}x`;
  const head = [
    'From: Shop <news@shop.example>',
    `To: reader.${number}@mail.example`,
    'Subject: Autumn',
    `Message-ID: <${number}@shop.example>`,
    'Date: Mon, 02 Nov 2026 10:00:00 +0000',
    'X-Clickledger-Campaign: relayed',
    'MIME-Version: 1.0',
    `Content-Type: multipart/${subtype}; boundary="${boundary}"`,
  ].join('\r\n');
  const body = `${parts.map((each) => `--${boundary}\r\n${each}\r\n`).join('')}--${boundary}--\r\n`;
  return { to: `reader.${number}@mail.example`, data: Buffer.from(`${head}\r\n\r\n${body.replace(/^\./gm, '..')}.\r\n`) };
}

/** Sends messages over several connections. Returns the messages per second. Throws if one is refused. */
async function send(port: number, messages: readonly Message[], connections = CONNECTIONS): Promise<number> {
  let next = 0;
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1');
      const replyOf = createReplies(socket);
      await replyOf('220');
      socket.write('EHLO bench.example\r\n');
      await replyOf('250');
      for (let message = messages[next++]; message; message = messages[next++]) {
        socket.write(`MAIL FROM:<news@shop.example>\r\nRCPT TO:<${message.to}>\r\nDATA\r\n`);
        for (const code of ['250', '250', '354']) await replyOf(code);
        socket.write(message.data);
        await replyOf('250');
      }
      socket.end('QUIT\r\n');
    }),
  );
  return messages.length / ((performance.now() - startedMs) / 1000);
}

/** Returns a function that waits for the next reply and throws if it has another code. */
function createReplies(socket: Socket): (code: string) => Promise<void> {
  let buffer = '';
  let wake = (): void => {};
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => {
    buffer += chunk.toString('latin1');
    wake();
  });
  let failure: Error | undefined;
  for (const event of ['error', 'close'] as const)
    socket.on(event, (error?: Error | boolean) => {
      failure ??= error instanceof Error ? error : new Error('the connection was closed');
      wake();
    });
  return async (code) => {
    for (;;) {
      const found = /^(?:\d{3}-.*\r\n)*(\d{3}) .*\r\n/.exec(buffer);
      if (found) {
        buffer = buffer.slice(found[0].length);
        if (found[1] !== code) throw new Error(`${found[0].trim()} instead of ${code}`);
        return;
      }
      if (failure) throw failure;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}
