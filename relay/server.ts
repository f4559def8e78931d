import { createHash, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { SMTPServer, type SMTPServerAddress, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { networkOf } from '../core/client-network.ts';
import { codeOf, messageOf } from '../core/errors.ts';
import { withAsciiDomain } from '../core/hosts.ts';
import type { Logger } from '../core/log.ts';
import type { Delivery } from './deliver.ts';
import { readMessage, type IncomingMessage } from './message/read.ts';
import type { Networks } from './networks.ts';
import type { Envelope } from './upstream.ts';

// The SMTP server of the relay: who may send, one recipient a message, limits, and the reply to each message.

export interface ServerOptions {
  tls: { cert: string; key: string } | undefined;
  /** The passwords of the users who may send, by name. */
  users: ReadonlyMap<string, string>;
  /** The networks from which programs may send without signing in. */
  networks: Networks;
  maxBytes: number;
  maxClients: number;
  /** Delivers a message whose header has been read. */
  deliver: (message: IncomingMessage, envelope: Envelope) => Promise<Delivery>;
  metrics: {
    recordMessage(delivery: Delivery, seconds: number, bytes: number): void;
    /** The sender was gone when the mail server had accepted its message, so it may send the message again. */
    recordUnreported(): void;
    /** The message did not arrive completely. */
    recordAborted(): void;
  };
  log: Logger;
}

export interface RelayServer {
  listen(port: number, host: string): Promise<number>;
  /** Offers senders those extensions that the mail server has, because they may use what is offered. */
  offer(extensions: readonly string[]): void;
  /** The number of open connections. */
  clients(): number;
  /**
   * Stops. Messages that have not arrived completely are answered with 421, so that their senders try again. Messages that have arrived get
   * the answer of the mail server.
   */
  stop(): Promise<void>;
}

/** The largest header, and the largest text part that is tracked. */
const LIMITS = { headerBytes: 256 * 1024, textBytes: 1024 * 1024 };
/** RFC 5321, 4.5.3.2: a server waits five minutes for the next command. */
const IDLE_MS = 300_000;
/** After the stop signal, a message that has arrived may wait so long for the answer of the mail server. */
const STOP_MS = 20_000;
/** An address that fails to sign in so often within a minute must wait. */
const MAX_FAILURES = 10;

class SmtpReply extends Error {
  readonly responseCode: number;
  constructor(code: number, text: string) {
    super(text);
    this.responseCode = code;
  }
}

const STOPPING = '4.3.2 the relay is stopping. Try again later.';

export function createServer(options: ServerOptions): RelayServer {
  const { tls, users, networks, maxBytes, maxClients, deliver, metrics, log } = options;
  /** The messages that are arriving or wait for the mail server, by the id of their session. */
  const running = new Map<string, SMTPServerDataStream>();
  const failures = new LRUCache<string, number>({ max: 10_000, ttl: 60_000 });
  let isStopping = false;

  async function answer(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    callback: (error: Error | null, text?: string) => void,
  ): Promise<void> {
    let reply: { error: Error | null; text?: string };
    try {
      reply = { error: null, text: await handle(stream, session) };
    } catch (error) {
      reply = { error: error as Error };
    }
    running.delete(session.id);
    callback(reply.error, reply.text);
    if (isStopping) setImmediate(() => disconnect(session.id));
  }

  async function handle(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<string> {
    const startedMs = performance.now();
    const chunks = stream.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    try {
      const delivery = await deliverFrom(untilTooLarge(chunks, stream), session);
      metrics.recordMessage(delivery, (performance.now() - startedMs) / 1000, stream.byteLength);
      if (delivery.code < 400 && !isConnected(session)) metrics.recordUnreported();
      if (delivery.code < 400) return delivery.text;
      throw new SmtpReply(delivery.code, delivery.text);
    } finally {
      // The rest of a message that was refused early is not needed, but the reply comes after it.
      await chunks.return?.();
      stream.resume();
    }
  }

  async function deliverFrom(chunks: AsyncIterator<Buffer>, session: SMTPServerSession): Promise<Delivery> {
    try {
      return await deliver(await readMessage(chunks, LIMITS), envelopeOf(session));
    } catch (error) {
      if (codeOf(error) === 'bad-input') return { code: 552, text: `5.3.4 ${messageOf(error)}`, outcome: 'refused' };
      if (error instanceof SmtpReply && error.responseCode !== 421)
        return { code: error.responseCode, text: error.message, outcome: 'refused' };
      metrics.recordAborted();
      if (isStopping) throw new SmtpReply(421, STOPPING);
      if (isConnected(session)) log.error({ err: error }, 'a message could not be read');
      throw new SmtpReply(451, '4.3.0 the message could not be read');
    }
  }

  /** Passes chunks on, and fails at the end of a message that is too large, before the mail server gets its end. */
  async function* untilTooLarge(chunks: AsyncIterator<Buffer>, stream: SMTPServerDataStream): AsyncGenerator<Buffer> {
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      if (stream.sizeExceeded) break;
      yield next.value;
    }
    if (stream.sizeExceeded) throw new SmtpReply(552, `5.3.4 the message is larger than ${maxBytes} bytes`);
  }

  const server: SMTPServer = new SMTPServer({
    banner: 'clickledger relay',
    size: maxBytes,
    maxClients,
    socketTimeout: IDLE_MS,
    closeTimeout: STOP_MS,
    // The extensions of the mail server are not known yet.
    hideDSN: true,
    hide8BITMIME: true,
    hideSMTPUTF8: true,
    // Replies have the enhanced code of the mail server or of the relay. The library would add one of its own.
    hideENHANCEDSTATUSCODES: true,
    disableReverseLookup: true,
    authOptional: true,
    logger: false,
    ...(tls ? { ...tls, secure: false } : {}),
    disabledCommands: tls ? [] : ['STARTTLS'],
    onConnect(session, callback) {
      // AUTH is offered after STARTTLS, so that no program sends its password before.
      session.disabledCommands = [...(tls ? [] : ['STARTTLS']), 'AUTH'];
      callback();
    },
    onSecure(_socket, session, callback) {
      session.disabledCommands = users.size > 0 ? [] : ['AUTH'];
      callback();
    },
    onAuth({ username = '', password }, session, callback) {
      const client = networkOf(session.remoteAddress);
      const failed = failures.get(client) ?? 0;
      if (failed >= MAX_FAILURES) return callback(new SmtpReply(421, '4.7.0 too many failures to sign in. Try again later.'));
      if (isPassword(users.get(username), password ?? '')) return callback(null, { user: username });
      failures.set(client, failed + 1);
      return callback(new SmtpReply(535, '5.7.8 the user name or the password is wrong'));
    },
    onMailFrom(_address, session, callback) {
      if (session.user !== undefined || networks.includes(session.remoteAddress)) return callback();
      return callback(new SmtpReply(530, `5.7.0 sign in first${tls ? ', after STARTTLS' : ''}`));
    },
    onRcptTo({ address }, session, callback) {
      const [first] = session.envelope.rcptTo;
      if (first === undefined || first.address.toLowerCase() === address.toLowerCase()) return callback();
      return callback(
        new SmtpReply(452, '4.5.3 one recipient a message, because each person gets other URLs. Send it again to the others.'),
      );
    },
    onData(stream, session, callback) {
      // The sender may disconnect while the message is read. The reader then gets the error, too.
      stream.on('error', () => {});
      running.set(session.id, stream);
      void answer(stream, session, callback);
    },
  });
  server.on('error', (error) => log.debug({ err: error }, 'a connection failed'));

  const isConnected = (session: SMTPServerSession): boolean => [...server.connections].some(({ id }) => id === session.id);

  function disconnect(id: string): void {
    for (const connection of server.connections) if (connection.id === id) connection.send(421, STOPPING);
  }

  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.server.once('error', reject);
        server.listen(port, host, () => resolve((server.server.address() as { port: number }).port));
      }),
    offer(extensions) {
      server.options.hide8BITMIME = !extensions.includes('8BITMIME');
      server.options.hideSMTPUTF8 = !extensions.includes('SMTPUTF8');
      server.options.hideDSN = !extensions.includes('DSN');
    },
    clients: () => server.connections.size,
    async stop() {
      isStopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const { id } of server.connections) {
        const stream = running.get(id);
        if (stream === undefined) disconnect(id);
        // The error ends the reading of the message, and its handler replies.
        else if (!stream.writableEnded) stream.destroy(new SmtpReply(421, STOPPING));
      }
      await closed;
    },
  };
}

function isPassword(expected: string | undefined, given: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(expected ?? ''), digest(given)) && expected !== undefined;
}

function envelopeOf({ envelope }: SMTPServerSession): Envelope {
  const from = envelope.mailFrom as SMTPServerAddress;
  const to = envelope.rcptTo[0] as SMTPServerAddress;
  const size = Number((from.args || {})['SIZE']);
  const utf8 = envelope.smtpUtf8 === true;
  const { ret = null, envid = null } = envelope.dsn ?? {};
  return {
    // The library decodes domains such as xn--bcher-kva.example.
    from: utf8 ? from.address : withAsciiDomain(from.address),
    to: utf8 ? to.address : withAsciiDomain(to.address),
    size: size > 0 ? size : undefined,
    body8Bit: envelope.bodyType === '8bitmime',
    utf8,
    dsn: { ret, envid, notify: to.dsn?.notify, orcpt: to.dsn?.orcpt },
  };
}
