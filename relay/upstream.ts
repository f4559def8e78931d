import { hostname } from 'node:os';
import { Readable } from 'node:stream';
import SMTPConnection, { type SMTPEnvelope } from 'nodemailer/lib/smtp-connection';
import { messageOf } from '../core/errors.ts';
import type { SmtpServer } from '../core/smtp-url.ts';
import { orUndefinedAfter } from '../core/time.ts';

// Hands messages to the mail server behind the relay. A connection takes one message after the other. Idle connections are kept for a while.

/** The envelope of a message with one recipient. The values of DSN are not encoded as xtext. */
export interface Envelope {
  from: string;
  to: string;
  /** The size in bytes that the sender declared. */
  size: number | undefined;
  body8Bit: boolean;
  utf8: boolean;
  dsn: { ret: string | null; envid: string | null; notify: readonly string[] | undefined; orcpt: string | undefined };
}

/**
 * The answer of the mail server to a message: `code` of SMTP and the text after it. `unknown` means that the connection ended after the whole
 * message was sent and before the answer, so the server may have accepted the message.
 */
export type Answer =
  | { kind: 'answer'; code: number; text: string }
  | { kind: 'unreachable'; why: string }
  | { kind: 'unknown'; why: string };

export interface Upstream {
  /**
   * Sends a message. `message` is called when the server is ready for its bytes. Rejects with the error of the message if it cannot be read to
   * its end. The connection is then closed before the end of the message, so the server drops what it has.
   */
  send(envelope: Envelope, message: () => AsyncIterable<Buffer>): Promise<Answer>;
  /** Whether the server accepted a connection. Opens a connection if there is none. */
  isReachable(): Promise<boolean>;
  /** Closes idle connections. */
  close(): void;
}

const IDLE_MS = 10_000;
const MAX_IDLE = 100;
const TIMEOUTS = { connectionTimeout: 10_000, greetingTimeout: 30_000, socketTimeout: 300_000 } as const;
const REACHABLE_MS = 3_000;
const CHUNK_BYTES = 65_536;

/** A connection of Nodemailer. It has no public way to see the extensions of the server or to ask for SMTPUTF8. */
type Connection = SMTPConnection & { _supportedExtensions: readonly string[]; _sendCommand(command: string, logged?: string): void };

/**
 * Creates the connections to a mail server. The connections are encrypted, unless the server is on this machine or `isPlain` is true. `onExtensions`
 * gets the names of its extensions at each new connection.
 */
export function createUpstream(
  server: SmtpServer,
  { isPlain, onExtensions }: { isPlain: boolean; onExtensions: (extensions: readonly string[]) => void },
): Upstream {
  const { host, port, secure, user, password: pass } = server;
  const mustEncrypt = !server.isLoopback && !isPlain;
  const options = { host, port, secure, requireTLS: !secure && mustEncrypt, ignoreTLS: !secure && !mustEncrypt };
  const credentials = user === undefined ? undefined : { user, pass };
  const idle = new Set<Connection>();

  async function connect(): Promise<Connection> {
    const connection = new SMTPConnection({ ...TIMEOUTS, ...options, name: hostname() }) as Connection;
    await new Promise<void>((resolve, reject) => {
      connection.once('error', reject);
      connection.once('end', () => reject(new Error('the server closed the connection')));
      connection.connect((error) => (error ? reject(error) : resolve()));
    }).catch((error: unknown) => {
      connection.close();
      throw error;
    });
    onExtensions(connection._supportedExtensions);
    // An idle connection may break at any time. A connection in use reports the error to its sender, too.
    connection.on('error', () => idle.delete(connection));
    connection.on('end', () => idle.delete(connection));
    if (credentials)
      await new Promise<void>((resolve, reject) =>
        connection.login({ ...credentials }, (error) => (error ? reject(error) : resolve())),
      ).catch((error: unknown) => {
        connection.close();
        throw error;
      });
    return connection;
  }

  function keep(connection: Connection): void {
    if (idle.size >= MAX_IDLE) {
      connection.quit();
      return;
    }
    idle.add(connection);
    setTimeout(() => {
      if (idle.delete(connection)) connection.quit();
    }, IDLE_MS).unref();
  }

  function takeIdle(): Connection | undefined {
    const [connection] = idle;
    if (connection) idle.delete(connection);
    return connection;
  }

  async function sendOver(
    connection: Connection,
    envelope: Envelope,
    message: () => AsyncIterable<Buffer>,
  ): Promise<Answer & { started: boolean }> {
    const missing = [...(envelope.utf8 ? ['SMTPUTF8'] : []), ...(envelope.body8Bit ? ['8BITMIME'] : [])].find(
      (extension) => !connection._supportedExtensions.includes(extension),
    );
    if (missing !== undefined) {
      keep(connection);
      return { kind: 'answer', code: 554, text: `5.6.3 the mail server does not support ${missing}`, started: false };
    }
    const progress: Progress = { started: false, ended: false, failure: undefined };
    const stream = Readable.from(follow(message, progress), { objectMode: false });
    // Nodemailer reports the error of the stream, too.
    stream.on('error', () => {});
    if (envelope.utf8) askForUtf8(connection);
    return new Promise((resolve, reject) => {
      connection.send(toNodemailer(envelope), stream, (error, info) => {
        if (!error) {
          keep(connection);
          return resolve({ kind: 'answer', ...parseAnswer(info.response ?? '250 OK'), started: true });
        }
        if (progress.failure !== undefined) {
          connection.close();
          // oxlint-disable-next-line prefer-promise-reject-errors -- the error of the message stays what it was
          return reject(progress.failure.error as Error);
        }
        const answer = answerOf(error as SmtpError);
        if (answer === undefined) {
          connection.close();
          return resolve({ kind: progress.ended ? 'unknown' : 'unreachable', why: messageOf(error), started: progress.started });
        }
        // After a refusal the transaction may still be open.
        if (answer.code === 421) connection.close();
        else connection.reset((failed) => (failed ? connection.close() : keep(connection)));
        return resolve({ kind: 'answer', ...answer, started: progress.started });
      });
    });
  }

  return {
    async send(envelope, message) {
      const reused = takeIdle();
      if (reused) {
        const { started, ...answer } = await sendOver(reused, envelope, message);
        // The server may have closed the idle connection at the same moment. Nothing of the message was sent then.
        if (answer.kind !== 'unreachable' || started) return answer;
      }
      let connection: Connection;
      try {
        connection = await connect();
      } catch (error) {
        return { kind: 'unreachable', why: messageOf(error) };
      }
      const { started: _, ...answer } = await sendOver(connection, envelope, message);
      return answer;
    },
    async isReachable() {
      if (idle.size > 0) return true;
      const connection = await orUndefinedAfter(
        connect().catch(() => undefined),
        REACHABLE_MS,
      );
      if (connection) keep(connection);
      return connection !== undefined;
    },
    close() {
      for (const connection of idle) connection.quit();
      idle.clear();
    },
  };
}

