import { Socket } from 'node:net';
import { SMTPServer, type SMTPServerAddress, type SMTPServerOptions } from 'smtp-server';
import { onTestFinished } from 'vitest';
import { startPart } from '../../stack/part.ts';
import { freePort } from '../../stack/ports.ts';
import { authorSettings } from './authors.ts';
import type { Databases } from './databases.ts';
import { temporaryDirectory } from './servers.ts';

// A mail server that keeps what it gets, the relay in front of it, and a plain SMTP client.

/** A message as a mail server got it. */
export interface Received {
  from: SMTPServerAddress | false;
  to: SMTPServerAddress[];
  bytes: Buffer;
  bodyType: string | undefined;
  utf8: boolean;
  dsn: { ret: string | null; envid: string | null } | undefined;
}

export interface MailServer {
  port: number;
  received: Received[];
  close(): Promise<void>;
}

/** Starts a mail server. `options` can refuse addresses and messages. */
export async function startMailServer(options: SMTPServerOptions = {}, port = 0): Promise<MailServer> {
  const received: Received[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    hideDSN: false,
    closeTimeout: 1,
    logger: false,
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('error', () => {});
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom: from, rcptTo: to, bodyType, smtpUtf8, dsn } = session.envelope;
        received.push({ from, to, bytes: Buffer.concat(chunks), bodyType, utf8: smtpUtf8 === true, dsn });
        callback(null, `2.0.0 queued as ${received.length}`);
      });
    },
    ...options,
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: (server.server.address() as { port: number }).port, received, close };
}

export interface Relay {
  port: number;
  adminPort: number;
  pid: number;
  /** Stops it with SIGTERM. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  metric(name: string): Promise<number>;
}

/** Starts the relay as a process in front of a mail server. */
export function startRelay(databases: Databases, upstream: number, settings: Record<string, string> = {}): Promise<Relay> {
  return startRelayWith({ ...authorSettings(databases), ...settings }, upstream);
}

/** The same with the settings of a whole system. */
export async function startRelayWith(settings: Record<string, string>, upstream: number): Promise<Relay> {
  const port = settings['RELAY_PORT'] === undefined ? await freePort() : Number(settings['RELAY_PORT']);
  const running = await startPart({
    part: 'relay',
    name: `relay-${port}`,
    runDir: await temporaryDirectory(),
    env: {
      RELAY_PORT: String(port),
      RELAY_UPSTREAM: `smtp://127.0.0.1:${upstream}`,
      LOG_LEVEL: 'warn',
      ...settings,
    },
  });
  onTestFinished(() => running.stop());
  return {
    port,
    adminPort: running.adminPort,
    pid: running.pid,
    stop: () => running.stop(),
    kill: () => running.kill(),
    async metric(name) {
      const text = await (await fetch(`http://127.0.0.1:${running.adminPort}/metrics`)).text();
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')
          .at(-1) ?? 0,
      );
    },
  };
}

/** A connection that sends what it is told, for conversations that no mail library would have. */
export interface SmtpTalk {
  /** Sends a line, and returns the reply to it. */
  say(line: string): Promise<string>;
  /** Sends bytes without waiting. */
  write(bytes: string | Buffer): void;
  /** Returns the next reply, with all its lines. Resolves with '' after the end of the connection. */
  reply(): Promise<string>;
  end(): void;
  destroy(): void;
}

/** Connects and reads the greeting. */
export async function talkTo(port: number): Promise<SmtpTalk> {
  const socket = new Socket();
  const replies: string[] = [];
  const waiting: ((reply: string) => void)[] = [];
  let buffer = '';
  let closed = false;
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    buffer += chunk.toString('utf8');
    for (
      let found = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(buffer);
      found;
      found = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(buffer)
    ) {
      buffer = buffer.slice(found[0].length);
      const next = waiting.shift();
      if (next) next(found[0]);
      else replies.push(found[0]);
    }
  });
  socket.on('close', () => {
    closed = true;
    for (const resolve of waiting.splice(0)) resolve('');
  });
  const reply = (): Promise<string> => {
    const ready = replies.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return closed ? Promise.resolve('') : new Promise((resolve) => waiting.push(resolve));
  };
  socket.connect(port, '127.0.0.1');
  const talk: SmtpTalk = {
    reply,
    write: (bytes) => void socket.write(bytes),
    say(line) {
      socket.write(`${line}\r\n`);
      return reply();
    },
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
  };
  await reply();
  return talk;
}

/** Adds the dots of SMTP to a message, and its end. */
export const asData = (message: Buffer | string): Buffer =>
  Buffer.from(
    `${Buffer.from(message)
      .toString('latin1')
      .replace(/^\./gm, '..')
      .replace(/(?:\r\n)?$/, '\r\n')}.\r\n`,
    'latin1',
  );

/** Sends one message over a connection of its own. Returns the last reply. */
export async function sendRaw(
  port: number,
  message: Buffer | string,
  { from = 'news@shop.example', to = 'ann@example.com', mail = '' }: { from?: string; to?: string; mail?: string } = {},
): Promise<string> {
  const talk = await talkTo(port);
  try {
    await talk.say('EHLO client.example');
    for (const line of [`MAIL FROM:<${from}>${mail}`, `RCPT TO:<${to}>`, 'DATA']) {
      const reply = await talk.say(line);
      if (!/^[23]/.test(reply)) return reply;
    }
    talk.write(asData(message));
    return await talk.reply();
  } finally {
    talk.destroy();
  }
}
