import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from './log.ts';
import { sleep } from './time.ts';

/** Connects, trying for ever: NATS being down only makes the log the buffer. Reconnects by itself afterwards. */
export async function connectNats(url: string, name: string, log: Logger, signal: AbortSignal): Promise<NatsConnection> {
  const servers = url.split(',').map((server) => server.trim());
  for (;;) {
    try {
      const connection = await connect({
        servers,
        name: `clickledger ${name}`,
        maxReconnectAttempts: -1,
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

/** The JetStream manager without a first look at the account, so that a server that is still starting is no error. */
export function manager(connection: NatsConnection): Promise<JetStreamManager> {
  return jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
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
