import { readFileSync } from 'node:fs';
import { checkServerIdentity } from 'node:tls';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { bareHost } from './bare-host.ts';
import { ClickledgerError } from './errors.ts';
import type { Logger } from './log.ts';
import type { NatsServers } from './nats-url.ts';
import { sleep } from './time.ts';

// Connections to NATS and JetStream, for the parts and the commands.

/**
 * Returns the options for `connect`. They contain the credentials because the client does not read credentials from URLs. With TLS, the
 * certificate of the server must be signed by an authority that Node trusts, or by the authority in `caFile`. Throws `bad-settings` if
 * `caFile` cannot be read.
 */
export function natsOptions({ servers, user, password, tls }: NatsServers, caFile = ''): NodeConnectionOptions {
  return {
    servers: [...servers],
    ...(user === undefined ? {} : { user, pass: password }),
    // With this option TLS is mandatory: the client sends no password to a server that offers no TLS.
    ...(tls ? { tls: tlsOptions(servers, caFile) } : {}),
  };
}

// The NATS client passes these options to Node, but the types of the client do not list them.
interface TlsOptions {
  ca?: string;
  checkServerIdentity: typeof checkServerIdentity;
}

function tlsOptions(servers: readonly string[], caFile: string): TlsOptions {
  const hosts = servers.map((server) => bareHost(new URL(`tls://${server}`)));
  return {
    ...(caFile === '' ? {} : { ca: readCertificate(caFile) }),
    // If the URL has an IP address, the client gives no host name to Node. Node would then compare the certificate with `localhost`.
    checkServerIdentity(_host, certificate) {
      const problems = hosts.map((host) => checkServerIdentity(host, certificate));
      return problems.includes(undefined) ? undefined : problems[0];
    },
  };
}

function readCertificate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ClickledgerError('bad-settings', `NATS_CA_FILE cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Connects to NATS. Retries without limit until `signal` aborts, and then throws the reason of the abort. No hit is lost while NATS is
 * down, because hits stay in the access log. If this connection breaks later, the client reconnects by itself.
 */
export async function connectNats(options: NodeConnectionOptions, name: string, log: Logger, signal: AbortSignal): Promise<NatsConnection> {
  for (;;) {
    try {
      const connection = await connect({
        ...options,
        name: `clickledger ${name}`,
        maxReconnectAttempts: -1,
        // Retry also after refused credentials: the operator may be about to correct them.
        ignoreAuthErrorAbort: true,
        reconnectTimeWait: 250,
        timeout: 5_000,
        pingInterval: 5_000,
        maxPingOut: 2,
      });
      void logStatus(connection, log);
      return connection;
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ err: error }, 'NATS does not answer; retrying');
      await sleep(500, signal);
    }
  }
}

async function logStatus(connection: NatsConnection, log: Logger): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') log.warn('disconnected from NATS');
    if (status.type === 'reconnect') log.info('reconnected to NATS');
  }
}

/**
 * Creates a JetStream manager without checking the account first, so that a server that is still starting causes no error. Agents and
 * analysts pass LEDGER_API as `apiPrefix`. Workers pass none, because they are in the account that owns the stream.
 */
export function createJetStreamManager(connection: NatsConnection, apiPrefix?: string): Promise<JetStreamManager> {
  return jetstreamManager(connection, { checkAPI: false, timeout: 5_000, ...(apiPrefix === undefined ? {} : { apiPrefix }) });
}

/** Returns a function that reports whether the connection is up at the moment. The connection reconnects without limit. */
export function trackConnected(connection: NatsConnection): () => boolean {
  let connected = true;
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') connected = false;
      if (status.type === 'reconnect') connected = true;
    }
  })();
  return () => connected;
}
