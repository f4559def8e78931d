import { Readable } from 'node:stream';
import SMTPConnection, { type SMTPEnvelope } from 'nodemailer/lib/smtp-connection';
import { messageOf } from '../core/errors.ts';
import type { SmtpServer } from '../core/smtp-url.ts';
import { orUndefinedAfter, singleFlight } from '../core/time.ts';

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
   * Sends a message. `message` is called when the server is ready for its bytes. If reading the message fails, rejects with that error and closes
   * the connection before the end of the message, so that the server drops it.
   */
  send(envelope: Envelope, message: () => AsyncIterable<Buffer>): Promise<Answer>;
  /** Whether the server accepted a connection. Opens a connection if there is none. */
  isReachable(): Promise<boolean>;
  /** Closes all connections. */
  close(): void;
}

const IDLE_MS = 10_000;
const MAX_IDLE = 100;
const TIMEOUTS = { connectionTimeout: 10_000, greetingTimeout: 30_000, socketTimeout: 300_000 } as const;
const REACHABLE_MS = 3_000;
const CHUNK_BYTES = 65_536;
const QUIT_MS = 2_000;

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
  /** Connections without a message, and the timers that close them. */
  const idle = new Map<Connection, NodeJS.Timeout>();
  const inUse = new Set<Connection>();
  let isClosed = false;

  async function connect(): Promise<Connection> {
    const connection = new SMTPConnection({ ...TIMEOUTS, ...options }) as Connection;
    inUse.add(connection);
    connection.on('end', () => {
      forget(connection);
      inUse.delete(connection);
    });
    // A connection in use reports the error to its sender, too.
    connection.on('error', () => forget(connection));
    try {
      await ended(connection, (done) => connection.connect(done));
      onExtensions(connection._supportedExtensions);
      if (credentials) await ended(connection, (done) => connection.login({ ...credentials }, done));
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  function forget(connection: Connection): void {
    clearTimeout(idle.get(connection));
    idle.delete(connection);
  }

  function keep(connection: Connection): void {
    inUse.delete(connection);
    if (isClosed || idle.size >= MAX_IDLE) {
      quit(connection);
      return;
    }
    const timer = setTimeout(() => {
      forget(connection);
      quit(connection);
    }, IDLE_MS);
    timer.unref();
    idle.set(connection, timer);
  }

  function takeIdle(): Connection | undefined {
    const [connection] = idle.keys();
    if (!connection) return undefined;
    forget(connection);
    inUse.add(connection);
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
    const restore = envelope.utf8 ? askForUtf8(connection) : () => {};
    return new Promise((resolve, reject) => {
      connection.send(toNodemailer(envelope), stream, (error, info) => {
        restore();
        const { started } = progress;
        if (!error && stream.readableEnded) {
          keep(connection);
          return resolve({ kind: 'answer', ...parseAnswer(info.response ?? '250 OK'), started });
        }
        if (!error) {
          // An answer before the end of the message is about something else.
          connection.close();
          return resolve({ kind: 'unreachable', why: 'it answered before the end of the message', started });
        }
        if (progress.failure !== undefined) {
          connection.close();
          // oxlint-disable-next-line prefer-promise-reject-errors -- the error of the message stays what it was
          return reject(progress.failure.error as Error);
        }
        const answer = answerOf(error as SmtpError);
        // After a refusal of the envelope the transaction may still be open. In the middle of a message, a command would become text of it.
        if (answer === undefined || started || answer.code === 421) connection.close();
        else connection.reset((failed) => (failed ? connection.close() : keep(connection)));
        if (answer === undefined) return resolve({ kind: progress.ended ? 'unknown' : 'unreachable', why: messageOf(error), started });
        return resolve({ kind: 'answer', ...answer, started });
      });
    });
  }

  const tryToConnect = singleFlight(async () => {
    try {
      keep(await connect());
      return true;
    } catch {
      return false;
    }
  });

  return {
    async send(envelope, message) {
      const reused = takeIdle();
      if (reused) {
        const { started, ...answer } = await sendOver(reused, envelope, message);
        // The server may have closed the idle connection at the same moment. Nothing of the message was sent then.
        const wasClosed = !started && (answer.kind === 'unreachable' || (answer.kind === 'answer' && answer.code === 421));
        if (!wasClosed) return answer;
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
    // An attempt that takes longer goes on, and the next call waits for it.
    isReachable: async () => idle.size > 0 || (await orUndefinedAfter(tryToConnect(), REACHABLE_MS)) === true,
    close() {
      isClosed = true;
      for (const connection of idle.keys()) {
        forget(connection);
        quit(connection);
      }
      for (const connection of inUse) connection.close();
    },
  };
}

/** Runs a step of a connection. Rejects with its error, and also if the connection ends before, which Nodemailer does not always report. */
function ended(connection: Connection, step: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const onEnd = (): void => reject(new Error('the server closed the connection'));
    connection.once('error', reject);
    connection.once('end', onEnd);
    step((error) => {
      connection.off('error', reject);
      connection.off('end', onEnd);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Ends a connection politely. A server that does not answer is not waited for. */
function quit(connection: Connection): void {
  connection.quit();
  setTimeout(() => connection.close(), QUIT_MS).unref();
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

/**
 * Adds SMTPUTF8 to MAIL commands until the returned function is called. Nodemailer adds it only for addresses that are not ASCII, but a header may
 * need it, too.
 */
function askForUtf8(connection: Connection): () => void {
  const send = connection._sendCommand.bind(connection);
  connection._sendCommand = (command, logged) => {
    const isMail = command.startsWith('MAIL FROM:') && !/ SMTPUTF8(?: |$)/.test(command);
    send(isMail ? `${command} SMTPUTF8` : command, logged);
  };
  return () => {
    connection._sendCommand = send;
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
