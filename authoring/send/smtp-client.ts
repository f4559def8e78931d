import { Readable } from 'node:stream';
import type { NodemailerError } from 'nodemailer/lib/errors';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { SmtpServer } from '../../core/smtp-url.ts';

// One connection to a mail server, over which messages are sent one after the other. What matters is the end of DATA: a message that the
// client has not ended with a dot was not sent, whatever happens. After the dot, only the answer of the server says whether it was.

/** What became of a message. `reason` is for the author: the answer of the server, or what happened to the connection. */
export type Outcome =
  | { readonly is: 'sent' }
  /** The server refused this message for good. */
  | { readonly is: 'refused'; readonly reason: string }
  /** The server did not accept this message now. */
  | { readonly is: 'deferred'; readonly reason: string }
  /** The message was given to the server, and its answer did not come. */
  | { readonly is: 'unknown'; readonly reason: string }
  /** The server takes no messages now. This says nothing about the recipient. */
  | { readonly is: 'unavailable'; readonly reason: string }
  /** The server will take no messages from this sender, or not with these settings. */
  | { readonly is: 'rejected'; readonly reason: string };

export interface OutgoingMessage {
  from: string;
  to: string;
  message: Buffer;
  /** Is called when the server has accepted the recipient, before the first byte of the message. If it rejects, the message is not sent. */
  beforeContent: () => Promise<void>;
}

export interface SmtpClient {
  /** Sends a message, and connects before if there is no connection. Rejects only if `beforeContent` rejects. */
  send(message: OutgoingMessage): Promise<Outcome>;
  /** Connects and logs in, without sending. */
  connect(): Promise<Outcome | undefined>;
  /** Ends the connection with QUIT. */
  close(): void;
}

export interface Timeouts {
  connectMs: number;
  /** How long the server may be silent. RFC 5321 (4.5.3.2.6) asks for ten minutes after the end of a message. */
  silenceMs: number;
}

const TIMEOUTS: Timeouts = { connectMs: 30_000, silenceMs: 600_000 };
/** The message goes to the socket in pieces, so that a connection that is lost in the middle of a long message is seen before its end. */
const PIECE_BYTES = 16_384;

/** The codes of Node for a certificate that it does not accept. */
const CERTIFICATE_ERRORS = /CERT|SIGNATURE|ISSUER/;

export function createSmtpClient(server: SmtpServer, timeouts: Timeouts = TIMEOUTS): SmtpClient {
  let connection: SMTPConnection | undefined;

  /** Connects and logs in. Returns the outcome if this fails. */
  async function connect(): Promise<Outcome | undefined> {
    if (connection && !connection.destroyed) return undefined;
    const opening = new SMTPConnection(optionsFor(server, timeouts));
    try {
      await open(opening);
    } catch (error) {
      opening.close();
      return outcomeOfConnecting(error as NodemailerError, server);
    }
    connection = opening;
    return undefined;
  }

  async function open(opening: SMTPConnection): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      // Later errors of a connection are also given to the message that it sends. An idle connection that the server ends is opened again.
      opening.on('error', reject);
      opening.once('end', () => reject(new Error('the server ended the connection')));
      opening.connect((error) => (error ? reject(error) : resolve()));
    });
    const { user, password } = server;
    if (user === undefined) return;
    if (!opening.allowsAuth) throw Object.assign(new Error('the server offers no login'), { code: 'EAUTH', permanent: true });
    await new Promise<void>((resolve, reject) => {
      opening.once('end', () => reject(new Error('the server ended the connection during the login')));
      opening.login({ credentials: { user, pass: password } }, (error) => (error ? reject(error) : resolve()));
    });
  }

  async function send({ from, to, message, beforeContent }: OutgoingMessage): Promise<Outcome> {
    const failed = await connect();
    if (failed) return failed;
    const used = connection as SMTPConnection;
    let hasBegun = false;
    let mayHaveEnded = false;
    let refusal: { error: unknown } | undefined;
    async function* content(): AsyncGenerator<Buffer> {
      hasBegun = true;
      try {
        await beforeContent();
      } catch (error) {
        refusal = { error };
        throw error;
      }
      for (let at = 0; at < message.length; at += PIECE_BYTES) yield message.subarray(at, at + PIECE_BYTES);
      mayHaveEnded = true;
    }
    const stream = Readable.from(content(), { objectMode: false });
    const error = await new Promise<NodemailerError | null>((resolve) => {
      used.send({ from, to: [to], size: message.length }, stream, (failure) => resolve(failure));
    });
    if (!error) return { is: 'sent' };
    stream.destroy();
    if (refusal) {
      used.close();
      throw refusal.error;
    }
    const outcome = outcomeOfSending(error, { hasBegun, mayHaveEnded });
    await recover(used, error, hasBegun);
    return outcome;
  }

  /**
   * Makes a connection usable after an error, or closes it. A connection on which the message has begun is closed, because the rest of the
   * message may still be on its way and the server would read it as commands.
   */
  async function recover(used: SMTPConnection, { code, responseCode }: NodemailerError, hasBegun: boolean): Promise<void> {
    const isAlive = code === 'EENVELOPE' && responseCode !== undefined && responseCode !== 421 && !hasBegun && !used.destroyed;
    if (!isAlive) return used.close();
    const isReset = await new Promise<boolean>((resolve) => {
      const onEnd = () => resolve(false);
      used.once('end', onEnd);
      used.reset((error) => {
        used.off('end', onEnd);
        resolve(!error);
      });
    });
    if (!isReset) used.close();
  }

  return {
    send,
    connect,
    close() {
      if (connection && !connection.destroyed) connection.quit();
      connection = undefined;
    },
  };
}

