import { Registry } from 'prom-client';
import type { Config } from '../core/config.ts';
import { ClickledgerError } from '../core/errors.ts';
import { sentence } from '../core/health.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { connectNats, createJetStreamManager, natsOptions } from '../core/nats.ts';
import { sizeOf, subtract } from '../core/ranges.ts';
import { LEDGER_API } from '../core/subjects.ts';
import { sleep } from '../core/time.ts';
import { type Agent, createAgent } from '../log-agent/agent.ts';
import { Epochs } from '../log-agent/epochs.ts';
import { createLedgerClient, type LedgerClient } from '../log-agent/ledger-client.ts';
import { createEnricher, readNetworks } from '../log-agent/enrich.ts';
import { readTable } from '../log-agent/network-table.ts';
import { createAgentMetrics } from '../log-agent/metrics.ts';
import { createPublisher } from '../log-agent/publish.ts';
import { createSalts } from '../log-agent/salt.ts';
import { createShipper } from '../log-agent/ship.ts';
import { openFinishedLogs } from '../log-agent/finished-logs.ts';
import type { Logs } from '../log-agent/follow.ts';

export const SHIPPING_SETTINGS = [
  'BASE_URL',
  'SHARDS',
  'AGENT_NATS_URL',
  'NATS_CA_FILE',
  'STREAM_REPLICAS',
  'WINDOW_MIB',
  'MMDB_PATH',
] as const;

/** Shipping fails after this time without progress. */
const STALLED_MS = 60_000;
/** The time within which a ledger must answer the first request. */
const FIRST_REPLY_MS = 15_000;

/** A temporary agent for some old logs. It may run beside other agents, because it only fills holes. */
export interface Shipment {
  logs: Logs;
  agent: Agent;
  ledgers: LedgerClient;
  close(): Promise<void>;
}

/**
 * Opens the logs and connects to NATS. Waits until NATS answers or `signal` aborts. Throws a ClickledgerError if a file cannot be shipped, or
 * was changed within the last `quietMs` (default: that of openFinishedLogs).
 */
export async function prepareShipment(
  config: Config<(typeof SHIPPING_SETTINGS)[number]>,
  files: readonly string[],
  signal: AbortSignal,
  quietMs?: number,
): Promise<Shipment> {
  const logs = await openFinishedLogs(files, quietMs);
  const log: Logger = createLogger('ship', 'error');
  const connection = await connectNats(natsOptions(config.AGENT_NATS_URL, config.NATS_CA_FILE), 'ship', log, signal);
  const metrics = createAgentMetrics(new Registry());
  const enricher = await createEnricher({
    mmdbPath: config.MMDB_PATH,
    networks: await readNetworks(),
    table: await readTable(),
    site: new URL(config.BASE_URL).host,
  });
  const publisher = createPublisher(connection, log, metrics);
  const epochs = new Epochs();
  const windowBytes = config.WINDOW_MIB * 1024 * 1024;
  const shipper = createShipper({
    shards: config.SHARDS,
    enricher,
    salts: createSalts({ connection, replicas: config.STREAM_REPLICAS, log, metrics }),
    publisher,
    epochs,
    metrics,
    windowBytes,
  });
  const ledgers = createLedgerClient({
    connection,
    manager: await createJetStreamManager(connection, LEDGER_API),
    shards: config.SHARDS,
    epochs,
    log,
  });
  const keepLogsMs = Number.POSITIVE_INFINITY;
  const agent = createAgent({
    follower: logs,
    shipper,
    ledgers,
    publisher,
    epochs,
    shards: config.SHARDS,
    metrics,
    log,
    stateDir: undefined,
    pollMs: 100,
    keepLogsMs,
  });
  return { logs, agent, ledgers, close: () => connection.close() };
}

/** The bytes of one log that one shard lacks: the number of bytes and the number of holes. */
export interface MissingBytes {
  gen: string;
  shard: string;
  size: number;
  missing_bytes: number;
  holes: number;
}

/**
 * Asks the ledger of each shard which bytes of the logs it lacks. A log whose size is not in the ledger is listed, too. It has 0 missing
 * bytes if all its bytes are committed. Throws `unavailable` if a ledger does not answer.
 */
export async function findMissing({ logs, ledgers }: Shipment, shards: readonly string[]): Promise<MissingBytes[]> {
  const missing: MissingBytes[] = [];
  for (const shard of shards) {
    const state = await retryUntilAnswered(() =>
      ledgers.ask(
        shard,
        logs.generations.map(({ id }) => id),
      ),
    );
    if (!state)
      throw new ClickledgerError(
        'unavailable',
        `no worker of shard ${shard} answers: start one. \`clickledger status\` shows which parts run.`,
      );
    for (const { id, size } of logs.generations) {
      const entry = state.generations[id];
      const holes = subtract([[0, size]], entry?.committed ?? []);
      if (holes.length > 0 || entry?.size !== size)
        missing.push({ gen: id, shard, size, missing_bytes: sizeOf(holes), holes: holes.length });
    }
  }
  return missing;
}

/**
 * Asks again until there is an answer or the time is over. A worker that is restarting or has just lost its database answers a moment
 * later.
 */
async function retryUntilAnswered<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const deadline = performance.now() + FIRST_REPLY_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || performance.now() > deadline) return answer;
    await sleep(500);
  }
}

/**
 * Ships until every shard has committed all bytes, or until `signal` aborts. Returns whether all bytes are committed. `onProgress` gets the
 * number of bytes that are not committed, or undefined while this number is unknown. Throws `unavailable` after a minute without progress.
 */
export async function shipAll(
  { agent }: Shipment,
  signal: AbortSignal,
  onProgress: (bytesToGo: number | undefined) => void,
): Promise<boolean> {
  const done = new AbortController();
  const running = agent.run(AbortSignal.any([signal, done.signal]));
  let lowest = Number.POSITIVE_INFINITY;
  let progressAt = performance.now();
  while (!signal.aborted) {
    const left = agent.uncommittedBytes();
    if (left === 0) break;
    if (left !== undefined && left < lowest) {
      lowest = left;
      progressAt = performance.now();
    }
    onProgress(left);
    if (performance.now() - progressAt > STALLED_MS) {
      done.abort();
      await running;
      throw new ClickledgerError(
        'unavailable',
        `nothing was committed for a minute (${agent.degraded().map(sentence).join('; ') || 'the workers are busy, or hold their batches'}): correct what \`clickledger status\` shows, then run the command again`,
      );
    }
    await sleep(200, signal);
  }
  done.abort();
  await running;
  return !signal.aborted;
}
