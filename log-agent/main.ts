import { mkdir } from 'node:fs/promises';
import { type Problem, problem } from '../core/health.ts';
import { connectNats, createJetStreamManager, natsOptions, trackConnected } from '../core/nats.ts';
import { createPart } from '../core/part.ts';
import { LEDGER_API } from '../core/subjects.ts';
import { orUndefinedAfter } from '../core/time.ts';
import { createAgent } from './agent.ts';
import { createLedgerClient } from './ledger-client.ts';
import { diskOf } from './disk.ts';
import { readTable } from './network-table.ts';
import { createEnricher, readNetworks } from './enrich.ts';
import { Epochs } from './epochs.ts';
import { Follower } from './follow.ts';
import { agentProblems } from './health.ts';
import { addAgentGauges } from './gauges.ts';
import { createAgentMetrics } from './metrics.ts';
import { createMirror } from './mirror.ts';
import { createPublisher } from './publish.ts';
import { createSalts } from './salt.ts';
import { createShipper } from './ship.ts';

// The log agent: publishes the hits of the access log, by shard.
//
// log directory ──► follower: generations ──► shipper: lines, hits, batches by shard ──► publisher: JetStream
//                                                 ▲                                           │
//                                             coverage ◄── ledgers: what is committed ◄── workers
//
// With LOG_MIRROR, a mirror copies the bytes of the generations to another directory. Nothing waits for it.

/** How long the stop of the agent waits for the mirror. */
const MIRROR_STOP_MS = 2_000;
const settings = [
  'BASE_URL',
  'LOG_DIR',
  'STATE_DIR',
  'SHARDS',
  'AGENT_NATS_URL',
  'NATS_CA_FILE',
  'STREAM_REPLICAS',
  'WINDOW_MIB',
  'KEEP_LOGS_DAYS',
  'LOG_MIRROR',
  'POLL_MS',
  'MMDB_PATH',
] as const;
const part = createPart('agent', settings, process.env);
const { config, log, registry, signal } = part;

const metrics = createAgentMetrics(registry);
await mkdir(config.STATE_DIR, { recursive: true, mode: 0o700 });
const networks = await readTable();
const enricher = await createEnricher({
  mmdbPath: config.MMDB_PATH,
  networks: await readNetworks(),
  table: networks,
  site: new URL(config.BASE_URL).host,
});
let problems = (): Promise<Problem[]> => Promise.resolve([problem('nats-unreachable')]);
let following = false;
const admin = await part.serveAdmin(async () => ({ ready: following, degraded: await problems() }));
const connection = await connectNats(natsOptions(config.AGENT_NATS_URL, config.NATS_CA_FILE), 'log-agent', log, signal);

const follower = new Follower({
  directory: config.LOG_DIR,
  onEvent: (event, path) => {
    metrics.logEvents.inc({ event });
    log.warn({ event, path }, 'a log file is not in the expected state; hits may be lost: see "What can be lost" in docs/operators.md');
  },
});
const publisher = createPublisher(connection, log, metrics);
const salts = createSalts({ connection, replicas: config.STREAM_REPLICAS, log, metrics });
const epochs = new Epochs();
const shipper = createShipper({
  shards: config.SHARDS,
  enricher,
  salts,
  publisher,
  epochs,
  metrics,
  windowBytes: config.WINDOW_MIB * 1024 * 1024,
});
const ledgers = createLedgerClient({
  connection,
  manager: await createJetStreamManager(connection, LEDGER_API),
  shards: config.SHARDS,
  epochs,
  log,
});
const keepLogsMs = config.KEEP_LOGS_DAYS * 24 * 3600_000;
const agent = createAgent({
  follower,
  shipper,
  ledgers,
  publisher,
  epochs,
  metrics,
  log,
  shards: config.SHARDS,
  stateDir: config.STATE_DIR,
  pollMs: config.POLL_MS,
  keepLogsMs,
});
const mirror =
  config.LOG_MIRROR === ''
    ? undefined
    : createMirror({
        directory: config.LOG_MIRROR,
        logs: follower,
        ledgers,
        shards: config.SHARDS.list.map(({ name }) => name),
        log,
        keepLogsMs,
      });

addAgentGauges(registry, { agent, follower, mirror, salts, networks, logDir: config.LOG_DIR });
const natsConnected = trackConnected(connection);
problems = async () =>
  agentProblems({
    degraded: [...agent.degraded(), ...(mirror?.problems() ?? [])],
    publishFailure: publisher.failure(),
    lag: await agent.lag(),
    disk: await diskOf(config.LOG_DIR).catch(() => undefined),
    natsConnected: natsConnected(),
  });
following = true;
log.info({ directory: config.LOG_DIR }, 'following the log');
const mirroring = mirror?.run(signal).then(() => true) ?? Promise.resolve(true);
await Promise.all([agent.run(signal), salts.keepInBucket(signal)]);
admin?.close();
await connection.close();
// If LOG_MIRROR is on a file system that hangs, a call into the kernel does not return, and this process cannot exit in the ordinary way.
if (!(await orUndefinedAfter(mirroring, MIRROR_STOP_MS))) {
  log.warn('LOG_MIRROR does not answer, so the agent ends itself by SIGKILL; everything else was stopped in order');
  process.kill(process.pid, 'SIGKILL');
}