/**
 * With a login, TLS is required. On loopback it is not, because nobody else can read that connection. There, the server may also have a
 * certificate that it signed itself, as most local mail servers have.
 */
function optionsFor({ host, port, secure, user, isLoopback }: SmtpServer, { connectMs, silenceMs }: Timeouts) {
  return {
    host,
    port,
    secure,
    requireTLS: !secure && user !== undefined && !isLoopback,
    tls: { minVersion: 'TLSv1.2' as const, ...(isLoopback ? { rejectUnauthorized: false } : {}) },
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    socketTimeout: silenceMs,
  };
}

function outcomeOfConnecting(error: NodemailerError, { user, host }: SmtpServer): Outcome {
  const { code, originalCode = '', permanent, message } = error;
  if (CERTIFICATE_ERRORS.test(originalCode))
    return {
      is: 'rejected',
      reason: `${host} has no certificate that this machine trusts (${oneLine(message)}). The variable NODE_EXTRA_CA_CERTS names the file of another authority.`,
    };
  if (originalCode.startsWith('ERR_SSL'))
    return {
      is: 'rejected',
      reason: `${host} does not speak TLS on this port (${oneLine(message)}). Write smtp:// for STARTTLS, or another port.`,
    };
  if (code === 'ETLS' && permanent !== false)
    return {
      is: 'rejected',
      reason: `${oneLine(message)}.${user === undefined ? '' : ' A password is sent only over TLS, except to a server on this machine.'}`,
    };
  // Missing credentials and an unknown method have no answer of the server, and no later attempt helps.
  if (code === 'EAUTH') return { is: permanent === false ? 'unavailable' : 'rejected', reason: oneLine(message) };
  return { is: permanent === true ? 'rejected' : 'unavailable', reason: oneLine(message) };
}

/** What an error means depends on how far the message came. `mayHaveEnded`: the dot that ends the message may be on its way. */
function outcomeOfSending(error: NodemailerError, { hasBegun, mayHaveEnded }: { hasBegun: boolean; mayHaveEnded: boolean }): Outcome {
  const { code, command, responseCode, permanent, message } = error;
  const reason = oneLine(message);
  const isAnswer = (code === 'EENVELOPE' || code === 'EMESSAGE') && responseCode !== undefined && responseCode >= 400;
  // After the message, only a clear refusal says that the server does not have it.
  if (mayHaveEnded && !isAnswer) return { is: 'unknown', reason };
  if (isAnswer && command === 'MAIL FROM') return { is: permanent ? 'rejected' : 'unavailable', reason };
  if (isAnswer) return { is: permanent ? 'refused' : 'deferred', reason };
  // The library itself refuses, e.g. a message that is larger than the server allows.
  if (code === 'EMESSAGE' || code === 'EENVELOPE') return { is: 'refused', reason };
  return { is: hasBegun ? 'deferred' : 'unavailable', reason };
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, 500);