interface Progress {
  started: boolean;
  /** True after the last byte was read. */
  ended: boolean;
  failure: { error: unknown } | undefined;
}

/** Yields the message in chunks of at least CHUNK_BYTES, because each chunk costs a write to the socket. */
async function* follow(message: () => AsyncIterable<Buffer>, progress: Progress): AsyncGenerator<Buffer> {
  progress.started = true;
  let chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of message()) {
      chunks.push(chunk);
      size += chunk.length;
      if (size < CHUNK_BYTES) continue;
      yield Buffer.concat(chunks);
      [chunks, size] = [[], 0];
    }
    progress.ended = true;
    if (size > 0) yield Buffer.concat(chunks);
  } catch (error) {
    progress.failure = { error };
    throw error;
  }
}

function toNodemailer({ from, to, size, body8Bit, dsn }: Envelope): SMTPEnvelope {
  return {
    from: from === '' ? false : from,
    to: [to],
    use8BitMime: body8Bit,
    ...(size === undefined ? {} : { size }),
    dsn: { ret: dsn.ret, envid: dsn.envid, notify: dsn.notify === undefined ? null : [...dsn.notify], orcpt: dsn.orcpt ?? null },
  };
}

/** Adds SMTPUTF8 to the next MAIL command. Nodemailer adds it only for addresses that are not ASCII, but a header may need it, too. */
function askForUtf8(connection: Connection): void {
  const send = connection._sendCommand.bind(connection);
  connection._sendCommand = (command, logged) => {
    if (!command.startsWith('MAIL FROM:')) return send(command, logged);
    connection._sendCommand = send;
    send(/ SMTPUTF8(?: |$)/.test(command) ? command : `${command} SMTPUTF8`, logged);
  };
}

type SmtpError = Error & { responseCode?: number; response?: string | false; code?: string };

function answerOf(error: SmtpError): { code: number; text: string } | undefined {
  if (error.responseCode !== undefined && error.responseCode >= 400 && typeof error.response === 'string')
    return parseAnswer(error.response);
  // Nodemailer itself refuses a message that is larger than the server allows.
  if (error.code === 'EMESSAGE') return { code: 552, text: `5.3.4 ${error.message}` };
  if (error.code === 'EENVELOPE') return { code: 501, text: `5.1.3 ${error.message}` };
  return undefined;
}

function parseAnswer(response: string): { code: number; text: string } {
  const lines = response.split(/\r?\n/).filter((line) => line !== '');
  return { code: Number(response.slice(0, 3)), text: lines.map((line) => line.slice(4)).join(' ') };
}
