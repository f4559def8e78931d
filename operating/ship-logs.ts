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
import { createLedgers, type Ledgers } from '../log-agent/ledger-client.ts';
import { createEnricher, readNetworks } from '../log-agent/enrich.ts';
import { createAgentMetrics } from '../log-agent/metrics.ts';
import { createPublisher } from '../log-agent/publish.ts';
import { createSalts } from '../log-agent/salt.ts';
import { createShipper } from '../log-agent/ship.ts';
import { openWholeLogs } from '../log-agent/finished-logs.ts';
import type { Logs } from '../log-agent/follow.ts';

export const SHIPPING_SETTINGS = ['BASE_URL', 'SHARDS', 'AGENT_NATS_URL', 'NATS_CA_FILE', 'WINDOW_MIB', 'MMDB_PATH'] as const;

/** Without any progress for this long, something is not running. */
const STALLED_MS = 60_000;
/** How long the ledgers may take to answer at first. */
const ANSWER_MS = 15_000;

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
  const ledgers = createLedgers({ connection, manager: await createJetStreamManager(connection, LEDGER_API), shards: config.SHARDS, log });
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

/** What one shard lacks of one log. */
export interface Missing {
  gen: string;
  shard: string;
  size: number;
  missing_bytes: number;
  holes: number;
}

/** What each ledger lacks, or does not know to be all. */
export async function findMissing({ logs, ledgers }: Shipment, shards: readonly string[]): Promise<Missing[]> {
  const missing: Missing[] = [];
  for (const shard of shards) {
    const state = await patiently(() =>
      ledgers.ask(
        shard,
        logs.generations.map(({ id }) => id),
      ),
    );
    if (!state) throw new ClickledgerError('unavailable', `no worker of shard ${shard} answers: is one running (\`clickledger status\`)?`);
    for (const { id, size } of logs.generations) {
      const entry = state.generations[id];
      const holes = subtract([[0, size]], entry?.committed ?? []);
      if (holes.length > 0 || entry?.size !== size)
        missing.push({ gen: id, shard, size, missing_bytes: sizeOf(holes), holes: holes.length });
    }
  }
  return missing;
}

/** A worker that is just being restarted, or has just lost its database, answers a moment later. */
async function patiently<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const deadline = performance.now() + ANSWER_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || performance.now() > deadline) return answer;
    await sleep(500);
  }
}

/** Ships until every shard has everything, or the signal aborts; true: every shard has. `onProgress` gets the bytes to go, if known. */
export async function shipAll(
  { agent }: Shipment,
  signal: AbortSignal,
  onProgress: (bytesToGo: number | undefined) => void,
): Promise<boolean> {
  const done = new AbortController();
  const running = agent.run(AbortSignal.any([signal, done.signal]));
  let best = Number.POSITIVE_INFINITY;
  let bestAt = performance.now();
  while (!signal.aborted) {
    const left = agent.left();
    if (left === 0) break;
    if (left !== undefined && left < best) {
      best = left;
      bestAt = performance.now();
    }
    onProgress(left);
    if (performance.now() - bestAt > STALLED_MS) {
      done.abort();
      await running;
      throw new ClickledgerError(
        'unavailable',
        `nothing was committed for a minute (${agent.degraded().map(sentence).join('; ') || 'the workers are busy or hold'}): see \`clickledger status\`, then ship again`,
      );
    }
    await sleep(200, signal);
  }
  done.abort();
  await running;
  return !signal.aborted;
}
