import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';
import { onTestFinished } from 'vitest';
import type { Certificates } from './certificates.ts';

// A real mail server for tests. It counts the messages of each person, and it can answer with errors or end connections at any step.

/**
 * The steps of a session at which a fault can happen. `connect`, `mail` and `rcpt` are before the message. `data` is in the middle of the message.
 * `stored` is after the message was stored, before the answer 250. `answered` is after this answer was written.
 */
export const STEPS = ['connect', 'mail', 'rcpt', 'data', 'stored', 'answered'] as const;
export type Step = (typeof STEPS)[number];
/** The server ends the connection, or answers with this code (only `connect`, `mail`, `rcpt` and `data`). */
export type Fault = 'die' | { code: number; text?: string };

export interface MailServerOptions {
  /** Returns the fault at a step, or undefined for none. `to` is empty before `rcpt`. */
  fault?: (step: Step, to: string) => Fault | undefined;
  /** The server waits at a step until this resolves. */
  wait?: (step: Step, to: string) => Promise<void>;
  /** If given, the server wants this login. */
  login?: { user: string; password: string };
  /** The certificate of STARTTLS. Without, the server offers no TLS. */
  certificates?: Certificates;
  port?: number;
}

export interface MailServer {
  port: number;
  /** The messages that the server has stored, in order. */
  stored: { to: string; from: string; content: string; isSecure: boolean; user: string | undefined }[];
  /** Returns how many messages of each person are stored. */
  counts: () => Record<string, number>;
  /** The highest number of sessions at the same time. */
  maxSessions: () => number;
  close: () => Promise<void>;
}

export async function startMailServer({
  fault = () => undefined,
  wait = async () => {},
  login,
  certificates,
  port = 0,
}: MailServerOptions = {}): Promise<MailServer> {
  const stored: MailServer['stored'] = [];
  let sessions = 0;
  let maxSessions = 0;
  const die = (session: SMTPServerSession): void => {
    for (const connection of server.connections) if (connection.session.id === session.id) connection._socket.destroy();
  };
  /** Injects the fault of a step, or continues with `proceed`. */
  function at(step: Step, to: string, session: SMTPServerSession, proceed: (error?: Error) => void): void {
    void wait(step, to).then(() => {
      const injected = fault(step, to);
      if (injected === undefined) return proceed();
      if (injected === 'die') return die(session);
      proceed(Object.assign(new Error(injected.text ?? 'a fault'), { responseCode: injected.code }));
    });
  }

  const server = new SMTPServer({
    authOptional: login === undefined,
    allowInsecureAuth: true,
    disabledCommands: [...(certificates ? [] : ['STARTTLS']), ...(login ? [] : ['AUTH'])],
    disableReverseLookup: true,
    ...(certificates ? { key: await readFile(certificates.key), cert: await readFile(certificates.certificate) } : {}),
    onAuth: (auth, _session, done) => {
      if (auth.username === login?.user && auth.password === login?.password) done(null, { user: auth.username });
      else done(Object.assign(new Error('wrong password'), { responseCode: 535 }));
    },
    onConnect(session, done) {
      maxSessions = Math.max(maxSessions, ++sessions);
      at('connect', '', session, done);
    },
    onClose: () => {
      sessions--;
    },
    onMailFrom: (_address, session, done) => at('mail', '', session, done),
    onRcptTo: ({ address }, session, done) => at('rcpt', address, session, done),
    onData(stream, session, done) {
      const to = session.envelope.rcptTo[0]?.address ?? '';
      const from = session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address;
      const refused = fault('data', to);
      if (refused === 'die') return void stream.once('data', () => die(session));
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (refused) return done(Object.assign(new Error(refused.text ?? 'a fault'), { responseCode: refused.code }));
        const content = Buffer.concat(chunks).toString('latin1');
        stored.push({ to, from, content, isSecure: session.secure, user: session.user as string | undefined });
        at('stored', to, session, () => {
          done();
          if (fault('answered', to) === 'die') setImmediate(() => die(session));
        });
      });
    },
  });
  // A client that dies is part of the tests.
  server.on('error', () => {});
  const listener = server.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  const close = async (): Promise<void> => {
    for (const connection of server.connections) connection._socket.destroy();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  };
  onTestFinished(close);
  return {
    port: (listener.address() as AddressInfo).port,
    stored,
    counts() {
      const counts: Record<string, number> = {};
      for (const { to } of stored) counts[to] = (counts[to] ?? 0) + 1;
      return counts;
    },
    maxSessions: () => maxSessions,
    close,
  };
}
