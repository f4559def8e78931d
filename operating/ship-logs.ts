import { Registry } from 'prom-client';
import type { Config } from '../core/config.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { connectNats, manager, natsOptions } from '../core/nats.ts';
import { LEDGER_API } from '../core/subjects.ts';
import { type Agent, createAgent } from '../log-agent/agent.ts';
import { createLedgers, type Ledgers } from '../log-agent/ledger-client.ts';
import { createEnricher, readNetworks } from '../log-agent/enrich.ts';
import { createAgentMetrics } from '../log-agent/metrics.ts';
import { createPublisher } from '../log-agent/publish.ts';
import { createSalts } from '../log-agent/salt.ts';
import { createShipper } from '../log-agent/ship.ts';
import { openWholeLogs } from '../log-agent/finished-logs.ts';
import type { Logs } from '../log-agent/follow.ts';

export const SHIPPING_SETTINGS = ['BASE_URL', 'SHARDS', 'AGENT_NATS_URL', 'NATS_CA_FILE', 'WINDOW_MIB', 'MMDB_PATH'] as const;

/** An agent of its own for some old logs: it may run beside any other, because only holes are filled. */
export interface Shipment {
  logs: Logs;
  agent: Agent;
  ledgers: Ledgers;
  close(): Promise<void>;
}

export async function prepareShipment(
  config: Config<(typeof SHIPPING_SETTINGS)[number]>,
  files: readonly string[],
  signal: AbortSignal,
): Promise<Shipment> {
  const logs = await openWholeLogs(files);
  const log: Logger = createLogger('ship', 'error');
  const connection = await connectNats(natsOptions(config.AGENT_NATS_URL, config.NATS_CA_FILE), 'ship', log, signal);
  const metrics = createAgentMetrics(new Registry());
  const enricher = await createEnricher({
    mmdbPath: config.MMDB_PATH,
    networks: await readNetworks(),
    site: new URL(config.BASE_URL).host,
  });
  const publisher = createPublisher(connection, log, metrics);
  const windowBytes = config.WINDOW_MIB * 1024 * 1024;
  const shipper = createShipper({
    shards: config.SHARDS,
    enricher,
    salts: createSalts(connection, log, metrics),
    publisher,
    metrics,
    windowBytes,
  });
  const ledgers = createLedgers({ connection, manager: await manager(connection, LEDGER_API), shards: config.SHARDS, log });
  const keepLogsMs = Number.POSITIVE_INFINITY;
  const agent = createAgent({
    follower: logs,
    shipper,
    ledgers,
    publisher,
    shards: config.SHARDS,
    metrics,
    log,
    stateDir: undefined,
    pollMs: 100,
    keepLogsMs,
  });
  return { logs, agent, ledgers, close: () => connection.close() };
}
