import { readFileSync } from 'node:fs';
import { checkServerIdentity } from 'node:tls';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { ClickledgerError } from './errors.ts';
import type { Logger } from './log.ts';
import type { NatsServers } from './nats-url.ts';
import { sleep } from './time.ts';

/**
 * The client's options: it takes no credentials from URLs by itself. With TLS the server must have a certificate of an authority that Node
 * knows, or of the one in `caFile`; throws `bad-settings` where that cannot be read.
 */
export function natsOptions({ servers, user, password, tls }: NatsServers, caFile = ''): NodeConnectionOptions {
  return {
    servers: [...servers],
    ...(user === undefined ? {} : { user, pass: password }),
    // Asked for, it is insisted on: a server that says it has none gets no password.
    ...(tls ? { tls: tlsOptions(servers, caFile) } : {}),
  };
}

// The client passes on to Node what its types do not know.
interface TlsOptions {
  ca?: string;
  checkServerIdentity: typeof checkServerIdentity;
}

function tlsOptions(servers: readonly string[], caFile: string): TlsOptions {
  const hosts = servers.map((server) => new URL(`tls://${server}`).hostname.replace(/^\[|\]$/g, ''));
  return {
    ...(caFile === '' ? {} : { ca: readCertificate(caFile) }),
    // The client names no host where the URL has an address: Node would then expect the certificate of `localhost`.
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

/** Connects, trying for ever: NATS being down only makes the log the buffer. Reconnects by itself afterwards. */
export async function connectNats(options: NodeConnectionOptions, name: string, log: Logger, signal: AbortSignal): Promise<NatsConnection> {
  for (;;) {
    try {
      const connection = await connect({
        ...options,
        name: `clickledger ${name}`,
        maxReconnectAttempts: -1,
        // Refused credentials are no reason to give up for good, either: they may be about to be changed.
        ignoreAuthErrorAbort: true,
        reconnectTimeWait: 250,
        timeout: 5_000,
        pingInterval: 5_000,
        maxPingOut: 2,
      });
      void watchStatus(connection, log);
      return connection;
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ err: error }, 'NATS does not answer; trying again');
      await sleep(500, signal);
    }
  }
}

async function watchStatus(connection: NatsConnection, log: Logger): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') log.warn('lost NATS');
    if (status.type === 'reconnect') log.info('reached NATS again');
  }
}

/**
 * The JetStream manager without a first look at the account, so that a server that is still starting is no error. `apiPrefix`: LEDGER_API
 * for agents and analysts; workers are in the ledger's own account.
 */
export function manager(connection: NatsConnection, apiPrefix?: string): Promise<JetStreamManager> {
  return jetstreamManager(connection, { checkAPI: false, timeout: 5_000, ...(apiPrefix === undefined ? {} : { apiPrefix }) });
}

/** Whether the connection, which tries again for ever, has a server at the moment. */
export function watchReach(connection: NatsConnection): () => boolean {
  let reached = true;
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') reached = false;
      if (status.type === 'reconnect') reached = true;
    }
  })();
  return () => reached;
}
